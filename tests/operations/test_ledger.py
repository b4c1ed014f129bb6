"""The ledger: exact money, no guesses, written once; what a recalculation shows; the export."""

from __future__ import annotations

import csv
import io
import json
import random
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.utils import timezone

from realtime import ledger, services
from realtime.conf import RelayConfig
from realtime.effects import RecordUsage, SendBrowser
from realtime.journal import Entry
from realtime.models import RateCard, RealtimeSession, UsageRecord
from realtime.session import Session
from realtime.usage import Rate, Rates, cost_usd

BIG = Rate(*map(Decimal, ("4", "0.40", "24", "32", "0.40", "64", "5", "0.50")))
MODEL = "gpt-realtime-2.1"


def card(model: str = MODEL, days_ago: int = 30, **prices: Any) -> RateCard:
    values = prices or {name: getattr(BIG, name) for name in ledger.PRICES}
    RateCard.objects.filter(model=model, valid_from__gte=timezone.now() - timedelta(days=days_ago)).delete()
    return RateCard.objects.create(
        model=model, valid_from=timezone.now() - timedelta(days=days_ago), **values
    )


def a_session(user: User, engine: str = "openai", model: str = MODEL) -> RealtimeSession:
    return RealtimeSession.objects.create(id=uuid4(), user=user, modality="voice", engine=engine, model=model)


def write(session: RealtimeSession, *records: RecordUsage) -> None:
    services.write_entries([Entry(session.pk, None, record) for record in records])
    session.refresh_from_db()


class TestArithmetic:
    def test_cached_tokens_are_a_part_of_the_input_and_cost_less(self) -> None:
        used = RecordUsage("response", "r", text_in=1_000, cached_text=400, audio_in=2_000, cached_audio=500)
        # 600 * 4 + 400 * 0.4 + 1500 * 32 + 500 * 0.4, per million
        assert cost_usd(used, BIG) == Decimal("0.05076000")

    def test_every_modality_has_its_price(self) -> None:
        used = RecordUsage("response", "r", text_out=10, audio_out=100, image_in=1_000, cached_image=1_000)
        assert cost_usd(used, BIG) == Decimal("0.00714000")

    def test_a_price_that_is_missing_is_not_guessed(self) -> None:
        used = RecordUsage("response", "r", text_in=1, image_in=1)
        assert cost_usd(used, Rate(text_in=Decimal(4))) is None
        assert cost_usd(used, None) is None
        assert cost_usd(RecordUsage("response", "r", text_in=1), Rate(text_in=Decimal(4))) is not None

    def test_minutes_are_priced_by_the_second(self) -> None:
        per_minute = Rate(per_minute=Decimal("0.0045"))
        assert cost_usd(RecordUsage("transcription", "i", seconds=20.0), per_minute) == Decimal("0.00150000")

    def test_another_unit_than_the_price_has_no_price(self) -> None:
        assert cost_usd(RecordUsage("transcription", "i", audio_in=50), Rate(per_minute=Decimal(1))) is None
        assert cost_usd(RecordUsage("transcription", "i", seconds=5.0), BIG) is None

    def test_nothing_used_costs_nothing(self) -> None:
        assert cost_usd(RecordUsage("response", "r"), BIG) == 0


@pytest.mark.django_db
class TestSessionTime:
    def minutes_of(self, ends_at_ms: int, *, ticks: bool = True, away_ms: int = 0) -> list[RecordUsage]:
        """The blocks of a session that ends then, with or without a timer that works, or a page that was away."""
        relay_config = RelayConfig(
            upstream_url="ws://127.0.0.1:1/v1/realtime", model=MODEL, voice="marin", instructions="x"
        )
        session = Session(relay_config, random.Random(1))
        effects = session.attach({"uplink_samples": 0}, 0)
        session.upstream_opened(1)
        session.upstream_event({"type": "session.updated"}, 2)
        for now_ms in range(10_000, ends_at_ms, 10_000) if ticks else ():
            effects += session.browser_message({"type": "ping", "t": 1}, now_ms)
            effects += session.browser_message({"type": "interrupt"}, now_ms)  # the person is still there
            effects += session.tick(now_ms)
            if now_ms == away_ms:
                effects += session.browser_gone(now_ms)
                effects += session.attach({"uplink_samples": 0}, now_ms + 5_000)
        effects += session.end("person_ended", ends_at_ms)
        return [effect for effect in effects if isinstance(effect, RecordUsage)]

    @pytest.mark.parametrize("ends_at_ms", [1, 59_999, 60_000, 60_001, 205_500])
    @pytest.mark.parametrize("ticks", [True, False])
    def test_the_blocks_of_a_session_are_its_length(self, ends_at_ms: int, ticks: bool) -> None:
        rows = self.minutes_of(ends_at_ms, ticks=ticks)
        assert round(sum(row.seconds for row in rows) * 1000) == ends_at_ms
        assert all(0 < row.seconds <= 60 for row in rows)
        assert len({row.reference for row in rows}) == len(rows) == -(-ends_at_ms // 60_000)

    @pytest.mark.parametrize("away_ms", [20_000, 60_000, 110_000])
    def test_a_page_that_comes_back_begins_no_minute_anew(self, away_ms: int) -> None:
        rows = self.minutes_of(150_000, away_ms=away_ms)
        assert [row.reference for row in rows] == ["minute_1", "minute_2", "minute_3"]
        assert sum(row.seconds for row in rows) == 150

    def test_the_first_minutes_of_two_sessions_are_two_rows(self, ada: User) -> None:
        [first] = self.minutes_of(30_000)
        sessions = [a_session(ada), a_session(ada)]  # another process took the conversation over
        for _again in range(2):  # a spilled record may come twice
            for session in sessions:
                write(session, first)
        assert [row.seconds for row in UsageRecord.objects.order_by("pk")] == [30, 30]

    def test_a_full_minute_is_kept_when_it_is_over_not_at_the_end(self, ada: User) -> None:
        session = a_session(ada)
        full, part = self.minutes_of(90_000)
        card(session_per_minute=Decimal("0.06"))
        write(session, full)
        assert session.cost_usd == Decimal("0.06")
        write(session, part)
        assert session.cost_usd == Decimal("0.09")

    def test_time_that_no_card_prices_costs_nothing_and_time_without_a_card_has_no_price(self) -> None:
        [used] = self.minutes_of(30_000)
        assert cost_usd(used, BIG) == 0
        assert cost_usd(used, None) is None


@pytest.mark.django_db
class TestRows:
    def test_the_first_cards_are_those_of_the_price_list(self) -> None:
        # Other tests may have emptied the table; the migration itself is what is looked at.
        from importlib import import_module

        first = import_module("realtime.migrations.0003_first_rate_cards")
        assert first.TOKENS[MODEL] == ("4", "0.40", "24", "32", "0.40", "64", "5", "0.50")
        assert first.MINUTES["gpt-transcribe"] == "0.0045"

    def test_a_row_keeps_its_cost_and_its_card(self, ada: User) -> None:
        valid, session = card(), a_session(ada)
        write(session, RecordUsage("response", "r", text_in=1_000, model=MODEL))
        row = session.usage.get()
        assert (row.usd, row.rate_card, row.model) == (Decimal("0.004"), valid, MODEL)
        assert (session.cost_usd, session.cost_complete) == (Decimal("0.004"), True)

    def test_a_record_that_comes_twice_counts_once(self, ada: User) -> None:
        card()
        session = a_session(ada)
        for _ in range(2):
            write(session, RecordUsage("response", "r", text_in=1_000, model=MODEL))
        assert session.cost_usd == Decimal("0.004")

    def test_the_card_of_the_day_counts_not_a_later_one(self, ada: User) -> None:
        RateCard.objects.filter(model=MODEL).delete()
        for days, price in ((60, 1), (10, 2), (-10, 3)):
            RateCard.objects.create(
                model=MODEL, valid_from=timezone.now() - timedelta(days=days), text_in=Decimal(price)
            )
        session = a_session(ada)
        write(session, RecordUsage("response", "r", text_in=1_000_000, model=MODEL))
        assert session.cost_usd == 2

    def test_an_unknown_price_is_said(self, ada: User) -> None:
        session = a_session(ada, model="gpt-realtime-99")
        write(session, RecordUsage("response", "r", text_in=5, model="gpt-realtime-99"))
        assert session.usage.get().usd is None
        assert session.cost_complete is False

    def test_the_local_engine_costs_nothing(self, ada: User) -> None:
        session = a_session(ada, engine="local")
        write(session, RecordUsage("response", "r", audio_out=9_000, model=MODEL))
        assert (session.cost_usd, session.cost_complete, session.usage.get().usd) == (0, True, 0)

    def test_a_recalculation_shows_and_does_not_rewrite(self, ada: User, capsys: Any) -> None:
        valid, session = card(), a_session(ada)
        write(session, RecordUsage("response", "r", text_in=1_000, model=MODEL))
        RateCard.objects.filter(pk=valid.pk).update(text_in=8)
        [(row, now)] = list(ledger.differences(UsageRecord.objects.all()))
        assert (row.usd, now) == (Decimal("0.004"), Decimal("0.008"))
        call_command("realtime_ledger", "recalculate")
        assert "0.00400000" in capsys.readouterr().out
        assert session.usage.get().usd == Decimal("0.004")

    @pytest.mark.parametrize(("by", "name"), [("user", "ada"), ("model", MODEL)])
    def test_totals(self, ada: User, by: str, name: str) -> None:
        card()
        session = a_session(ada)
        write(session, *(RecordUsage("response", f"r{n}", text_in=1_000, model=MODEL) for n in range(3)))
        [row] = ledger.totals(UsageRecord.objects.all(), by)
        assert (row["name"], row["rows"], row["total_usd"]) == (name, 3, Decimal("0.012"))
        write(session, RecordUsage("session_time", "minute_1", seconds=90, model=MODEL))
        assert [row["minutes"] for row in ledger.totals(UsageRecord.objects.all(), by)] == [1.5]
        assert (row["sum_text_in"], row["unknown"]) == (3_000, 0)

    def test_totals_of_a_day(self, ada: User) -> None:
        write(a_session(ada, engine="local"), RecordUsage("response", "r", text_in=7))
        [row] = ledger.totals(UsageRecord.objects.all(), "day")
        assert row["name"] == timezone.now().date()

    def test_export_as_csv_and_json_lines(self, ada: User) -> None:
        card()
        User.objects.filter(pk=ada.pk).update(username="=cmd()")
        write(a_session(User.objects.get()), RecordUsage("response", "r", text_in=1_000, model=MODEL))
        rows = UsageRecord.objects.all()
        [line] = list(csv.DictReader(io.StringIO("".join(ledger.export(rows, "csv")))))
        assert (line["usd"], line["text_in"]) == ("0.00400000", "1000")
        assert line["user"] == "'=cmd()"  # no formula for a spreadsheet
        data = json.loads("".join(ledger.export(rows, "jsonl")))
        assert (data["usd"], data["user"]) == ("0.00400000", "=cmd()")

    def test_what_costs_nothing_is_a_number_that_people_read(self, ada: User) -> None:
        write(a_session(ada, engine="local"), RecordUsage("response", "r", text_in=7))
        rows = UsageRecord.objects.all()
        [line] = list(csv.DictReader(io.StringIO("".join(ledger.export(rows, "csv")))))
        assert line["usd"] == "0.00000000"

    @pytest.mark.parametrize(
        "first", ["=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20"]
    )
    def test_no_cell_of_the_csv_is_a_formula(self, ada: User, first: str) -> None:
        name = f"{first}cmd|'/c calc'!A1"
        User.objects.filter(pk=ada.pk).update(username=name)
        write(a_session(User.objects.get(), model=name), RecordUsage("response", name, text_in=1, model=name))
        text = "".join(ledger.export(UsageRecord.objects.all(), "csv"))
        [line] = list(csv.DictReader(io.StringIO(text, newline="")))
        cells = [line["user"], line["model"], line["reference"]]
        assert cells == [f"'{name}"] * 3

    def test_the_ledger_sums_to_the_upstreams_own_count(self, ada: User) -> None:
        card()
        row = a_session(ada)
        relay_config = RelayConfig(
            upstream_url="ws://127.0.0.1:1/v1/realtime", model=MODEL, voice="marin", instructions="x"
        )
        session, dice = Session(relay_config, random.Random(1)), random.Random(7)
        session.attach({"uplink_samples": 0}, 0)
        session.upstream_opened(1)
        session.upstream_event({"type": "session.updated"}, 2)
        counted, records = {"text_in": 0, "audio_in": 0, "cached_audio": 0, "audio_out": 0, "text_out": 0}, []
        for number in range(1_000):
            text, audio, out, words = (dice.randint(0, 5_000) for _ in range(4))
            cached = dice.randint(0, audio)
            for name, value in zip(counted, (text, audio, cached, out, words), strict=True):
                counted[name] += value
            usage = {
                "output_tokens": out + words,
                "input_token_details": {
                    "text_tokens": text,
                    "audio_tokens": audio,
                    "cached_tokens_details": {"text_tokens": 0, "audio_tokens": cached},
                },
                "output_token_details": {"text_tokens": words, "audio_tokens": out},
            }
            response = {"id": f"resp_{number}", "status": "completed", "usage": usage}
            session.upstream_event({"type": "response.created", "response": response}, number)
            effects = session.upstream_event({"type": "response.done", "response": response}, number)
            records += [effect for effect in effects if isinstance(effect, RecordUsage)]
        write(row, *records)
        [total] = ledger.totals(UsageRecord.objects.all(), "model")
        assert {name: total[f"sum_{name}"] for name in counted} == counted
        assert total["total_usd"] == row.cost_usd == sum(usage.usd for usage in row.usage.all())


def test_the_page_is_told_the_running_cost() -> None:
    def told(rates: Rates) -> list[tuple[float | None, bool]]:
        relay_config = RelayConfig(
            upstream_url="ws://127.0.0.1:1/v1/realtime",
            model=MODEL,
            voice="marin",
            instructions="x",
            rates=rates,
        )
        session = Session(relay_config, random.Random(1))
        session.attach({"uplink_samples": 0}, 0)
        session.upstream_opened(0)
        session.upstream_event({"type": "session.updated"}, 0)
        found = []
        for number in range(2):
            response = {
                "id": f"r{number}",
                "status": "completed",
                "usage": {"input_token_details": {"text_tokens": 1_000}},
            }
            session.upstream_event({"type": "response.created", "response": response}, number)
            effects = session.upstream_event({"type": "response.done", "response": response}, number)
            found += [
                e.message for e in effects if isinstance(e, SendBrowser) and e.message["type"] == "usage"
            ]
        return [(message["cost_usd"], message["cost_complete"]) for message in found]

    assert told(Rates(by_model={MODEL: BIG})) == [(0.004, True), (0.008, True)]
    assert told(Rates(free=True)) == [(0.0, True), (0.0, True)]
    assert told(Rates()) == [(None, False), (None, False)]
