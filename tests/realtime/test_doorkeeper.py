"""One address cannot take all sockets nor knock without end; addresses are those that our own proxy saw."""

import pytest

from realtime.doorkeeper import MAX_ADDRESSES, Doorkeeper, address_of, house

ADA, BOB = "203.0.113.7", "203.0.113.8"


def test_an_address_has_so_many_sockets_and_no_more() -> None:
    doorkeeper = Doorkeeper(max_sockets=3, knocks_per_s=100)
    assert [doorkeeper.enter(ADA, 0) for _ in range(4)] == ["", "", "", "limit.sockets"]
    assert doorkeeper.enter(BOB, 0) == ""
    doorkeeper.left(ADA)
    assert doorkeeper.enter(ADA, 0) == ""


def test_an_address_knocks_so_often_and_no_more() -> None:
    doorkeeper = Doorkeeper(max_sockets=1_000, knocks_per_s=10)
    answers = [doorkeeper.enter(ADA, 0) for _ in range(30)]
    assert answers.count("") == 10
    assert doorkeeper.enter(BOB, 0) == ""
    assert doorkeeper.enter(ADA, 0.05) == "limit.knocks"
    assert doorkeeper.enter(ADA, 0.3) == ""


def test_a_clock_that_goes_back_opens_nothing() -> None:
    doorkeeper = Doorkeeper(max_sockets=1_000, knocks_per_s=1)
    assert doorkeeper.enter(ADA, 100) == ""
    assert doorkeeper.enter(ADA, 1) == "limit.knocks"


def test_this_machine_is_not_limited() -> None:
    doorkeeper = Doorkeeper(max_sockets=1, knocks_per_s=1)
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "127.8.8.8"):
        assert [doorkeeper.enter(address, 0) for _ in range(50)] == [""] * 50


@pytest.mark.parametrize(
    ("address", "counts_as"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        ("", ""),
    ],
)
def test_what_counts_as_one_visitor(address: str, counts_as: str) -> None:
    assert house(address) == counts_as


def test_many_addresses_fill_no_memory_and_those_inside_are_not_forgotten() -> None:
    doorkeeper = Doorkeeper(max_sockets=1, knocks_per_s=5)
    assert doorkeeper.enter(ADA, 0) == ""
    for number in range(MAX_ADDRESSES + 500):
        address = f"10.{number // 65_536}.{number // 256 % 256}.{number % 256}"
        doorkeeper.enter(address, 1)
        doorkeeper.left(address)
    assert len(doorkeeper._visitors) <= MAX_ADDRESSES + 1
    assert doorkeeper.enter(ADA, 2) == "limit.sockets"


@pytest.mark.parametrize(
    ("forwarded", "proxies", "found"),
    [
        ([], 0, "192.0.2.1"),
        (["6.6.6.6"], 0, "192.0.2.1"),
        (["6.6.6.6, 203.0.113.9"], 1, "203.0.113.9"),
        (["6.6.6.6", "203.0.113.9"], 1, "203.0.113.9"),
        (["6.6.6.6, 203.0.113.9, 10.0.0.1"], 2, "203.0.113.9"),
        (["203.0.113.9"], 2, "203.0.113.9"),
        ([" , "], 1, "192.0.2.1"),
    ],
)
def test_only_what_our_own_proxies_say_counts(forwarded: list[str], proxies: int, found: str) -> None:
    assert address_of("192.0.2.1", forwarded, proxies) == found
