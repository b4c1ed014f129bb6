"""The probe against the scripted server: every fault is named, every stage timed, nothing said is kept."""

from __future__ import annotations

import io
import json
import re
import socket
import wave
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command

from realtime import probe_sentence, upstream_events
from realtime.conf import RelayConfig
from realtime.local.faults import CATALOGUE
from realtime.local.server import LocalConfig, LocalServer
from realtime.models import ProbeRun
from realtime.probe import Deadlines, Probe
from realtime.probe_display import Display
from realtime.probe_faults import (
    FAULTS,
    STAGES,
    Report,
    Stage,
    fault_of_close,
    fault_of_status,
    percentiles,
    word_match,
)
from realtime.probe_sentence import Sentence, from_file
from tests.local.talker import tone

WORDS = "Hello, can you hear me?"
SCRIPT = [{"says": "Hello to you."}, {"hears": WORDS, "says": "Yes, I can hear you.", "audio_ms": 1_500}]
QUICK = Deadlines(connect_s=0.5, event_s=0.5, answer_s=1.0)


def upstream_with(*faults: Any, script: Any = SCRIPT, **config: Any) -> LocalServer:
    return LocalServer(LocalConfig(mode="scripted", port=0, script=script, faults=faults, **config))


def config_of(url: str, **fields: Any) -> RelayConfig:
    return RelayConfig(
        upstream_url=url,
        instructions="Be brief.",
        **{"model": "gpt-realtime-2.1", "voice": "marin", **fields},
    )


async def probed(url: str, deadlines: Deadlines | None = None, words: str = WORDS, **fields: Any) -> Report:
    probe = Probe(
        config_of(url, **fields), sentence=Sentence(tone(1_000), words), deadlines=deadlines or Deadlines()
    )
    return await probe.run()


def stage(report: Report, name: str) -> Stage:
    return next(stage for stage in report.stages if stage.name == name)


async def test_all_stages_of_a_healthy_service_are_timed() -> None:
    async with upstream_with() as upstream:
        report = await probed(upstream.url)
    assert (report.fault, report.exit_code) == ("", 0)
    assert [row.name for row in report.stages] == list(STAGES)
    assert stage(report, "tls").ok is None  # plain ws:// on this machine
    assert all(row.ms > 0 for row in report.stages if row.ok and row.name != "rate_limits")
    spoken = stage(report, "spoken_turn").detail
    assert (spoken["audio_ms"], spoken["transcript_match"]) == (1_500, 1.0)
    assert 0 < spoken["first_audio_ms"] <= stage(report, "spoken_turn").ms
    assert stage(report, "text_turn").detail["first_token_ms"] > 0
    assert stage(report, "rate_limits").detail["limits"][0]["name"] in ("requests", "tokens")


async def test_what_the_probe_says_is_what_the_relay_says() -> None:
    from tests.realtime.conftest import judge

    async with upstream_with() as upstream:
        await probed(upstream.url)
        judge(upstream)


@pytest.mark.parametrize(
    ("fault", "name", "at_stage"),
    [
        ({"name": "refuse", "status": 401}, "auth_401", "upgrade"),
        ({"name": "refuse", "status": 403}, "auth_403", "upgrade"),
        ({"name": "refuse", "status": 404}, "not_found_404", "upgrade"),
        ({"name": "refuse", "status": 407}, "proxy_answered", "upgrade"),
        ({"name": "refuse", "status": 503}, "server_error_5xx", "upgrade"),
        ({"name": "rate_limited", "retry_after": 7}, "rate_limited_429", "upgrade"),
        ({"name": "stall", "at": "handshake"}, "no_answer", "upgrade"),
        ({"name": "stall", "after_events": 1}, "no_answer", "session_updated"),
        ({"name": "stall", "at": "response.created"}, "no_answer", "text_turn"),
        ({"name": "stall", "at": "response.output_audio.delta"}, "no_answer", "spoken_turn"),
        ({"name": "drop", "after_events": 1}, "lost", "session_updated"),
        ({"name": "drop", "at": "response.created", "code": 1011}, "lost", "text_turn"),
        ({"name": "malformed", "at": "response.created"}, "malformed", "text_turn"),
        ({"name": "expire", "at": "response.created"}, "session_expired", "text_turn"),
    ],
    ids=lambda value: str(value) if isinstance(value, str) else None,
)
async def test_a_fault_is_named_at_the_stage_where_it_strikes(fault: Any, name: str, at_stage: str) -> None:
    async with upstream_with(fault) as upstream:
        report = await probed(upstream.url, QUICK)
    assert (report.fault, report.stages[-1].name) == (name, at_stage)
    assert report.exit_code == FAULTS[name].exit_code > 0
    assert report.advice.endswith(".")


@pytest.mark.parametrize(
    ("fault", "warning"),
    [
        ({"name": "unknown_event", "at": "response.created"}, "unknown types"),
        ({"name": "flood", "at": "response.created", "count": 30}, "unknown types"),
        ({"name": "slow", "ms": 1_100, "at": "session.created"}, "session_updated was slow"),
    ],
)
async def test_what_a_relay_survives_is_a_remark(fault: Any, warning: str) -> None:
    async with upstream_with(fault) as upstream:
        probe = Probe(config_of(upstream.url), until="session_updated" if "slow" in warning else "text_turn")
        report = await probe.run()
    assert report.ok
    assert any(warning in text for text in report.warnings)


def test_every_fault_that_the_local_server_knows_is_tried_here() -> None:
    tried = Path(__file__).read_text("utf-8")
    assert [name for name in CATALOGUE if f'{{"name": "{name}"' not in tried] == []


async def test_how_long_to_wait_is_passed_on() -> None:
    async with upstream_with({"name": "rate_limited", "retry_after": 7}) as upstream:
        report = await probed(upstream.url)
    assert stage(report, "upgrade").detail == {"status": 429, "retry_after_s": 7.0}


async def test_a_model_that_was_shut_down_is_named() -> None:
    async with upstream_with() as upstream:
        report = await probed(upstream.url, model="turnip-1")
    assert report.fault == "model_expired"


async def test_a_configuration_that_is_refused_is_named() -> None:
    async with upstream_with() as upstream:
        report = await probed(upstream.url, max_output_tokens=999_999)
    assert (report.fault, report.stages[-1].name) == ("config_refused", "session_updated")


async def test_an_upstream_that_knows_no_probabilities_is_probed_as_a_call_would_talk_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upstream_events, "LOGPROBS", "what.no.server.knows")
    async with upstream_with() as upstream:
        report = await probed(upstream.url)
    assert report.ok


async def test_an_answer_that_fails_is_named_by_its_code() -> None:
    script = [{"fails": {"code": "insufficient_quota", "message": "secret words"}}]
    async with upstream_with(script=script) as upstream:
        report = await probed(upstream.url)
    assert report.fault == "quota"
    assert "secret words" not in json.dumps(report.as_data())


async def test_other_words_than_were_said_are_a_fault() -> None:
    script = [{"says": "Hello."}, {"hears": "Turnips under the shed", "says": "What?"}]
    async with upstream_with(script=script) as upstream:
        report = await probed(upstream.url)
    assert report.fault == "transcript_differs"
    assert "Turnips" not in json.dumps(report.as_data())


async def test_a_closed_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert (await probed(f"ws://127.0.0.1:{port}/v1/realtime")).fault == "tcp_refused"


async def test_a_name_that_does_not_exist_is_named() -> None:
    assert (await probed("wss://no-such-host.invalid/v1/realtime")).fault in ("name_lookup", "proxy_needed")


async def test_a_plain_port_asked_for_tls_is_named() -> None:
    async with upstream_with() as upstream:
        report = await probed(upstream.url.replace("ws://127.0.0.1", "wss://localhost"), QUICK)
    assert (report.fault, report.stages[-1].name) == ("tls_failed", "tls")


async def test_a_plain_address_elsewhere_is_not_dialled() -> None:
    assert (await probed("ws://voice.example.org/v1/realtime")).fault == "bad_address"


async def test_it_stops_after_the_stage_that_was_asked_for() -> None:
    async with upstream_with() as upstream:
        for last in ("tcp", "upgrade", "session_updated"):
            report = await Probe(config_of(upstream.url), until=last).run()
            assert report.stages[-1].name == last


@pytest.mark.parametrize(
    ("status", "name"), [(101 + 99, "proxy_answered"), (302, "proxy_answered"), (418, "upgrade_refused")]
)
def test_statuses_nobody_expects_have_names_too(status: int, name: str) -> None:
    assert fault_of_status(status) == name


def test_a_close_that_names_its_reason_is_taken_at_its_word() -> None:
    assert fault_of_close(3000, "invalid_request_error.invalid_api_key") == "auth_401"
    assert fault_of_close(4000, "invalid_request_error.beta_api_shape_disabled") == "beta_header"
    assert fault_of_close(1011, "keepalive ping timeout") == "lost"


def test_percentiles_are_those_of_the_runs_that_worked() -> None:
    reports = [Report("u", "m", [Stage("tcp", True, float(ms))]) for ms in range(1, 101)]
    reports.append(Report("u", "m", [Stage("tcp", False, 9_999.0, fault="tcp_refused")]))
    assert percentiles(reports) == {"tcp": {"p50": 50.0, "p95": 95.0, "p99": 99.0, "count": 100}}


def test_percentiles_are_told_of_the_first_token_and_the_first_sound_too() -> None:
    said = Stage("text_turn", True, 900.0, {"first_token_ms": 300.0})
    spoken = Stage("spoken_turn", True, 1_900.0, {"first_audio_ms": 700.0, "audio_ms": 2_000})
    cut = Stage("spoken_turn", False, 10.0, {"first_audio_ms": 5.0}, "transcript_differs")
    found = percentiles([Report("u", "m", [said, spoken]), Report("u", "m", [said, cut])])
    assert list(found) == ["text_turn", "spoken_turn", "first_token", "first_audio"]
    assert (found["first_token"]["p50"], found["first_token"]["count"]) == (300.0, 2)
    assert found["first_audio"] == {"p50": 700.0, "p95": 700.0, "p99": 700.0, "count": 1}


@pytest.mark.parametrize(
    ("understood", "share"), [(WORDS, 1.0), ("hello can you hear", 0.8), ("", 0.0), ("hello hello", 0.2)]
)
def test_words_are_counted_once_each(understood: str, share: float) -> None:
    assert word_match(WORDS, understood) == pytest.approx(share)


class TestAudioFiles:
    def write(self, path: Path, rate_hz: int, channels: int, frames: int) -> Path:
        with wave.open(str(path), "wb") as file:
            file.setparams((channels, 2, rate_hz, 0, "NONE", "NONE"))
            file.writeframes(bytes(2 * channels * frames))
        return path

    @pytest.mark.parametrize(("rate_hz", "channels"), [(24_000, 1), (48_000, 2), (16_000, 1)])
    def test_any_rate_and_number_of_channels_becomes_24_khz_mono(
        self, tmp_path: Path, rate_hz: int, channels: int
    ) -> None:
        sentence = from_file(self.write(tmp_path / "a.wav", rate_hz, channels, rate_hz))
        assert len(sentence.pcm) == pytest.approx(48_000, abs=4)

    def test_what_is_no_wav_is_named_and_exits_with_its_code(
        self, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (tmp_path / "a.wav").write_text("no sound")
        with pytest.raises(SystemExit) as left:
            call_command("realtime_probe", "--json", "--audio", str(tmp_path / "a.wav"))
        assert left.value.code == FAULTS["bad_audio"].exit_code
        assert json.loads(capsys.readouterr().out)["fault"] == "bad_audio"


class Terminal(io.StringIO):
    """A terminal that keeps what it shows: understands "up so many lines" and "erase the rest of the line"."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        lines, at = [""], 0
        text = self.getvalue().replace("\x1b[?7l", "").replace("\x1b[?7h", "")
        for part in re.split(r"(\x1b\[\d*A|\x1b\[K|\n)", text):
            if up := re.fullmatch(r"\x1b\[(\d+)A", part):
                at -= int(up[1])
            elif part == "\n":
                at += 1
                lines += [""] * (at + 1 - len(lines))
            elif part != "\x1b[K" and part:
                lines[at] = part
        return lines[:-1]


class TestDisplay:
    def test_a_terminal_shows_each_stage_once_with_the_running_ones_time(self) -> None:
        now_s = [0.0]
        out = Terminal()
        display = Display(out, lambda stage: f"ok {stage.name}", "tls", clock=lambda: now_s[0])
        display.draw()
        assert [line.split() for line in out.screen()] == [
            ["...", "name_lookup", "0.0", "ms"],
            ["tcp"],
            ["tls"],
        ]
        now_s[0] = 0.5
        display.draw()
        assert out.screen()[0].split() == ["...", "name_lookup", "500.0", "ms"]
        display.over(Stage("name_lookup", True, 510.0))
        assert [line.split() for line in out.screen()] == [
            ["ok", "name_lookup"],
            ["...", "tcp", "0.0", "ms"],
            ["tls"],
        ]
        display.draw(running=False)  # it stopped at a fault: nothing runs any more
        assert [line.strip() for line in out.screen()] == ["ok name_lookup", "-    tcp", "-    tls"]

    async def test_the_command_redraws_on_a_terminal(self, transactional_db: None, settings: Any) -> None:
        out = Terminal()
        async with upstream_with() as upstream:
            with pytest.raises(SystemExit):
                await sync_to_async(call_command)(
                    *("realtime_probe", "--url", upstream.url, "--stage", "session_updated"),
                    stdout=out,
                    no_color=True,
                )
            assert out.screen()[0] == f"{upstream.url}, model {settings.REALTIME_MODEL}"
            assert out.screen()[-1] == "All is well up to session_updated; the rest was not tried."
        shown = [line.split()[:2] for line in out.screen()[1:]]
        assert shown[:2] == [["ok", "name_lookup"], ["ok", "tcp"]]
        assert ["ok", "session_updated"] in shown
        assert out.getvalue().count("\x1b[6A") >= 6


class TestCommand:
    async def run(self, *arguments: str) -> int:
        with pytest.raises(SystemExit) as left:
            await sync_to_async(call_command)("realtime_probe", *arguments)
        return int(left.value.code or 0)

    async def test_json_is_all_there_is_on_standard_output(
        self, transactional_db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with upstream_with() as upstream:
            code = await self.run("--json", "--url", upstream.url, "--stage", "text_turn", "--count", "2")
        data = json.loads(capsys.readouterr().out)
        assert (code, data["ok"]) == (0, True)
        assert {"name", "ok", "ms"} <= data["stages"][0].keys()
        assert data["percentiles"]["text_turn"]["count"] == 2
        assert await ProbeRun.objects.acount() == 2

    async def test_a_failure_is_shown_with_advice_kept_and_told_by_the_exit_code(
        self, transactional_db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with upstream_with({"name": "refuse", "status": 401}) as upstream:
            code = await self.run("--url", upstream.url, "--stage", "session_updated")
        shown = capsys.readouterr().out
        assert code == FAULTS["auth_401"].exit_code
        assert "FAIL upgrade" in shown
        assert FAULTS["auth_401"].advice in shown
        run = await ProbeRun.objects.aget()
        assert (run.ok, run.fault) == (False, "auth_401")

    async def test_all_is_well_is_said_of_what_was_tried(
        self, transactional_db: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        monkeypatch.setattr(probe_sentence, "spoken", lambda: None)
        async with upstream_with() as upstream:
            assert await self.run("--url", upstream.url) == 0
        assert "Written answers work. Speech was not tried" in capsys.readouterr().out
        monkeypatch.setattr(probe_sentence, "spoken", lambda: Sentence(tone(1_000), WORDS))
        async with upstream_with() as upstream:
            assert await self.run("--url", upstream.url) == 0
        assert capsys.readouterr().out.splitlines()[-1] == "Voice works."

    async def test_how_many_of_several_runs_failed_is_told(
        self, transactional_db: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        async with upstream_with({"name": "drop", "at": "response.created", "times": 1}) as upstream:
            code = await self.run("--url", upstream.url, "--stage", "text_turn", "--count", "3")
        assert code == FAULTS["lost"].exit_code
        assert f"lost (1 of 3 runs): {FAULTS['lost'].advice}" in capsys.readouterr().out

    async def test_the_key_goes_to_the_configured_address_only(
        self, transactional_db: None, settings: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from voiceproject.env import Secret

        settings.OPENAI_API_KEY = Secret("sk-of-the-site")
        async with upstream_with(keys=("sk-of-the-site",)) as upstream:
            assert await self.run("--url", upstream.url, "--stage", "upgrade") == FAULTS["auth_401"].exit_code
            assert "without the key" in capsys.readouterr().out
            settings.REALTIME_BASE_URL = upstream.url
            assert await self.run("--stage", "upgrade") == 0
        assert "sk-of-the-site" not in capsys.readouterr().out

    async def test_that_no_key_is_set_is_told_where_one_is_needed(
        self, transactional_db: None, settings: Any, capsys: pytest.CaptureFixture[str]
    ) -> None:
        settings.OPENAI_API_KEY = ""
        assert await self.run("--url", "wss://voice.invalid/v1", "--stage", "name_lookup") == 10
        assert "without a key: OPENAI_API_KEY is not set" in capsys.readouterr().out
        async with upstream_with() as upstream:
            assert await self.run("--url", upstream.url, "--stage", "upgrade") == 0
        assert "without a key" not in capsys.readouterr().out
