"""The program of the documentation makes a call: what a developer copies works."""

from __future__ import annotations

import asyncio
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.realtime.page import tone

PROGRAM = Path(__file__).parents[2] / "docs" / "examples" / "speak.py"


@pytest.mark.parametrize("answer_ms", [200, 6_000])  # the longer one waits for what is told of the playing
async def test_the_example_says_a_file_and_keeps_the_answer(
    make_site: Any, ada: Any, tmp_path: Path, answer_ms: int
) -> None:
    site = await make_site([{"hears": "What is the time?", "says": "It is noon.", "audio_ms": answer_ms}])
    with wave.open(str(tmp_path / "question.wav"), "wb") as file:
        file.setparams((1, 2, 24_000, 0, "NONE", ""))
        file.writeframes(tone(400))
    arguments = (f"http://127.0.0.1:{site.port}", "ada", "ada-secret-1815", "question.wav")
    program = await asyncio.create_subprocess_exec(
        *(sys.executable, PROGRAM, *arguments),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        said, errors = await program.communicate()
    assert (errors.decode(), program.returncode) == ("", 0)
    assert sorted(said.decode().splitlines()) == ["assistant: It is noon.", "user: What is the time?"]
    with wave.open(str(tmp_path / "answer.wav")) as file:
        assert file.getnframes() == answer_ms * 24
