"""The file of a session's kept audio: how it is written and read. Works on open files; knows no storage, no Django.

A file is chunks, one after the other: a line of JSON, then that many samples of PCM16. Nothing is ever changed and
there is no header to complete, so a process that is killed leaves a file that holds everything up to the last whole
chunk. A chunk without samples (`end`) says which samples of a lane are an item.
"""

from __future__ import annotations

import json
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from realtime.audio import BYTES_PER_SAMPLE, SAMPLE_RATE_HZ, ms_to_samples, samples_to_ms
from realtime.effects import KeepAudio, KeepSpan
from realtime.keeping import HEARD, SAID

LANES = (SAID, HEARD)
BOTH = "both"
# What comes later than this after the audio before it was silent meanwhile; less is the network's jitter.
GAP_MS = 1_000
MAX_LINE_BYTES = 400
WAV_HEADER_BYTES = 44


@dataclass(slots=True)
class Chunk:
    """Consecutive samples of a lane. `start` is their place on the lane in samples, 0 where the session began."""

    lane: str
    item_id: str
    first: int
    at_ms: int
    samples: int
    offset: int  # of the PCM in the file, in bytes
    start: int = 0


def chunks_of(pieces: Sequence[KeepAudio | KeepSpan]) -> bytes:
    """The bytes to append for these pieces, in order; what follows on from each other becomes one chunk."""
    out: list[bytes] = []
    group: list[KeepAudio] = []

    def finish() -> None:
        if group:
            head = group[0]
            pcm = b"".join(piece.pcm for piece in group)
            line = {"lane": head.lane, "item": head.item_id, "first": head.first, "at_ms": head.at_ms}
            out.append(json.dumps({**line, "samples": len(pcm) // BYTES_PER_SAMPLE}).encode() + b"\n" + pcm)
            group.clear()

    for lane in LANES:
        for piece in pieces:
            if isinstance(piece, KeepSpan) or piece.lane != lane:
                continue
            if group and not _follows(group, piece):
                finish()
            group.append(piece)
        finish()
    for piece in pieces:
        if isinstance(piece, KeepSpan):
            span = {"lane": SAID, "item": piece.item_id, "first": piece.first, "end": piece.end}
            out.append(json.dumps(span).encode() + b"\n")
    return b"".join(out)


def _follows(group: list[KeepAudio], piece: KeepAudio) -> bool:
    last = group[-1]
    length = len(last.pcm) // BYTES_PER_SAMPLE
    late_ms = piece.at_ms - last.at_ms - samples_to_ms(length)
    return piece.item_id == last.item_id and piece.first == last.first + length and late_ms <= GAP_MS


@dataclass(slots=True)
class KeptAudio:
    """An open recording: its chunks by lane, in order and placed in time, and where the items are."""

    file: BinaryIO
    lanes: dict[str, list[Chunk]] = field(default_factory=lambda: {lane: [] for lane in LANES})
    spans: dict[str, tuple[int, int]] = field(default_factory=dict)
    whole_bytes: int = 0  # up to here the file consists of whole chunks

    @classmethod
    def read(cls, file: BinaryIO) -> KeptAudio:
        """Find the chunks. What a crash cut short at the end is left out."""
        kept = cls(file)
        size = file.seek(0, 2)
        file.seek(0)
        while (line := file.readline(MAX_LINE_BYTES)).endswith(b"\n"):
            try:
                head = json.loads(line)
                if "end" in head:
                    kept.spans[head["item"]] = (head["first"], head["end"])
                    kept.whole_bytes = file.tell()
                    continue
                samples, offset = head["samples"], file.tell()
                if offset + samples * BYTES_PER_SAMPLE > size:
                    break
                chunk = Chunk(head["lane"], head["item"], head["first"], head["at_ms"], samples, offset)
                kept._place(chunk)
            except (ValueError, KeyError, TypeError):
                break
            kept.whole_bytes = file.seek(samples * BYTES_PER_SAMPLE, 1)
        return kept

    def _place(self, chunk: Chunk) -> None:
        chunk.start = ms_to_samples(chunk.at_ms)
        lane = self.lanes[chunk.lane]
        if lane:
            last = lane[-1]
            end = last.start + last.samples
            same = chunk.item_id == last.item_id and chunk.first == last.first + last.samples
            if chunk.start < end or (same and chunk.start - end <= ms_to_samples(GAP_MS)):
                chunk.start = end
        lane.append(chunk)

    def close(self) -> None:
        """Close the file."""
        self.file.close()

    # ---- the timeline

    @property
    def start(self) -> int:
        """The first sample of either lane: before 0 when the page had listened before the session began."""
        return min([0, *(lane[0].start for lane in self.lanes.values() if lane)])

    @property
    def end(self) -> int:
        """The sample after the last one of either lane."""
        return max([self.start, *(lane[-1].start + lane[-1].samples for lane in self.lanes.values() if lane)])

    def aligned(self, lane: str, start: int, stop: int) -> bytes:
        """Samples [start, stop) of the timeline: silence where nothing was kept. `lane` may be "both": mixed."""
        sound = np.zeros(max(0, stop - start), np.int32)
        for name in LANES if lane == BOTH else (lane,):
            chunks = self.lanes[name]
            for index in range(max(0, bisect_right(chunks, start, key=_start_of) - 1), len(chunks)):
                chunk = chunks[index]
                if chunk.start >= stop:
                    break
                low, high = max(start, chunk.start), min(stop, chunk.start + chunk.samples)
                if low < high:
                    pcm = self._samples(chunk, low - chunk.start, high - chunk.start)
                    sound[low - start : high - start] += np.frombuffer(pcm, "<i2")
        return sound.clip(-32_768, 32_767).astype("<i2").tobytes()

    def peaks(self, lane: str, columns: int) -> list[float]:
        """The loudest sample of each of so many equal parts of the timeline, of full scale."""
        width = max(1, (self.end - self.start) / max(1, columns))
        found = []
        for column in range(columns):
            start, stop = self.start + int(column * width), self.start + int((column + 1) * width)
            # A glance is enough for a picture: of a long part only its beginning is read.
            pcm = self.aligned(lane, start, min(stop, start + SAMPLE_RATE_HZ // 5))
            found.append(float(np.abs(np.frombuffer(pcm, "<i2").astype(np.int32)).max(initial=0)) / 32_768)
        return found

    # ---- items

    def item(self, item_id: str) -> list[tuple[Chunk, int, int]]:
        """Where an item's sound is: (chunk, first, end) with samples counted within the chunk, in order."""
        if item_id in self.spans:
            first, end = self.spans[item_id]
            cuts = [
                (chunk, max(0, first - chunk.first), min(chunk.samples, end - chunk.first))
                for chunk in self.lanes[SAID]
            ]
            return [(chunk, low, high) for chunk, low, high in cuts if low < high]
        return [(chunk, 0, chunk.samples) for chunk in self.lanes[HEARD] if chunk.item_id == item_id]

    def of_item(self, item_id: str, start: int, stop: int) -> bytes:
        """Samples [start, stop) of an item's sound."""
        out, at = [], 0
        for chunk, low, high in self.item(item_id):
            first, end = max(start - at, 0), min(stop - at, high - low)
            if first < end:
                out.append(self._samples(chunk, low + first, low + end))
            at += high - low
        return b"".join(out)

    def _samples(self, chunk: Chunk, first: int, end: int) -> bytes:
        self.file.seek(chunk.offset + first * BYTES_PER_SAMPLE)
        return self.file.read((end - first) * BYTES_PER_SAMPLE)


def _start_of(chunk: Chunk) -> int:
    return chunk.start


def wav_header(samples: int) -> bytes:
    """The first 44 bytes of a mono PCM16 WAV file at 24 kHz with so many samples."""
    count_bytes = min(samples * BYTES_PER_SAMPLE, 0xFFFF_FFFF - 36)
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + count_bytes, b"WAVE", b"fmt ", 16, 1, 1, SAMPLE_RATE_HZ,
        SAMPLE_RATE_HZ * BYTES_PER_SAMPLE, BYTES_PER_SAMPLE, 16, b"data", count_bytes,
    )  # fmt: skip
