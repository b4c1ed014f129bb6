"""The site under its production settings: what it refuses to start with, and the headers and cookies it sends."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = {
    "PYTHON_DOTENV_DISABLED": "1",
    "SECRET_KEY": "of-a-test-only-" + "k3y" * 20,
    "ALLOWED_HOSTS": "voice.example",
    "OPENAI_API_KEY": "sk-test-not-a-key",
}
CLEAN = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
# Run in a process of its own: settings are read once a process.
ASK = """
import django, json, os
from django.conf import settings
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("migrate", verbosity=0)
call_command("collectstatic", verbosity=0, interactive=False)
secure = dict(secure=True, headers={"host": "voice.example"})
login = Client().get("/accounts/login/", **secure)
missing = Client(raise_request_exception=False).get("/nothing/", **secure)
api = Client().get("/api/conversations/", **secure)
plain = Client().get("/accounts/login/", headers={"host": "voice.example"})
from django.contrib.auth.models import User
User.objects.create_user("ada", password="ada-secret-1815")
browser = Client()
browser.post("/accounts/login/", {"username": "ada", "password": "ada-secret-1815"}, **secure)
from django.core.files.base import ContentFile
from realtime.recorder import storage
path = storage().path(storage().save("ab/one.pcm", ContentFile(b"sound")))
kept = {"path": path, "mode": os.stat(path).st_mode & 0o777}
call_command("purge", verbosity=0)
from django.contrib.auth.forms import PasswordResetForm
User.objects.create_user("bob", "bob@example.com", "bob-secret-1912")
form = PasswordResetForm({"email": "bob@example.com"})
assert form.is_valid()
form.save(domain_override="voice.example", use_https=True)
print(json.dumps({
    "login": dict(login.headers), "missing": dict(missing.headers), "api": dict(api.headers),
    "plain": [plain.status_code, plain["Location"]],
    "recordings": kept,
    "cookies": {n: {k: v for k, v in m.items()} for n, m in {**login.cookies, **browser.cookies}.items()},
    "body": login.content.decode(),
}))
"""


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {
        **CLEAN,
        **GOOD,
        "DATA_DIR": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "voiceproject.settings",
    }
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=variables | environment, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip


def test_check_deploy_has_nothing_to_say(tmp_path: Path) -> None:
    ran = run(tmp_path, "-W", "error", "manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert ran.returncode == 0, ran.stderr
    assert "no issues (0 silenced)" in ran.stdout


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
        (
            {"SECRET_KEY": "development-only-key-never-use-it-where-others-can-reach-the-site"},
            "development key",
        ),
        ({"SECRET_KEY": "short"}, "SECRET_KEY is too short"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS is empty"),
        ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS must name hosts"),
        ({"REALTIME_BASE_URL": "ws://voice.example/v1/realtime"}, "must use wss://"),
        ({"REALTIME_BASE_URL": "http://169.254.169.254/"}, "REALTIME_BASE_URL must look like"),
        ({"REALTIME_BASE_URL": "wss://user:pw@voice.example/v1"}, "must hold no user"),
        ({"REALTIME_BASE_URL": "wss://169.254.169.254/"}, "must name its host in plain letters"),
        ({"DEBUG": "true", "ALLOWED_HOSTS": "voice.example"}, "DEBUG is on"),
    ],
)
def test_the_site_does_not_start_with(tmp_path: Path, environment: dict[str, str], sentence: str) -> None:
    ran = run(tmp_path, "-c", "import voiceproject.asgi", **environment)
    assert ran.returncode != 0
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the production site answers: headers, cookies, a redirect."""
    ran = run(tmp_path_factory.mktemp("production"), "-c", ASK)
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found | {"said": ran.stdout.replace(ran.stdout.splitlines()[-1], "") + ran.stderr}


@pytest.mark.parametrize("page", ["login", "missing", "api"])
def test_every_answer_has_the_headers_that_the_observatory_gives_an_a_plus_for(
    answers: dict[str, Any], page: str
) -> None:
    headers = answers[page]
    policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
    assert policy["default-src"] == "'self'"
    assert policy["object-src"] == policy["base-uri"] == policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "*" not in headers["Content-Security-Policy"]
    assert "http" not in headers["Content-Security-Policy"]
    age = re.match(r"max-age=(\d+)", headers["Strict-Transport-Security"])
    assert age is not None
    assert int(age[1]) >= 15_768_000
    assert "includeSubDomains" in headers["Strict-Transport-Security"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Access-Control-Allow-Origin" not in headers
    assert "Server" not in headers
    assert "X-Powered-By" not in headers


@pytest.mark.parametrize("page", ["login", "missing", "api"])
def test_the_microphone_is_for_our_own_pages_and_the_rest_is_off(answers: dict[str, Any], page: str) -> None:
    policy = dict(part.strip().split("=", 1) for part in answers[page]["Permissions-Policy"].split(","))
    assert policy["microphone"] == "(self)"
    assert policy["camera"] == policy["geolocation"] == policy["payment"] == policy["usb"] == "()"
    assert {value for name, value in policy.items()} == {"(self)", "()"}


def test_cookies_are_bound_to_the_host_and_to_https(answers: dict[str, Any]) -> None:
    assert set(answers["cookies"]) == {"__Host-sessionid", "__Host-csrftoken"}
    for cookie in answers["cookies"].values():
        assert cookie["secure"]
        assert cookie["path"] == "/"
        assert not cookie["domain"]
        assert cookie["samesite"] in ("Lax", "Strict")
    assert answers["cookies"]["__Host-sessionid"]["httponly"]


def test_no_mail_with_the_way_to_a_new_password_is_printed(answers: dict[str, Any]) -> None:
    assert "/accounts/reset/" not in answers["said"]
    assert "bob@example.com" not in answers["said"]


def test_plain_http_is_sent_to_https(answers: dict[str, Any]) -> None:
    assert answers["plain"] == [301, "https://voice.example/accounts/login/"]


def test_pages_load_nothing_from_another_host_and_hold_no_inline_script(answers: dict[str, Any]) -> None:
    assert re.findall(r"""(?:src|href|action)=["'](?:https?:)?//[^"']*""", answers["body"]) == []
    assert re.findall(r"<script(?![^>]*\b(?:src=|type=\"application/json\"))", answers["body"]) == []
    assert re.findall(r"""\son\w+=|\sstyle=|javascript:""", answers["body"]) == []


def test_kept_audio_has_its_place_there_too_readable_by_the_site_alone(answers: dict[str, Any]) -> None:
    kept = answers["recordings"]
    assert Path(kept["path"]).parts[-3:] == ("recordings", "ab", "one.pcm")
    assert kept["mode"] == 0o600
