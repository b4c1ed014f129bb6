"""The scripted mode: exact, repeatable, and strict about its file."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from realtime.local.errors import BadOption
from realtime.local.script import Script, scripted_pcm
from realtime.local.server import LocalConfig, LocalServer
from tests.local.talker import Talker, silence, tone

HEARD = "conversation.item.input_audio_transcription.completed"


async def voice_turn(turn: dict[str, Any], **config: Any) -> list[dict[str, Any]]:
    """All events of one spoken turn, up to both the end of the answer and the transcript."""
    config = {"mode": "scripted", "port": 0, "script": [turn], **config}
    async with LocalServer(LocalConfig(**config)) as upstream, Talker(upstream.url) as talker:
        await talker.configure(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
        await talker.speak(tone(400) + silence(600))
        while not {"response.done", HEARD} <= set(talker.types()):
            await talker.next()
        return talker.events


def audio_of(events: list[dict[str, Any]]) -> bytes:
    return b"".join(
        base64.b64decode(event["delta"]) for event in events if event["type"] == "response.output_audio.delta"
    )


def place(events: list[dict[str, Any]], kind: str) -> int:
    return [event["type"] for event in events].index(kind)


async def test_the_answer_is_the_scripted_one_to_the_byte() -> None:
    events = await voice_turn({"hears": "a", "says": "b", "audio_ms": 1100})
    assert audio_of(events) == scripted_pcm(0, 0, 1100 * 24)
    sizes = [
        len(base64.b64decode(event["delta"]))
        for event in events
        if event["type"] == "response.output_audio.delta"
    ]
    assert sizes == [12_000] * 4 + [4_800]


async def test_two_runs_with_a_seed_are_the_same_on_the_wire() -> None:
    turn = {"hears": "a b c", "says": "d e f", "audio_ms": 500}
    first, second = [await voice_turn(turn, seed=7) for _ in range(2)]
    for events in (first, second):
        del events[0]["session"]["expires_at"]
        del events[1]["session"]["expires_at"]
    assert first == second


@pytest.mark.parametrize(
    ("when", "earlier", "later"),
    [
        ("before", HEARD, "response.output_item.added"),
        ("during", "response.output_audio.delta", HEARD),
        ("during", HEARD, "response.done"),
        ("after", "response.done", HEARD),
    ],
)
async def test_the_transcript_comes_when_the_script_says(when: str, earlier: str, later: str) -> None:
    events = await voice_turn({"hears": "one two", "says": "three", "audio_ms": 1000, "heard_at": when})
    assert place(events, earlier) < place(events, later)


async def test_a_transcript_does_not_wait_for_an_answer_that_nobody_asked_for() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0)) as upstream, Talker(upstream.url) as talker:
        await talker.configure(
            audio={"input": {"turn_detection": None, "transcription": {"model": "gpt-transcribe"}}}
        )
        await talker.speak(tone(400))
        await talker.send("input_audio_buffer.commit")
        await talker.until(HEARD)


async def test_turns_go_by_what_the_person_said_and_begin_again() -> None:
    script = [{"says": "one"}, {"says": "two"}]
    async with LocalServer(LocalConfig(mode="scripted", port=0, script=script)) as upstream:
        async with Talker(upstream.url) as talker:
            await talker.configure(output_modalities=["text"])
            for _ in range(3):
                await talker.say("next")
                await talker.send("response.create")
                await talker.until("response.done")
            assert [event["text"] for event in talker.of_type("response.output_text.done")] == [
                "one",
                "two",
                "one",
            ]
        async with Talker(
            upstream.url
        ) as resumed:  # a client that replays the first turn goes on with the second
            await resumed.configure(output_modalities=["text"])
            await resumed.say("replayed")
            await resumed.say("next")
            await resumed.send("response.create")
            await resumed.until("response.done")
            assert resumed.of_type("response.output_text.done")[0]["text"] == "two"


async def test_delays_and_pace_are_slept_not_guessed() -> None:
    slept: list[float] = []
    now = [0.0]

    async def sleep(seconds: float) -> None:
        slept.append(round(seconds, 3))
        now[0] += seconds * 1000

    script = [{"says": "a", "audio_ms": 2000, "delay_ms": 700}]
    config = LocalConfig(mode="scripted", port=0, script=script, pace=1, delta_ms=500)
    async with (
        LocalServer(config, sleep=sleep, clock_ms=lambda: now[0]) as upstream,
        Talker(upstream.url) as talker,
    ):
        await talker.say("x")
        await talker.send("response.create")
        await talker.until("response.done")
    assert slept == [0.7, 0.5, 0.5]  # the delay; then the two half seconds beyond the head start


async def test_scripted_detection_counts_audio_time_only() -> None:
    async with LocalServer(LocalConfig(mode="scripted", port=0)) as upstream, Talker(upstream.url) as talker:
        await talker.speak(silence(500) + tone(400) + silence(600), frame_ms=1500)
        stopped = await talker.until("input_audio_buffer.speech_stopped")
        assert talker.of_type("input_audio_buffer.speech_started")[0]["audio_start_ms"] == 200
        assert stopped["audio_end_ms"] == 1400


def test_scripted_audio_can_be_computed_in_any_part_and_tells_its_turn() -> None:
    whole = scripted_pcm(3, 0, 10_000)
    assert scripted_pcm(3, 4_000, 500) == whole[8_000:9_000]
    assert scripted_pcm(4, 0, 10_000) != whole
    samples = np.frombuffer(whole, "<i2")
    assert np.abs(samples).max() <= 16_384
    quiet_runs = [np.abs(samples[start : start + 240]).max() for start in range(0, 9_600, 240)]
    assert min(quiet_runs) > 4_000


@pytest.mark.parametrize(
    ("turns", "why"),
    [
        ([{"sais": "x"}], "turns[0].sais"),
        ([{"says": "x"}, {"audio_ms": "long"}], "turns[1].audio_ms"),
        ([{"tool": {"arguments": {}}}], "turns[0].tool.name"),
        ([{"heard_at": "never"}], "never"),
        (["x"], "turns[0]"),
    ],
)
def test_a_wrong_turn_is_refused_with_its_place(turns: list[Any], why: str) -> None:
    with pytest.raises(BadOption) as refused:
        Script(turns)
    assert why in str(refused.value)


@pytest.mark.parametrize(("content", "why"), [("[", "JSON"), ("{}", "array"), ('[{"x": 1}]', "turns[0].x")])
def test_a_wrong_file_is_refused_with_the_reason(tmp_path: Path, content: str, why: str) -> None:
    path = tmp_path / "turns.json"
    path.write_text(content)
    with pytest.raises(BadOption) as refused:
        Script.read(path)
    assert why in str(refused.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadOption):
        Script.read(tmp_path / "nothing.json")


def test_the_example_of_the_documentation_is_valid(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "local-server.md").read_text()
    example = page.split("```json\n")[1].split("```")[0]
    path = tmp_path / "turns.json"
    path.write_text(example)
    turns = Script.read(path)
    assert len(turns) >= 3
    assert json.loads(example) == turns
