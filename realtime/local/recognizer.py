"""Speech recognition: Moonshine on onnxruntime, weights from its wheel. Knows no turns and no threads."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from realtime.local.engine import Heard
from realtime.local.errors import EngineMissing

RATE_HZ = 16_000
SHORTEST_SAMPLES = RATE_HZ // 10
LONGEST_SAMPLES = (
    20 * RATE_HZ
)  # longer audio is cut where it is quietest: the model was made for short stretches
MIN_VOICED_MS = 200.0
PAD_BEFORE_MS, PAD_AFTER_MS = (
    200,
    300,
)  # silence around what is recognised: a third fewer errors in short sentences
_BOS, _EOS = 1, 2
_SPACE = "\u2581".encode()  # as the vocabulary writes it
_TOKENS_PER_SECOND = 6.5  # more than anybody says; stops a decoder that repeats itself
# What the small model writes for silence and for tones.
_HALLUCINATION = re.compile(r"^\W*(you|thank you|bye|♪*)\W*$", re.IGNORECASE)


class Recognizer:
    """English speech to text. Calls are safe from several threads; the sessions are shared."""

    def __init__(self, path: str | Path | None = None, size: str = "tiny") -> None:
        import onnxruntime

        folder = Path(path) if path else _packaged(size)
        suffix = ".onnx" if (folder / "encoder_model.onnx").exists() else ".ort"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3

        def load(name: str) -> onnxruntime.InferenceSession:
            file = folder / f"{name}{suffix}"
            if not file.exists():
                raise EngineMissing(
                    f"There is no {file.name} in the recogniser's folder: pass one that has it."
                )
            return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])

        self._encoder, self._decoder = load("encoder_model"), load("decoder_model_merged")
        self._encoder_inputs = {entry.name for entry in self._encoder.get_inputs()}
        self._decoder_inputs = [entry.name for entry in self._decoder.get_inputs()]
        self._cache_outputs = [entry.name for entry in self._decoder.get_outputs()][1:]
        past = next(entry for entry in self._decoder.get_inputs() if entry.name.startswith("past"))
        self._no_past = np.zeros((1, past.shape[1], 0, past.shape[3]), np.float32)
        self._vocabulary = _read_vocabulary(folder / "tokenizer.bin")

    def transcribe(self, samples: NDArray[np.float32], voiced_ms: float | None = None) -> str:
        """The text that `hear` finds."""
        return self.hear(samples, voiced_ms).text

    def hear(self, samples: NDArray[np.float32], voiced_ms: float | None = None) -> Heard:
        """Mono float32 at 16 kHz in [-1, 1] to text; empty for what is too short, too quiet or no speech.

        `voiced_ms` is how much of it detection took for speech; below 200 ms the model would make something up.
        """
        if len(samples) < SHORTEST_SAMPLES or (voiced_ms is not None and voiced_ms < MIN_VOICED_MS):
            return Heard("")
        before, after = (np.zeros(ms * RATE_HZ // 1000, np.float32) for ms in (PAD_BEFORE_MS, PAD_AFTER_MS))
        padded = (np.concatenate([before, part, after]) for part in _parts(samples))
        heard = [list(self._tokens(part)) for part in padded]
        text = " ".join(filter(None, (_text(tokens) for tokens in heard)))
        short = voiced_ms is None or voiced_ms < 2 * MIN_VOICED_MS
        if text.strip("♪ ") == "" or (short and _HALLUCINATION.match(text)):
            return Heard("")
        return Heard(text, tuple(token for tokens in heard for token in tokens))

    def _tokens(self, samples: NDArray[np.float32]) -> Iterator[tuple[bytes, float]]:
        """Greedy decoding: each token's bytes and log probability.

        The first step fills the encoder's half of the cache; later ones grow the decoder's.
        """
        audio = samples[None]
        given = {"input_values": audio, "attention_mask": np.ones(audio.shape, np.int64)}
        hidden = self._encoder.run(
            None, {name: given[name] for name in given if name in self._encoder_inputs}
        )[0]
        feed: dict[str, Any] = {
            name: self._no_past for name in self._decoder_inputs if name.startswith("past")
        }
        feed["encoder_hidden_states"] = hidden
        # The decoder wants the mask in samples and thins it out itself; one per encoder step breaks it beyond 9 s.
        feed["encoder_attention_mask"] = given["attention_mask"]
        token, has_cache = _BOS, False
        for _ in range(int(len(samples) / RATE_HZ * _TOKENS_PER_SECOND) + 6):
            feed["input_ids"] = np.array([[token]], np.int64)
            feed["use_cache_branch"] = np.array([has_cache])
            logits, *cache = self._decoder.run(None, {name: feed[name] for name in self._decoder_inputs})
            scores = logits[0, -1]
            token = int(scores.argmax())
            if token == _EOS:
                return
            yield self._vocabulary[token], -float(np.log(np.exp(scores - scores[token]).sum()))
            for name, value in zip(self._cache_outputs, cache, strict=True):
                if not has_cache or ".decoder." in name:
                    feed[name.replace("present", "past_key_values")] = value
            has_cache = True


def _text(tokens: list[tuple[bytes, float]]) -> str:
    return b"".join(piece for piece, _ in tokens).decode("utf-8", "replace").strip()


def _packaged(size: str) -> Path:
    if size != "tiny":
        raise EngineMissing(
            "The base recogniser is prepared once: pip install moonshine-cpp==0.1.4 onnx, then "
            "python -m realtime.local.prepare_base FOLDER, then start with --recognizer base --recognizer-path FOLDER"
        )
    # The wheel's own code is not imported: it would want a sound card's library, and only its files are needed.
    spec = importlib.util.find_spec("moonshine_voice")
    folder = Path(spec.origin).parent / "assets" / "tiny-en" if spec and spec.origin else None
    if folder is None or not folder.exists():
        raise EngineMissing(
            "Recognition needs a package, in exactly this version (later ones come without the model): "
            "pip install moonshine-voice==0.1.0 onnxruntime"
        )
    return folder


def _read_vocabulary(path: Path) -> list[bytes]:
    """A row of tokens, each with its length before it: one byte, or two when the first one's top bit is set."""
    data, tokens, at = path.read_bytes(), [], 0
    while at < len(data):
        length = data[at]
        at += 1
        if length & 0x80:
            length = (length & 0x7F) | (data[at] << 7)
            at += 1
        tokens.append(data[at : at + length].replace(_SPACE, b" "))
        at += length
    return tokens


def _parts(samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
    """Stretches the model can take, cut in the quietest 100 ms of the last five seconds of each."""
    while len(samples) > LONGEST_SAMPLES:
        window = RATE_HZ // 10
        tail = samples[LONGEST_SAMPLES - 5 * RATE_HZ : LONGEST_SAMPLES]
        loudness = np.square(tail.reshape(-1, window)).mean(axis=1)
        cut = LONGEST_SAMPLES - 5 * RATE_HZ + int(loudness.argmin()) * window + window // 2
        yield samples[:cut]
        samples = samples[cut:]
    if len(samples) >= SHORTEST_SAMPLES:
        yield samples
