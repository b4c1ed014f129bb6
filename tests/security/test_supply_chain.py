"""The scripts of the supply chain: what the secret scan finds, what the audit says, and that licences are listed."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from scripts import audit, find_secrets, licences

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "line",
    [
        "OPENAI_API_KEY=" + "sk-" + "proj-" + "Zq81mNvB77xQpLw02KdR",
        "ek_" + "Zq81mNvB77xQpLw02KdR",
        "-----BEGIN " + "RSA PRIVATE KEY-----",
        "AKIA" + "IOSFODNN7QQQQQQQ",
        "ghp_" + "Zq81" * 9,
        "postgres://voice:" + "hunter2hunter2@db.internal/voice",
    ],
)
def test_a_secret_is_found_by_its_shape(line: str) -> None:
    assert [number for number, _name in find_secrets.finds(f"first\n{line}\n")] == [2]


def test_no_file_that_git_tracks_holds_a_secret(capsys: pytest.CaptureFixture[str]) -> None:
    assert find_secrets.main() == 0, capsys.readouterr().out


@pytest.mark.parametrize(
    ("dependencies", "strict", "code", "said"),
    [
        ([{"name": "a", "version": "1", "vulns": []}], True, 0, "No known vulnerability in 1"),
        (
            [{"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}],
            False,
            1,
            "CVE-1",
        ),
        ([{"name": "a", "skip_reason": "no index"}], False, 0, "NOT AUDITED: 1 of 1"),
        ([{"name": "a", "skip_reason": "no index"}], True, 2, "NOT AUDITED: 1 of 1"),
        (None, True, 2, "NOT AUDITED"),
    ],
)
def test_an_audit_without_advisories_never_passes_in_silence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    dependencies: Any,
    strict: bool,
    code: int,
    said: str,
) -> None:
    answer = "" if dependencies is None else json.dumps({"dependencies": dependencies})
    done = subprocess.CompletedProcess([], 0, stdout=answer, stderr="")
    monkeypatch.setattr(subprocess, "run", lambda *_arguments, **_options: done)
    monkeypatch.setattr("sys.argv", ["audit.py", *(["--strict"] if strict else [])])
    assert audit.main() == code
    assert said in capsys.readouterr().out


def test_the_page_of_licences_has_every_package_of_the_lock_file() -> None:
    page = licences.PAGE.read_text(encoding="utf-8")
    assert [name for name in licences.packages() if f"| {name} |" not in page] == []
