"""The speech mode with its real models: what is said is understood, what is answered is heard, nobody is mixed up."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
import soxr
from numpy.typing import NDArray

from realtime.hearing import SURE
from realtime.local.assistant.numbers import with_digits
from realtime.local.audio_formats import FORMATS, PCM
from realtime.local.engine import Heard
from realtime.local.errors import Overloaded
from realtime.local.options import LocalConfig
from realtime.local.recognizer import Recognizer
from realtime.local.rules_responder import RulesResponder
from realtime.local.server import LocalServer
from realtime.local.speech_engine import SpeechEngines, Workers
from realtime.local.vad import EnergyVad, SileroModel, SileroVad, voiced_ms
from realtime.local.voice import TIMBRES, Voice, speakable
from tests.local.talker import Talker, silence, tone

HEARD = "conversation.item.input_audio_transcription.completed"


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer()


@pytest_asyncio.fixture
async def speaking(silero: SileroModel, voice: Voice, recognizer: Recognizer) -> AsyncIterator[LocalServer]:
    """A speech server on models that are loaded once for all tests."""
    engines = SpeechEngines(silero, recognizer, voice, RulesResponder(), Workers(2, 16))
    async with LocalServer(LocalConfig(port=0, pace=0, record=True), engines=engines) as server:
        yield server


def at_16k(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    resampled: NDArray[np.float32] = soxr.resample(samples, 24_000, 16_000)
    return resampled


def spoken(voice: Voice, text: str, name: str = "coral") -> bytes:
    """A spoken turn: half a second of quiet, the words, and the silence that ends it."""
    return silence(500) + PCM.encode(voice.speak(text, name)) + silence(900)


async def idle(server: LocalServer) -> None:
    """Returns once no recognition runs or waits."""
    engines = server._engines
    assert isinstance(engines, SpeechEngines)
    async with asyncio.timeout(30):
        await engines.workers.idle()


def plain(text: str) -> list[str]:
    return "".join(letter for letter in text.lower() if letter.isalnum() or letter == " ").split()


@pytest.mark.parametrize("name", TIMBRES)
def test_every_voice_is_understood(voice: Voice, recognizer: Recognizer, name: str) -> None:
    heard = recognizer.transcribe(
        at_16k(voice.speak("Could you tell me what time it is in Paris?", name)), 2000
    )
    assert plain(heard) == plain("Could you tell me what time it is in Paris?")


def test_voices_differ_and_each_is_always_the_same(voice: Voice) -> None:
    audio = {name: voice.speak("Good morning.", name).tobytes() for name in TIMBRES}
    assert len(set(audio.values())) == len(TIMBRES)
    assert voice.speak("Good morning.", "cedar").tobytes() == audio["cedar"]


def test_speech_begins_at_once_and_is_loud_enough(voice: Voice) -> None:
    for name in ("marin", "cedar", "echo"):
        audio = voice.speak("Good morning to you all.", name)
        first = np.flatnonzero(np.abs(audio) > 0.02)[0] / 24
        assert first < 150
        assert 0.3 < np.abs(audio).max() <= 1.0


def test_speed_changes_the_length_of_speech(voice: Voice) -> None:
    slow, fast = (len(voice.speak("One two three four five.", speed=speed)) for speed in (0.75, 1.5))
    assert 1.5 < slow / fast < 2.6


def test_the_first_sentence_is_cut_at_a_comma_only_when_both_parts_are_worth_it() -> None:
    text = "Today is Wednesday of course, and tomorrow will be Thursday. Then Friday."
    assert speakable(text, first=True) == [
        "Today is Wednesday of course,",
        "and tomorrow will be Thursday.",
        "Then Friday.",
    ]
    assert speakable("Yes, it is.", first=True) == ["Yes, it is."]


def test_nothing_is_made_up_for_what_is_no_speech(recognizer: Recognizer, silero: SileroModel) -> None:
    noise = (np.random.default_rng(0).standard_normal(32_000) * 0.05).astype(np.float32)
    hum = np.sin(np.arange(32_000) / 20).astype(np.float32) * 0.3
    for samples in (np.zeros(32_000, np.float32), noise, hum, np.zeros(10, np.float32)):
        assert recognizer.transcribe(samples, voiced_ms(silero, samples)) == ""


def test_the_recogniser_knows_when_it_guesses(voice: Voice, recognizer: Recognizer) -> None:
    """The threshold by which the relay tells the page of a doubt lies between speech that is clear and that is not."""
    noise = np.random.default_rng(1)
    for sentence in ("What is seven times eight?", "Convert twelve miles to kilometres.", "Tell me a story."):
        clear = at_16k(voice.speak(sentence))
        loudness = float(np.sqrt(np.square(clear).mean()))
        masked = clear + (noise.standard_normal(len(clear)) * loudness * 2).astype(np.float32)
        sure, guessed = (recognizer.hear(samples, 2_000) for samples in (clear, masked))
        assert b"".join(piece for piece, _ in sure.tokens).decode().strip() == sure.text
        assert certainty(sure) > SURE + 0.1
        assert not guessed.text or certainty(guessed) < SURE - 0.05, guessed.text


def certainty(heard: Heard) -> float:
    return float(np.exp(np.mean([logprob for _, logprob in heard.tokens])))


def test_long_speech_is_recognised_in_parts(voice: Voice, recognizer: Recognizer) -> None:
    sentence = "The train to the city leaves from platform nine in twenty minutes."
    audio = np.concatenate([voice.speak(sentence) for _ in range(8)])
    assert len(audio) > 24_000 * 24
    heard = plain(recognizer.transcribe(at_16k(audio), 20_000))
    assert heard.count("train") == heard.count("platform") == 8


def test_detection_finds_speech_and_only_speech(voice: Voice, silero: SileroModel) -> None:
    words = at_16k(voice.speak("Is anybody there?"))
    quiet = np.zeros(16_000, np.float32)
    frames = SileroVad(silero).feed(np.concatenate([quiet, words, quiet]))
    loud = [frame.end_ms for frame in frames if frame.score >= 0.5]
    assert 1000 < min(loud) < 1400
    assert max(loud) < 1000 + len(words) / 16 + 150


def test_detection_does_not_depend_on_how_audio_is_cut(voice: Voice, silero: SileroModel) -> None:
    words = at_16k(voice.speak("Is anybody there?"))
    whole = SileroVad(silero).feed(words)
    pieces = SileroVad(silero)
    cut = [frame for start in range(0, len(words), 333) for frame in pieces.feed(words[start : start + 333])]
    assert [round(frame.score, 4) for frame in cut] == [round(frame.score, 4) for frame in whole]


def test_the_energy_gate_scores_loudness() -> None:
    gate = EnergyVad()
    assert all(frame.score > 0.9 for frame in gate.feed(tone(200)))
    assert all(frame.score < 0.1 for frame in gate.feed(silence(200)))
    assert [frame.end_ms for frame in gate.feed(tone(30))] == [420.0]


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
def test_g711_keeps_speech_intelligible(voice: Voice, recognizer: Recognizer, name: str) -> None:
    format = FORMATS[name]
    words = voice.speak("Please call me back tomorrow morning.")
    coded = format.encode(soxr.resample(words, 24_000, 8_000))
    heard = recognizer.transcribe(soxr.resample(format.decode(coded), 8_000, 16_000), 2000)
    assert plain(heard) == plain("Please call me back tomorrow morning.")


@pytest.mark.parametrize("name", FORMATS)
def test_formats_survive_a_round_trip(name: str) -> None:
    format = FORMATS[name]
    every_code = bytes(range(256)) * 2
    assert len(format.encode(format.decode(every_code))) == 512
    samples = np.sin(np.arange(800) / 9).astype(np.float32) * 0.7
    assert np.abs(format.decode(format.encode(samples)) - samples).max() < (
        0.03 if format.sample_bytes == 1 else 1e-4
    )


async def test_a_spoken_question_is_heard_and_answered_aloud(
    speaking: LocalServer, voice: Voice, recognizer: Recognizer
) -> None:
    async with Talker(speaking.url) as talker:
        await talker.configure(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
        await talker.speak(spoken(voice, "What is seven times eight?"))
        done = await talker.until("response.done")
    assert plain(talker.of_type(HEARD)[0]["transcript"])[-3:] in (
        ["7", "times", "8"],
        ["seven", "times", "eight"],
    )
    said = done["response"]["output"][0]["content"][0]["transcript"]
    assert said == "7 times 8 is 56."
    deltas = [base64.b64decode(event["delta"]) for event in talker.of_type("response.output_audio.delta")]
    assert {len(delta) for delta in deltas[:2]} == {12_000}
    audio = np.frombuffer(b"".join(deltas), "<i2").astype(np.float32) / 32768
    assert "56" in with_digits(recognizer.transcribe(at_16k(audio), 2000))


async def test_words_appear_while_the_person_still_speaks(speaking: LocalServer, voice: Voice) -> None:
    audio = PCM.encode(
        voice.speak("I would like to know how the weather will be tomorrow afternoon in the city.")
    )
    async with Talker(speaking.url) as talker:
        await talker.configure(audio={"input": {"transcription": {"model": "gpt-transcribe"}}})
        for start in range(0, len(audio), 24_000):
            await talker.speak(audio[start : start + 24_000])
            # Slower than recognition, as people are: the audio was taken in, and nothing is being recognised any more.
            await talker.send("response.cancel")
            await talker.until("error")
            await idle(speaking)
    assert "conversation.item.input_audio_transcription.delta" in talker.types()
    assert "input_audio_buffer.speech_stopped" not in talker.types()


async def test_push_to_talk_works_without_detection(speaking: LocalServer, voice: Voice) -> None:
    async with Talker(speaking.url) as talker:
        await talker.configure(output_modalities=["text"], audio={"input": {"turn_detection": None}})
        await talker.speak(spoken(voice, "What is twelve plus thirty?"))
        await talker.send("input_audio_buffer.commit")
        await talker.send("response.create")
        done = await talker.until("response.done")
        assert "is 42." in done["response"]["output"][0]["content"][0]["text"]
        await talker.speak(silence(1000))
        await talker.send("input_audio_buffer.commit")
        await talker.send("response.create")
        done = await talker.until("response.done")
        assert "did not catch" in done["response"]["output"][0]["content"][0]["text"]


async def test_a_telephone_caller_hears_telephone_audio(speaking: LocalServer, voice: Voice) -> None:
    format = {"type": "audio/pcmu"}
    mulaw = FORMATS["audio/pcmu"]
    samples = np.frombuffer(spoken(voice, "What is ten plus twenty?"), "<i2").astype(np.float32) / 32768
    audio = mulaw.encode(soxr.resample(samples, 24_000, 8_000))
    async with Talker(speaking.url) as talker:
        await talker.configure(audio={"input": {"format": format}, "output": {"format": format}})
        await talker.send("input_audio_buffer.append", audio=base64.b64encode(audio).decode())
        done = await talker.until("response.done")
        assert "is 30." in done["response"]["output"][0]["content"][0]["transcript"]
        assert len(base64.b64decode(talker.of_type("response.output_audio.delta")[0]["delta"])) == 2_000


async def test_several_people_at_once_each_get_their_own_answer(speaking: LocalServer, voice: Voice) -> None:
    async def ask(first: str, second: str, sum: int) -> None:
        async with Talker(speaking.url) as talker:
            await talker.configure(output_modalities=["text"])
            await talker.speak(spoken(voice, f"What is {first} plus {second}?"), frame_ms=400)
            done = await talker.until("response.done")
            assert f"is {sum}." in done["response"]["output"][0]["content"][0]["text"]

    async with asyncio.TaskGroup() as people:
        for first, second, sum in (("ten", "eleven", 21), ("twenty", "thirty", 50), ("six", "nine", 15)):
            people.create_task(ask(first, second, sum))


async def test_a_full_queue_is_an_honest_error(
    silero: SileroModel, voice: Voice, recognizer: Recognizer
) -> None:
    workers = Workers(1, 0)
    engines = SpeechEngines(silero, recognizer, voice, RulesResponder(), workers)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()
    blocking = asyncio.create_task(
        workers.run(lambda: asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10))
    )
    await asyncio.sleep(0)
    async with LocalServer(LocalConfig(port=0), engines=engines) as upstream, Talker(upstream.url) as talker:
        await talker.say("What is two plus two?")
        await talker.send("response.create")
        done = await talker.until("response.done")
        assert done["response"]["status"] == "failed"
        assert done["response"]["status_details"]["error"]["code"] == "inference_rate_limit_exceeded"
        assert "too much to do" in done["response"]["status_details"]["error"]["message"]
        release.set()
        await blocking
        await talker.send("response.create")
        assert (await talker.until("response.done"))["response"]["status"] == "completed"


async def test_work_that_need_not_be_done_gives_way_first() -> None:
    workers = Workers(1, 1)
    release = asyncio.Event()
    loop = asyncio.get_running_loop()

    def hold() -> Any:
        return asyncio.run_coroutine_threadsafe(release.wait(), loop).result(10)

    first = asyncio.create_task(workers.run(hold))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await workers.run(hold, must=False)
    second = asyncio.create_task(workers.run(hold))
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await workers.run(hold)
    release.set()
    await asyncio.gather(first, second)
    workers.close()
