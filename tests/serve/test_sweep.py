"""`manage.py realtime_sweep` while the site runs: it ends what nobody renews, nothing else, also after an outage."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from realtime import access, leases, services
from realtime.management.commands.realtime_sweep import Command
from realtime.models import Hold, RealtimeSession
from realtime.ownership import HOST
from tests.serve.test_reaper import dead_pid

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_spill(settings: Any, tmp_path: Any) -> None:
    """Nothing was spilled."""
    settings.REALTIME_SPILL_DIR = tmp_path


def over(person: Any, worker: str = "elsewhere:7:aaaaaaaa") -> RealtimeSession:
    """A session whose lease is over, of a process on another machine."""
    return RealtimeSession.objects.create(
        id=uuid4(),
        user=person,
        modality="voice",
        worker=worker,
        lease_until=timezone.now() - timedelta(seconds=5),
        auth_hash=access.auth_fingerprint(person),
    )


def sweep(meanwhile: Callable[[], Any] | None) -> str:
    """Run it; while it waits, this happens. None: it may not wait."""
    waited: list[float] = []

    class Swept(Command):
        def wait(self, seconds: float) -> None:
            waited.append(seconds)
            if meanwhile is not None:
                meanwhile()

    said = StringIO()
    call_command(Swept(), stdout=said)
    assert waited == ([] if meanwhile is None else [30])
    return said.getvalue()


def nothing() -> None:
    """Nobody renews."""


def test_after_an_outage_living_processes_renew_and_keep_their_sessions(ada: Any) -> None:
    living, lost = over(ada), over(ada)

    def renew() -> None:
        RealtimeSession.objects.filter(pk=living.pk).update(lease_until=leases.lease_end())

    assert "Lost sessions ended: 1." in sweep(renew)
    assert RealtimeSession.objects.active().get() == living
    lost.refresh_from_db()
    assert lost.end_reason == "lost"


def test_a_process_whose_clock_is_behind_renews_and_keeps_its_sessions(ada: Any) -> None:
    session = over(ada)

    def renew() -> None:
        RealtimeSession.objects.update(lease_until=session.lease_until + timedelta(seconds=1))  # type: ignore[operator]

    assert "Lost sessions ended: 0." in sweep(renew)
    assert RealtimeSession.objects.active().count() == 1


def test_a_lease_that_runs_out_during_the_wait_was_not_watched(ada: Any) -> None:
    over(ada)
    late = over(ada)
    RealtimeSession.objects.filter(pk=late.pk).update(lease_until=leases.lease_end())

    def run_out() -> None:
        RealtimeSession.objects.filter(pk=late.pk).update(lease_until=late.started_at - timedelta(days=1))

    assert "Lost sessions ended: 1." in sweep(run_out)
    assert RealtimeSession.objects.active().get() == late


def test_who_certainly_no_longer_runs_is_not_waited_for(ada: Any) -> None:
    over(ada, f"{HOST}:{dead_pid()}:aaaaaaaa")
    assert "Lost sessions ended: 1." in sweep(None)


def test_it_does_not_wait_for_nothing(ada: Any) -> None:
    RealtimeSession.objects.filter(pk=over(ada).pk).update(lease_until=leases.lease_end())
    assert "Lost sessions ended: 0." in sweep(None)


def test_more_than_one_batch_of_lost_sessions_is_ended(ada: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "REAP_AT_ONCE", 2)
    for _ in range(5):
        over(ada)
    assert "Lost sessions ended: 5." in sweep(nothing)


@pytest.mark.parametrize(("ended", "held"), [("before", 0), ("meanwhile", 1)])
def test_what_is_held_for_an_ended_session_is_given_back_when_its_process_had_time_to_charge_it(
    ada: Any, ended: str, held: int
) -> None:
    session = over(ada)
    Hold.objects.create(session=session, reference="answer_1", usd=Decimal(1))

    def end() -> None:
        services.end_for_operator([session.pk])

    if ended == "before":
        end()
    sweep(nothing if ended == "before" else end)
    assert Hold.objects.count() == held
