"""Each web server waits for readers, slows writers, and lets go of peers that are gone or do not read."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.raw_socket import RawSocket
from tests.serve.site_process import SiteProcess

MIB = 1024 * 1024
GONE_S = 15.0


@pytest.fixture
def site(folder: Path, server: str) -> Iterator[SiteProcess]:
    """A site whose pings and patience are short."""
    with SiteProcess(
        folder, server, WEB_SERVER_LIMITS={"PING_EVERY_S": 1.0, "PONG_WITHIN_S": 0.8, "ABORT_AFTER_S": 1.0}
    ) as site:
        yield site


@pytest.fixture
def patient_site(folder: Path, server: str) -> Iterator[SiteProcess]:
    """A site with the product's own limits."""
    with SiteProcess(folder, server) as site:
        yield site


def test_a_peer_that_does_not_read_costs_no_memory(patient_site: SiteProcess) -> None:
    patient_site.log_in()  # warm
    before_bytes = patient_site.resident_bytes
    with RawSocket(patient_site.port, "/flood", receive_bytes=4_096):
        for _ in range(30):  # the flood's turn on the loop comes between these
            patient_site.log_in()
        assert patient_site.resident_bytes - before_bytes < 16 * MIB


def test_a_peer_that_sends_more_than_is_taken_is_slowed_down(patient_site: SiteProcess) -> None:
    patient_site.log_in()
    before_bytes = patient_site.resident_bytes
    with RawSocket(patient_site.port, "/deaf") as peer:
        peer.socket.settimeout(2.0)
        sent_bytes = 0
        with contextlib.suppress(TimeoutError):
            while sent_bytes < 64 * MIB:
                peer.send(bytes(60_000))
                sent_bytes += 60_000
        assert sent_bytes < 24 * MIB  # what the kernel takes on its own, and no more
        assert patient_site.resident_bytes - before_bytes < 16 * MIB


def test_a_peer_that_neither_reads_nor_answers_is_dropped(site: SiteProcess) -> None:
    with RawSocket(site.port, "/flood", receive_bytes=4_096) as peer:
        assert peer.is_open
        assert peer.is_gone_within(GONE_S)


def test_a_socket_that_its_application_left_is_closed(site: SiteProcess) -> None:
    with RawSocket(site.port, "/left") as peer:
        assert peer.is_gone_within(GONE_S)  # although the close frame was never answered


def test_a_message_above_the_limit_is_refused_by_name(patient_site: SiteProcess) -> None:
    with RawSocket(patient_site.port, "/deaf") as peer:
        peer.send(bytes(65_537))
        assert peer.close_code() == 1009
    assert "Traceback" not in patient_site.output


def test_a_peer_that_was_gone_in_time_is_not_missed_when_it_would_be_aborted(site: SiteProcess) -> None:
    for _ in range(3):
        with RawSocket(site.port, "/left"):
            pass
    time.sleep(1.5)  # longer than ABORT_AFTER_S: nothing else tells that nothing happened
    assert site.ended_after(site.signal()) < GONE_S
    assert "Traceback" not in site.output, site.output
