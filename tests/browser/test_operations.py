"""What an operator does in the admin, in a real browser: look at a call, end one, see the day, run the probe."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from conversations.models import AuditEntry
from realtime import past
from realtime.models import ProbeRun, RealtimeSession, SessionEvent, Turn, UsageRecord
from tests.browser.conftest import Person, eventually
from tests.browser.pictures import Picture
from tests.operations.test_past import times

LIST = "/admin/realtime/realtimesession/"
WIDE = {"width": 1280, "height": 900}


@pytest.fixture
def operator(person: Callable[..., Person]) -> Person:
    """A superuser at a desk."""
    somebody = person("operator", microphone=False, viewport=WIDE)
    somebody.user.is_staff = somebody.user.is_superuser = True  # type: ignore[attr-defined]
    somebody.user.save()  # type: ignore[attr-defined]
    return somebody


def a_busy_week(user: object) -> None:
    """Made-up sessions of seven days, with answers, some trouble, and costs."""
    now, dice = timezone.now(), random.Random(3)
    for number in range(120):
        began = now - timedelta(hours=dice.uniform(1, 160))
        session = RealtimeSession.objects.create(
            id=uuid4(),
            user=user,
            modality="voice",
            engine="openai",
            model="gpt-realtime-2.1",
            turns=6,
            interruptions=dice.randint(0, 3),
            cost_usd=Decimal(dice.randint(5, 60)) / 100,
            errors=int(number % 15 == 0),
            end_reason=dice.choice(["person_ended", "person_ended", "idle", "browser_gone"]),
        )
        ended = began + timedelta(minutes=dice.uniform(1, 14))
        RealtimeSession.objects.filter(pk=session.pk).update(started_at=began, ended_at=ended)
        if session.errors:
            code = dice.choice(["rate_limit_exceeded", "upstream.lost"])
            SessionEvent.objects.create(
                session=session, at_ms=900, name="upstream.error", data={"code": code}
            )
        for turn in range(6):
            latency_ms = int(dice.lognormvariate(6.6, 0.35))
            row = Turn.objects.create(
                session=session,
                response_id=f"r{turn}",
                status="completed",
                response_latency_ms=latency_ms,
            )
            Turn.objects.filter(pk=row.pk).update(created_at=began)
        used = UsageRecord.objects.create(
            session=session,
            meter="response",
            reference="r0",
            model=session.model,
            audio_in=dice.randint(500, 90_000),
            cached_audio=300,
            audio_out=dice.randint(500, 90_000),
            text_out=dice.randint(50, 9_000),
            usd=session.cost_usd if number % 11 else None,
        )
        UsageRecord.objects.filter(pk=used.pk).update(created_at=began)


PAGES = {
    "sessions": (LIST, "Select session to view"),
    "ledger": ("/admin/realtime/usagerecord/", "Select usage record to view"),
    "totals": ("/admin/realtime/usagerecord/totals/?by=user", "Totals of usage"),
    "totals-by-day": ("/admin/realtime/usagerecord/totals/?by=day", "Totals of usage"),
    "dashboard": (f"{LIST}dashboard/?period=week", "Dashboard"),
    "probe-runs": ("/admin/realtime/proberun/", "Select probe run to view"),
    "audit": ("/admin/conversations/auditentry/", "Select audit entry to view"),
}


def open_page(operator: Person, path: str) -> None:
    operator.page.goto(operator.chat.origin + path)


@pytest.mark.screenshot
def test_an_operator_sees_what_happened_in_a_call_and_ends_it(
    person: Callable[..., Person], operator: Person, picture: Picture
) -> None:
    ada = person("ada")
    ada.chat.open()
    ada.chat.start_voice()
    ada.chat.await_row("assistant", "fifty-six|56")
    eventually(lambda: Turn.objects.filter(heard_ms__gt=0).exists(), "the answer was heard and is kept")
    session = RealtimeSession.objects.get()

    open_page(operator, f"{LIST}{session.pk}/change/")
    page = operator.page
    expect(page.locator(".voice-picture .person").first).to_be_visible()
    expect(page.locator(".voice-picture .heard").first).to_be_visible()
    expect(page.locator(".voice-waterfall rect").first).to_be_visible()
    turn = Turn.objects.filter(response_latency_ms__isnull=False).order_by("pk").first()
    assert turn is not None
    stages = (
        (turn.silence_ms or 0)
        + (turn.endpointing_ms or 0)
        + (turn.first_delta_ms or 0)
        + (turn.playout_start_ms or 0)
    )
    assert abs(stages - turn.response_latency_ms) <= 20  # type: ignore[operator]
    expect(page.locator(".voice-waterfall .silence").first).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Chrome \d+ · Linux"))).to_be_visible()
    picture("admin-session", page)

    open_page(operator, f"{LIST}?state=live")
    expect(page.locator("#result_list tbody tr")).to_have_count(1)
    expect(page.locator("#result_list .field-page")).to_have_text(re.compile(r"Chrome \d+"))
    page.locator("input.action-select").check()
    page.locator("select[name=action]").select_option("end_sessions")
    page.get_by_role("button", name="Go", exact=True).first.click()
    expect(page.locator(".messagelist")).to_contain_text("within ten seconds")
    eventually(
        lambda: RealtimeSession.objects.filter(end_reason="operator", first_audio_ms__isnull=False).exists(),
        "the process stored its counters, so it has hung up",
        within_sec=20,
    )


@pytest.mark.screenshot
def test_an_operator_sees_the_day_and_runs_the_probe(operator: Person, picture: Picture) -> None:
    open_page(operator, "/admin/realtime/proberun/")
    page = operator.page
    page.get_by_role("button", name="Run probe").click()
    expect(page.locator(".messagelist")).to_contain_text("Voice works", timeout=45_000)
    expect(page.locator(".voice-chart rect")).to_have_count(1)
    picture("admin-probe", page)

    a_busy_week(operator.user)
    past.whole()  # as on a site that has run for a week
    open_page(operator, f"{LIST}dashboard/")
    page.get_by_role("link", name="Last week").click()
    expect(page.locator(".voice-periods [aria-current]")).to_have_text("Last week")
    expect(page.locator(".voice-chart").first.locator("rect")).to_have_count(8)
    picture("admin-dashboard", page)
    page.get_by_role("link", name="Totals of usage").click()
    page.get_by_role("link", name="By day").click()
    expect(page.locator(".voice-sums tfoot td").first).to_have_text("120")
    picture("admin-totals", page)


def test_a_page_whose_sums_are_not_whole_shows_what_there_is_and_completes_itself(
    operator: Person, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_busy_week(operator.user)
    monkeypatch.setattr(past, "step", lambda: 0)  # the site does not get ahead of the page
    steps = [0]
    monkeypatch.setattr(past, "for_s", lambda _seconds: times(steps[0]))
    open_page(operator, f"{LIST}dashboard/?period=week")
    page = operator.page
    expect(page.locator(".voice-left")).to_contain_text(
        re.compile(r"^\d\d+ earlier hours are still being summed up")
    )
    sessions = page.locator(".voice-numbers dd").first
    assert int(sessions.inner_text()) < 120
    picture("admin-summing-up", page)
    steps[0] = 50
    expect(page.locator(".voice-left")).to_have_count(0)
    expect(sessions).to_have_text("120")


@pytest.mark.screenshot
def test_an_operator_may_read_it_all_in_german(person: Callable[..., Person], picture: Picture) -> None:
    berta = person("berta", microphone=False, viewport=WIDE, locale="de-DE")
    berta.user.is_staff = berta.user.is_superuser = True  # type: ignore[attr-defined]
    berta.user.save()  # type: ignore[attr-defined]
    a_busy_week(berta.user)
    open_page(berta, f"{LIST}dashboard/?period=week")
    expect(berta.page.locator(".voice-periods [aria-current]")).to_have_text("Letzte Woche")
    expect(berta.page.get_by_role("heading", name="Sitzungen und Kosten nach Modell")).to_be_visible()
    picture("admin-dashboard-german", berta.page)
    open_page(berta, f"{LIST}?trouble=errored")
    berta.page.locator("#result_list tbody th a").first.click()
    expect(berta.page.get_by_role("heading", name="Zeitleiste")).to_be_visible()
    expect(berta.page.get_by_role("heading", name="Verbrauch und Kosten")).to_be_visible()
    picture("admin-session-german", berta.page)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_every_page_of_an_operator_fits_its_screen(
    person: Callable[..., Person], picture: Picture, scheme: str, width: int
) -> None:
    carla = person(
        "carla",
        microphone=False,
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        locale="en-US",
    )
    carla.user.is_staff = carla.user.is_superuser = True  # type: ignore[attr-defined]
    carla.user.save()  # type: ignore[attr-defined]
    a_busy_week(carla.user)
    ProbeRun.objects.create(ok=True, url="wss://voice.example.org/v1/realtime", model="m", total_ms=900)
    AuditEntry.objects.create(actor=carla.user, action="export_usage", reason="totals by user")
    errored = RealtimeSession.objects.filter(errors__gt=0).first()
    assert errored is not None
    pages = {**PAGES, "one-session": (f"{LIST}{errored.pk}/change/", "View session")}
    for name, (path, heading) in pages.items():
        open_page(carla, path)
        expect(carla.page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
        beside_px = carla.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        picture(f"admin-{name}-{scheme}", carla.page)
        assert beside_px <= 0, name
