"""What an operator sees of sessions: the timeline, the page, the end of a call, the dashboard, the button, the file."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from conversations import audit
from conversations.models import AuditEntry
from realtime import leases, services
from realtime.conf import RelayConfig
from realtime.effects import RecordEvent, RecordTurn
from realtime.journal import Entry
from realtime.latency import TurnMarks
from realtime.models import ProbeRun, RealtimeSession, SessionEvent, Turn, UsageRecord
from realtime.operations.dashboard import dashboard
from realtime.operations.timeline import LABEL_PX, MARK_PX, MARKS_Y, MOST_PX, TICK_PX, draw, waterfalls
from realtime.session import Session

LIST = "/admin/realtime/realtimesession/"


def event(at_ms: int, name: str, **data: Any) -> Any:
    return SimpleNamespace(at_ms=at_ms, name=name, data=data)


def turn(**fields: Any) -> Any:
    marks = ("input_ended_ms", "response_created_ms", "silence_ms", "endpointing_ms", "first_delta_ms")
    empty = dict.fromkeys((*marks, "playout_start_ms", "response_latency_ms", "heard_ms", "generated_ms"))
    return SimpleNamespace(**{"response_id": "r", "status": "completed", **empty, **fields})


ANSWER = {
    "input_ended_ms": 3_000,
    "response_created_ms": 3_200,
    "silence_ms": 500,
    "endpointing_ms": 200,
    "first_delta_ms": 300,
    "playout_start_ms": 100,
    "response_latency_ms": 1_100,
    "heard_ms": 1_000,
    "generated_ms": 4_000,
}


def a_session(user: User, **fields: Any) -> RealtimeSession:
    values = {"id": uuid4(), "user": user, "modality": "voice", "engine": "openai", "model": "m"}
    return RealtimeSession.objects.create(**{**values, **fields})


class TestTimeline:
    def test_speech_lies_where_it_was_spoken(self) -> None:
        picture = draw(9_000, [event(900, "speech.started"), event(1_800, "speech.stopped")], [])
        [shape] = picture.shapes
        scale = (picture.width - LABEL_PX - 10) / 9_000
        assert (shape.x, shape.width) == (
            pytest.approx(LABEL_PX + 900 * scale, abs=0.2),
            pytest.approx(900 * scale, abs=0.2),
        )

    def test_what_was_heard_ends_where_the_unheard_begins(self) -> None:
        picture = draw(9_000, [], [turn(**ANSWER)])
        waiting, heard, unheard = picture.shapes
        assert [shape.kind for shape in picture.shapes] == ["waiting", "heard", "unheard"]
        assert heard.x + heard.width == pytest.approx(unheard.x, abs=0.2)
        assert unheard.width == pytest.approx(3 * heard.width, rel=0.01)
        assert waiting.x < heard.x

    def test_speech_without_an_end_lasts_until_the_end(self) -> None:
        picture = draw(10_000, [event(5_000, "speech.started")], [])
        assert picture.shapes[0].x + picture.shapes[0].width == pytest.approx(picture.width - 10, abs=1)

    def test_a_gap_is_drawn_from_going_to_coming_back(self) -> None:
        picture = draw(9_000, [event(2_000, "browser.gone"), event(4_000, "browser.resumed")], [])
        assert [shape.kind for shape in picture.shapes] == ["away"]
        assert [mark.kind for mark in picture.marks] == ["reconnect"]

    def test_an_error_names_its_code(self) -> None:
        [mark] = draw(9_000, [event(2_000, "upstream.lost", code="upstream.lost")], []).marks
        assert mark.title == "0:02.0 upstream lost (upstream.lost)"

    def test_a_mark_does_not_cover_the_one_before_it(self) -> None:
        events = [event(ms, "upstream.ready") for ms in (4_000, 4_050, 4_100, 8_000)]
        marks = draw(9_000, events, []).marks
        assert [mark.y for mark in marks] == [MARKS_Y, MARKS_Y + MARK_PX, MARKS_Y, MARKS_Y]

    @pytest.mark.parametrize("length_ms", [0, 1, 900_000, 86_400_000])
    def test_any_length_fits_and_has_ticks_apart(self, length_ms: int) -> None:
        picture = draw(length_ms, [event(length_ms, "ended")], [])
        assert picture.width <= MOST_PX + LABEL_PX + 10
        places = [x for x, _text in picture.ticks]
        assert all(b - a >= 59 for a, b in pairwise(places))
        assert picture.marks[0].x <= picture.width
        assert all(x + TICK_PX <= picture.width for x, text in picture.ticks if text)

    def test_a_tick_at_the_right_edge_has_no_text_that_would_be_cut(self) -> None:
        texts = [text for _x, text in draw(6_050, [], []).ticks]
        assert texts == ["0:00.0", "0:01.0", "0:02.0", "0:03.0", "0:04.0", "0:05.0", ""]

    def test_the_stages_of_a_waterfall_add_up_to_the_whole(self) -> None:
        slow = {**ANSWER, "first_delta_ms": 1_500, "response_latency_ms": 2_300}
        for row in waterfalls([turn(**ANSWER), turn(**slow)]):
            assert abs(sum(stage.ms for stage in row.stages) - row.total_ms) <= 20
            last = row.stages[-1]
            assert last.x + last.width == pytest.approx(300 * row.total_ms / 2_300, abs=1)

    def test_a_turn_that_was_never_heard_has_no_stages(self) -> None:
        assert waterfalls([turn(endpointing_ms=5)])[0].stages == ()


class TestNoted:
    def test_a_function_call_is_an_event_with_the_functions_name_and_without_its_arguments(self) -> None:
        relay_config = RelayConfig(
            upstream_url="ws://127.0.0.1:1/v1/realtime", model="m", voice="marin", instructions="x"
        )
        session = Session(relay_config, random.Random(1))
        session.attach({"uplink_samples": 0}, 0)
        session.upstream_opened(1)
        session.upstream_event({"type": "session.updated"}, 2)
        session.upstream_event({"type": "response.created", "response": {"id": "r"}}, 5)
        call = {
            "type": "function_call",
            "name": "clock",
            "call_id": "c",
            "arguments": "{}",
            "status": "completed",
        }
        done = {"type": "response.output_item.done", "response_id": "r", "item": call}
        events = [effect for effect in session.upstream_event(done, 9) if isinstance(effect, RecordEvent)]
        assert events == [RecordEvent(9, "tool.called", {"name": "clock"})]
        done_ms = session.tool_result("clock", "c", "12:00", True, 1_250)
        events = [effect for effect in done_ms if isinstance(effect, RecordEvent)]
        assert events == [RecordEvent(1_250, "tool.done", {"name": "clock", "ok": True, "ms": 1_241})]
        assert not session.tool_result(
            "clock", "c", "12:00", True, 1_300
        )  # a second answer to it counts nothing

    @pytest.mark.parametrize("by_hand", [False, True])
    @pytest.mark.parametrize(("kind", "ok"), [("completed", True), ("failed", False)])
    def test_how_long_the_words_took_to_be_written_down_is_an_event_without_the_words(
        self, by_hand: bool, kind: str, ok: bool
    ) -> None:
        session = Session(
            RelayConfig(upstream_url="ws://127.0.0.1:1/v1/realtime", model="m", voice="v", instructions="x"),
            random.Random(1),
        )
        session.attach({"uplink_samples": 0}, 0)
        session.upstream_opened(1)
        session.upstream_event({"type": "session.updated"}, 2)
        said = "input_audio_buffer."
        if not by_hand:
            session.upstream_event({"type": f"{said}speech_started", "item_id": "p"}, 1_000)
            session.upstream_event({"type": f"{said}speech_stopped", "item_id": "p"}, 2_000)
        session.upstream_event({"type": f"{said}committed", "item_id": "p"}, 2_010)
        name = f"conversation.item.input_audio_transcription.{kind}"
        words = {"type": name, "item_id": "p", "transcript": "seven times eight", "error": {}}
        events = [
            effect for effect in session.upstream_event(words, 2_300) if isinstance(effect, RecordEvent)
        ]
        ms = 290 if by_hand else 300
        assert events == [RecordEvent(2_300, "input.transcribed", {"ms": ms, "ok": ok})]


@pytest.mark.django_db
class TestStored:
    def test_errors_and_the_slowest_answer_are_kept_on_the_session(self, ada: User) -> None:
        session = a_session(ada)
        records = [
            RecordEvent(1, "upstream.lost", {"code": "upstream.lost"}),
            RecordEvent(2, "response.done", {"status": "failed"}),
            RecordEvent(3, "response.done", {"status": "completed"}),
            *(RecordTurn(f"r{ms}", "i", "completed", response_latency_ms=ms) for ms in (500, 2_000, 700)),
        ]
        services.write_entries([Entry(session.pk, None, record) for record in records])
        session.refresh_from_db()
        assert (session.errors, session.slowest_ms) == (2, 2_000)

    def test_the_longest_latency_of_a_session_is_that_of_its_waterfalls(self, ada: User) -> None:
        session = a_session(ada)
        marks = [
            TurnMarks("r1", input_ended_ms=9_000, silence_ms=500, created_ms=9_100, first_delta_ms=9_300),
            TurnMarks("r2", input_ended_ms=20_000, silence_ms=None, created_ms=20_100, first_delta_ms=20_300),
        ]
        for mark, heard_ms in zip(marks, (9_400, 20_450), strict=True):
            mark.heard(heard_ms, heard_ms)
        services.write_entries([Entry(session.pk, None, mark.record()) for mark in marks])
        session.refresh_from_db()
        drawn = waterfalls(session.turn_rows.order_by("pk"))
        assert [row.total_ms for row in drawn] == [500 + 400, 450]
        assert [sum(stage.ms for stage in row.stages) for row in drawn] == [900, 450]
        assert session.slowest_ms == 900


class TestPage:
    def test_it_shows_what_happened_and_filters_its_events(self, operators: Client, ada: User) -> None:
        session = a_session(ada, ended_at=timezone.now(), end_reason="idle", slowest_ms=600)
        Turn.objects.create(session=session, **{**ANSWER, "response_id": "resp_7", "status": "completed"})
        for at_ms, name in ((1, "upstream.ready"), (500, "speech.started"), (900, "speech.stopped")):
            SessionEvent.objects.create(session=session, at_ms=at_ms, name=name)
        UsageRecord.objects.create(session=session, meter="response", reference="resp_7", text_in=3, usd=None)
        url = f"{LIST}{session.pk}/change/"
        body = operators.get(url).content.decode()
        for part in (
            'class="heard"',
            'class="unheard"',
            'class="person"',
            "500 + 200 + 300 + 100",
            "unknown price",
        ):
            assert part in body, part
        assert "style=" not in body.partition("voice-timeline")[2].partition("All of the row")[0]
        narrowed = operators.get(url, {"events": "speech.stopped"}).content.decode()
        assert "<td>speech.stopped</td>" in narrowed
        assert "<td>speech.started</td>" not in narrowed

    def test_numbers_are_those_of_svg_in_any_language(self, operators: Client, ada: User) -> None:
        session = a_session(ada)
        SessionEvent.objects.create(session=session, at_ms=333, name="speech.started")
        SessionEvent.objects.create(session=session, at_ms=777, name="speech.stopped")
        url = f"{LIST}{session.pk}/change/"
        body = operators.get(url, headers={"accept-language": "de"}).content.decode()
        drawing = body.partition('class="voice-picture" width')[2].partition("</svg>")[0]
        assert 'class="person" x="' in drawing
        assert not [
            part for part in drawing.split('"')[1::2] if "," in part and part.replace(",", "").isdigit()
        ]


class TestFile:
    def test_chosen_sessions_are_a_file_and_who_took_it_is_noted(self, operators: Client, ada: User) -> None:
        User.objects.filter(pk=ada.pk).update(username="=ada()")
        chosen = a_session(ada, ended_at=timezone.now(), end_reason="idle", slowest_ms=600, cost_usd="0")
        a_session(ada)
        answer = operators.post(LIST, {"action": "export_csv", "_selected_action": [str(chosen.pk)]})
        assert answer["Content-Disposition"] == 'attachment; filename="sessions.csv"'
        [line] = list(csv.DictReader(io.StringIO(answer.content.decode())))
        assert (line["id"], line["end_reason"], line["slowest_ms"]) == (str(chosen.pk), "idle", "600")
        assert line["user"] == "'=ada()"  # no formula for a spreadsheet
        assert (line["rtt_ms"], line["cost_usd"], line["ended_at"][-6:]) == ("", "0.00000000", "+00:00")
        assert not {"auth_hash", "login_key", "user_agent"} & line.keys()
        noted = AuditEntry.objects.get()
        assert (noted.action, noted.reason) == (audit.Action.EXPORT_USAGE, "1 sessions")


class TestEnding:
    def end(self, page: Client, session: RealtimeSession) -> Any:
        chosen = {"action": "end_sessions", "_selected_action": [str(session.pk)]}
        return page.post(LIST, chosen, follow=True)

    def test_an_operator_ends_a_live_session_and_its_process_is_told(
        self, operators: Client, ada: User
    ) -> None:
        session = a_session(ada, lease_until=timezone.now() + timedelta(minutes=1))
        assert "within ten seconds" in self.end(operators, session).content.decode()
        assert leases.renew_leases([session.pk]) == {session.pk: "operator"}

    def test_an_ended_session_keeps_its_reason(self, operators: Client, ada: User) -> None:
        session = a_session(ada, ended_at=timezone.now(), end_reason="idle")
        self.end(operators, session)
        session.refresh_from_db()
        assert session.end_reason == "idle"

    def test_the_page_of_a_live_session_has_a_button_for_it(self, operators: Client, ada: User) -> None:
        session = a_session(ada, lease_until=timezone.now() + timedelta(minutes=1))
        page, button = f"{LIST}{session.pk}/change/", f"{LIST}{session.pk}/end/"
        assert f'action="{button}"' in operators.get(page).content.decode()
        assert "within ten seconds" in operators.post(button, follow=True).content.decode()
        assert leases.renew_leases([session.pk]) == {session.pk: "operator"}
        assert button not in operators.get(page).content.decode()
        assert "over already" in operators.post(button, follow=True).content.decode()
        assert operators.get(button).status_code == 405

    def test_who_may_only_look_has_no_button(self, ada: User, page_of: Callable[[User], Client]) -> None:
        looker = User.objects.create_user("looker", is_staff=True)
        looker.user_permissions.set(Permission.objects.filter(codename="view_realtimesession"))
        session = a_session(ada)
        assert "/end/" not in page_of(looker).get(f"{LIST}{session.pk}/change/").content.decode()
        assert page_of(looker).post(f"{LIST}{session.pk}/end/").status_code == 403
        session.refresh_from_db()
        assert session.ended_at is None

    def test_who_may_only_look_may_not_end(self, ada: User, page_of: Callable[[User], Client]) -> None:
        looker = User.objects.create_user("looker", is_staff=True)
        looker.user_permissions.set(Permission.objects.filter(codename="view_realtimesession"))
        session = a_session(ada)
        self.end(page_of(looker), session)
        session.refresh_from_db()
        assert session.ended_at is None


class TestWhatThePageSays:
    def test_no_name_that_a_page_gives_a_fact_breaks_the_page_of_its_session(
        self, operators: Client, ada: User
    ) -> None:
        session = a_session(ada)
        facts = {"items": 7, "keys": "k", "0": "<b>", "rate": 48_000}
        SessionEvent.objects.create(session=session, at_ms=1, name="browser.attached", data=facts)
        body = operators.get(f"{LIST}{session.pk}/change/").content.decode()
        assert "items: 7" in body
        assert "0: &lt;b&gt;" in body


class TestPresets:
    def test_each_finds_its_own(self, operators: Client, ada: User) -> None:
        a_session(ada)
        rows = {
            "slow": a_session(ada, slowest_ms=9_000),
            "errored": a_session(ada, errors=1),
            "expensive": a_session(ada, cost_usd=3),
            "unpriced": a_session(ada, cost_complete=False),
        }
        for preset, session in rows.items():
            found = operators.get(LIST, {"trouble": preset}).context["cl"].result_list
            assert [row.pk for row in found] == [session.pk], preset

    def test_an_end_of_the_upstream_counts_as_an_error(self, operators: Client, ada: User) -> None:
        a_session(ada, end_reason="person_ended")
        broken = a_session(ada, end_reason="upstream_auth")
        found = operators.get(LIST, {"trouble": "errored"}).context["cl"].result_list
        assert [row.pk for row in found] == [broken.pk]


class TestDashboard:
    def test_figures_of_a_day(self, ada: User) -> None:
        now = timezone.now()
        first = a_session(ada, interruptions=2, turns=3, cost_usd="0.25", errors=1, end_reason="idle")
        RealtimeSession.objects.filter(pk=first.pk).update(
            started_at=now - timedelta(hours=2), ended_at=now - timedelta(hours=1)
        )
        SessionEvent.objects.create(
            session=first, at_ms=1, name="upstream.error", data={"code": "server_error"}
        )
        for ms in range(1, 101):
            Turn.objects.create(
                session=first, response_id=f"r{ms}", status="completed", response_latency_ms=ms * 10
            )
        old = a_session(ada, interruptions=50)
        RealtimeSession.objects.filter(pk=old.pk).update(started_at=now - timedelta(days=3))
        figures = dashboard("day")
        sums = figures["sums"]
        assert (sums.sessions, sums.interruptions, sums.answers, sums.errored) == (1, 2, 3, 1)
        assert (figures["minutes"], figures["usd"], figures["live"]) == (60, Decimal("0.25"), 0)
        assert figures["latency"] == {"p50": 500, "p95": 950, "p99": 990}
        assert figures["errors"] == [("server_error", 1)]
        assert figures["models"] == [("m", 1, Decimal("0.25"))]
        assert dashboard("week")["sums"].interruptions == 52

    def test_its_charts_hold_every_session_once(self, ada: User) -> None:
        for _ in range(5):
            a_session(ada)
        for period in ("day", "week", "month"):
            chart = dashboard(period)["charts"][0]
            assert sum(int(bar.title.rpartition(" ")[2]) for bar in chart.bars) == 5

    @pytest.mark.parametrize("period", ["day", "week", "month", "nonsense"])
    def test_the_page_asks_few_questions(
        self,
        operators: Client,
        ada: User,
        period: str,
        django_assert_max_num_queries: DjangoAssertNumQueries,
    ) -> None:
        for _ in range(30):
            a_session(ada)
        operators.get(f"{LIST}dashboard/", {"period": period})  # keeps the hours that are settled
        with django_assert_max_num_queries(14):  # the two hours that are not settled yet take four each
            answer = operators.get(f"{LIST}dashboard/", {"period": period})
        assert answer.status_code == 200
        assert "Most at once" in answer.content.decode()

    def test_it_is_for_those_who_may_see_sessions(self, db: None, page_of: Callable[[User], Client]) -> None:
        staff = User.objects.create_user("staff", is_staff=True)
        assert page_of(staff).get(f"{LIST}dashboard/").status_code == 403


class TestProbeButton:
    def test_it_runs_and_keeps_the_probe(self, operators: Client, settings: Any) -> None:
        settings.REALTIME_BASE_URL = "ws://127.0.0.1:1/v1/realtime"  # nobody listens there
        page = operators.get("/admin/realtime/proberun/").content.decode()
        assert f"talks to ws://127.0.0.1:1/v1/realtime, model {settings.REALTIME_MODEL}, voice" in page
        answer = operators.post("/admin/realtime/proberun/run/", follow=True)
        assert "tcp_refused" in answer.content.decode()
        assert (ProbeRun.objects.get().fault, ProbeRun.objects.get().by) == ("tcp_refused", "operator")

    def test_a_run_is_shown_stage_by_stage_and_a_failed_one_stands_out(self, operators: Client) -> None:
        stages = [
            {"name": "tls", "ok": None, "ms": 0.0, "fault": ""},
            {"name": "upgrade", "ok": False, "ms": 12.5, "fault": "auth_401", "status": 401},
        ]
        run = ProbeRun.objects.create(
            ok=False, fault="auth_401", url="u", model="m", total_ms=13, stages=stages
        )
        ProbeRun.objects.create(ok=True, url="u", model="m", total_ms=13)
        body = operators.get(f"/admin/realtime/proberun/{run.pk}/change/").content.decode()
        assert "tls: n/a<br>upgrade: FAIL, 12.5 ms, status 401<br>" in body
        assert operators.get("/admin/realtime/proberun/").content.decode().count('<rect class="bad"') == 1

    def test_it_takes_a_post_and_the_permission(
        self, operators: Client, page_of: Callable[[User], Client]
    ) -> None:
        assert operators.get("/admin/realtime/proberun/run/").status_code == 405
        looker = User.objects.create_user("looker", is_staff=True)
        looker.user_permissions.set(Permission.objects.filter(codename="view_proberun"))
        page = page_of(looker)
        assert page.post("/admin/realtime/proberun/run/").status_code == 403
        assert "Run probe" not in page.get("/admin/realtime/proberun/").content.decode()
