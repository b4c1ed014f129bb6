"""`/health`, alive without a database or a login, and the icon of the site."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

import voiceproject


@pytest.mark.parametrize("path", ["/health", "/health/"])
def test_health_needs_neither_login_nor_database(path: str) -> None:
    # No `db` fixture: pytest-django fails this test at the first query.
    answer = Client().get(path)
    body = answer.json()
    assert answer.status_code == 200
    assert "no-store" in answer["Cache-Control"]
    assert set(body) == {"status", "version", "timestamp"}
    assert (body["status"], body["version"]) == ("healthy", voiceproject.__version__)
    stamp = datetime.fromisoformat(body["timestamp"])
    assert stamp.utcoffset() == UTC.utcoffset(None)
    assert abs((datetime.now(UTC) - stamp).total_seconds()) < 60


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8000", 200), ("10.1.2.3", 200), ("[::1]:8000", 200), ("voice.example", 200),
     ("evil.example", 400), ("localhost:8000", 400), ("127.0.0.1.evil.example", 400)],
)  # fmt: skip
def test_who_checks_a_worker_may_know_it_by_its_address_and_by_no_other_name(
    settings: Any, host: str, status: int
) -> None:
    settings.ALLOWED_HOSTS = ["voice.example"]
    assert Client().get("/health", headers={"host": host}).status_code == status


def test_pages_are_for_the_sites_own_names(settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["voice.example"]
    for path in ("/accounts/login/", "/healthy", "/api/schema/"):
        assert Client().get(path, headers={"host": "127.0.0.1:8000"}).status_code == 400


def test_health_cannot_be_posted_to() -> None:
    assert Client().post("/health").status_code == 405


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert voiceproject.__version__ == project["project"]["version"]


def test_pages_without_an_icon_of_their_own_get_the_sites() -> None:
    answer = Client().get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/icon.svg")
