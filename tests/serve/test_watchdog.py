"""A process that hangs is noticed and ended; one that was only stopped for a while is not."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from realtime.watchdog import EXIT_HUNG, Stillness
from tests.serve.site_process import SiteProcess


def test_signs_of_life_keep_it_at_zero() -> None:
    stillness = Stillness(0.25)
    assert [stillness.look(signs, signs * 0.25) for signs in range(100)] == [0.0] * 100


def test_silence_adds_up_until_the_next_sign() -> None:
    stillness = Stillness(0.25)
    stillness.look(1, 10.0)
    assert [stillness.look(1, 10.0 + n * 0.25) for n in (1, 2, 3, 4)] == pytest.approx([0.25, 0.5, 0.75, 1.0])
    assert stillness.look(2, 11.25) == 0.0
    assert stillness.look(2, 11.5) == pytest.approx(0.25)


def test_a_process_that_was_stopped_for_an_hour_is_not_taken_for_one_that_hangs() -> None:
    stillness = Stillness(0.25)
    stillness.look(1, 10.0)
    assert stillness.look(1, 3_610.0) <= 0.5
    assert stillness.look(2, 3_610.25) == 0.0


@pytest.mark.parametrize("web", ["uvicorn", "daphne"])
def test_a_loop_that_hangs_is_told_of_and_the_process_ends(folder: Path, web: str) -> None:
    with SiteProcess(folder, web, REALTIME_WATCHDOG_SEC=3) as site:
        with socket.create_connection(("127.0.0.1", site.port)) as peer:
            peer.sendall(b"GET /hang HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            took_s = site.ended_after(time.monotonic())
        assert site.process.returncode == EXIT_HUNG, site.output
        assert took_s < 20
        assert "the event loop stands still in application (site_application.py:" in site.output
        assert "the event loop stood still for 3 s" in site.output
        assert "Traceback" not in site.output


def test_a_hanging_loop_is_left_alone_when_the_watchdog_is_off(folder: Path) -> None:
    with SiteProcess(folder, "uvicorn", REALTIME_WATCHDOG_SEC=0) as site:
        with socket.create_connection(("127.0.0.1", site.port)) as peer:
            peer.sendall(b"GET /hang?seconds=2 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            peer.settimeout(30)
            assert peer.recv(64).startswith(b"HTTP/1.1 204")
        site.wait_until_it_says("the event loop goes on after")
        assert site.process.poll() is None


def test_a_stop_is_obeyed_in_time_even_while_the_loop_hangs(folder: Path) -> None:
    with SiteProcess(folder, "uvicorn", REALTIME_WATCHDOG_SEC=0, REALTIME_EXIT_SEC=3) as site:
        with socket.create_connection(("127.0.0.1", site.port)) as peer:
            peer.sendall(b"GET /hang HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            site.wait_until_it_says("stands still")
            assert site.ended_after(site.signal()) < 15
        assert site.process.returncode == 1  # not an orderly end
        assert "the end took too long" in site.output
