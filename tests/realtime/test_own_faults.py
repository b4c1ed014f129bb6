"""A fault of our own in one session: that session ends, loudly; nobody else notices, nothing is left open."""

from __future__ import annotations

from typing import Any

import pytest

from realtime import consumers
from tests.realtime.page import eventually, tone


class OurFault(Exception):
    """What no session should ever raise."""


def fails(*_arguments: Any, **_fields: Any) -> Any:
    """A verb of a session with a fault in it."""
    raise OurFault


async def only_relay(site: Any) -> Any:
    """The relay of the one session that there is."""
    (relay,) = await eventually(lambda: list(site.switchboard.relays.values()))
    return relay


@pytest.mark.parametrize("where", ["time", "microphone"])
async def test_a_fault_ends_its_session_alone(
    make_site: Any, ada: Any, bob: Any, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    site = await make_site([{"says": "Fine."}])
    async with await site.page(ada) as page:
        await page.until("state", state="listening")
        relay = await only_relay(site)
        if where == "time":
            monkeypatch.setattr(relay.session, "tick", fails)
            relay.session.deadlines["heartbeat"] = relay.now_ms()
            relay.perform([])
        else:
            monkeypatch.setattr(relay.session, "browser_audio", fails)
            await page.speak(tone(40))
        assert await page.until_closed() == 4500
        if where == "time":  # the session itself is broken, and not only what the page said
            await eventually(lambda: not site.switchboard.relays and site.upstream.open_count == 0)
        assert relay.link is None
    async with await site.page(bob) as other:
        await other.until("state", state="listening")


async def test_cookies_and_the_token_are_not_kept_with_the_connection(
    make_site: Any, ada: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scopes: list[dict[str, Any]] = []
    real = consumers.address_in

    def noted(scope: dict[str, Any]) -> str:
        scopes.append(scope)
        return real(scope)

    monkeypatch.setattr(consumers, "address_in", noted)
    site = await make_site([])
    async with await site.page(ada) as page:
        await page.until("ready")
        (scope,) = scopes
        assert not scope["headers"]
        assert not scope["subprotocols"]
