"""`/health`, alive without a database or a login, and the icon of the site."""

import tomllib
from datetime import UTC, datetime
from pathlib import Path

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


def test_health_cannot_be_posted_to() -> None:
    assert Client().post("/health").status_code == 405


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))
    assert voiceproject.__version__ == project["project"]["version"]


def test_pages_without_an_icon_of_their_own_get_the_sites() -> None:
    answer = Client().get("/favicon.ico")
    assert (answer.status_code, answer["Location"]) == (302, "/static/icon.svg")
