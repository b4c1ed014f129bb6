"""How each voice sounds: one sentence that the upstream speaks once, kept as a WAV file for whoever wants to choose.

Costs the site at most one short answer for each voice, model and language. It is nobody's session, in nobody's usage.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.utils.translation import gettext, override

from realtime import upstream
from realtime import upstream_events as up
from realtime.audio import BYTES_PER_SAMPLE, decode_base64
from realtime.conf import RelayConfig, relay_config
from realtime.exceptions import UpstreamError, UpstreamLost, UpstreamTimeout
from realtime.recording_file import wav_header

MADE_WITHIN_S = 20
MOST_BYTES = 15 * 48_000  # of a sentence of two seconds
REST_S = 30  # after a failure nobody asks the upstream again for so long
_making: dict[Path, asyncio.Lock] = {}
_failed_at: dict[Path, float] = {}


async def sample(voice: str, language: str) -> bytes:
    """The WAV file of a voice; "" is the site's own. Raises UpstreamError when the upstream does not give one.

    `language`: of the sentence. The local server speaks English only.
    """
    config = replace(relay_config(settings, voice=voice), turn_detection=None)
    with override("en" if config.is_local else language):
        sentence = gettext("Hello! This is how I sound.")
    path = _path(config, sentence)
    async with _making.setdefault(path, asyncio.Lock()):  # who comes meanwhile waits for the same one
        kept = await asyncio.to_thread(_read, path)
        if kept is not None:
            return kept
        if time.monotonic() - _failed_at.get(path, -REST_S) < REST_S:
            raise UpstreamLost
        try:
            async with asyncio.timeout(MADE_WITHIN_S):
                pcm = await _spoken(config, sentence)
        except TimeoutError:
            _failed_at[path] = time.monotonic()
            raise UpstreamTimeout from None
        except UpstreamError:
            _failed_at[path] = time.monotonic()
            raise
        wav = wav_header(len(pcm) // BYTES_PER_SAMPLE) + pcm
        await asyncio.to_thread(_write, path, wav)
        return wav


def _path(config: RelayConfig, sentence: str) -> Path:
    what = json.dumps([config.upstream_url, config.model, config.voice, sentence])
    return Path(settings.REALTIME_SAMPLES_DIR) / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.wav"


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _write(path: Path, wav: bytes) -> None:
    """Whole or not at all: another process may read it, or write the same."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = path.with_suffix(f".{time.monotonic_ns()}")
    half.write_bytes(wav)
    half.replace(path)


async def _spoken(config: RelayConfig, sentence: str) -> bytes:
    """The sentence as PCM16, 24 kHz."""
    pcm = bytearray()

    def take(raw: bytes) -> bool:
        event = up.parse(raw)
        kind = event["type"]
        if kind == "error":
            raise UpstreamLost
        if kind == "response.output_audio.delta":
            pcm.extend(decode_base64(up.text_of(event, "delta", up.MAX_EVENT_BYTES)))
        return kind == "response.done" or len(pcm) > MOST_BYTES

    try:
        async with upstream.open_upstream(config) as link:
            for event in (
                up.session_update(replace(config, asks_how_sure=False), "sample_configure"),
                up.say_exactly(sentence, "sample_say"),
            ):
                await link.send(json.dumps(event).encode())
            await link.read(take)
    except ValueError:  # an event or its audio that cannot be read
        raise UpstreamLost from None
    if not pcm or len(pcm) % BYTES_PER_SAMPLE or len(pcm) > MOST_BYTES:
        raise UpstreamLost
    return bytes(pcm)
