"""The cast of all tests: Ada, Bob, and who speaks for them. Fixtures of one area live beside its tests."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from rest_framework.test import APIClient


@pytest.fixture(scope="session", autouse=True)
def delete_output_dir() -> None:
    """Empty in place of Playwright's: that one empties the folder of pictures in each worker and in every run.

    Whoever makes pictures empties it: `tests/browser/conftest.py`.
    """


@pytest.fixture
def ada(db: None) -> User:
    """The person whom most tests are about."""
    return User.objects.create_user("ada", "ada@example.com", "ada-secret-1815")


@pytest.fixture
def bob(db: None) -> User:
    """Somebody else."""
    return User.objects.create_user("bob", "bob@example.com", "bob-secret-1912")


@pytest.fixture
def operator(db: None) -> User:
    """A superuser."""
    return User.objects.create_superuser("operator", "operator@example.com", "operator-secret-1")


@pytest.fixture
def recordings_folder(settings: Any, tmp_path: Path) -> Path:
    """Where kept audio goes in this test."""
    folder = tmp_path / "recordings"
    place = {**settings.STORAGES["recordings"]}
    place["OPTIONS"] = {**place["OPTIONS"], "location": folder}
    settings.STORAGES = {**settings.STORAGES, "recordings": place}
    return folder


@pytest.fixture
def page_of() -> Callable[[User], Client]:
    """`page_of(ada)`: a browser without JavaScript in which she is logged in."""

    def log_in(user: User) -> Client:
        browser = Client()
        browser.force_login(user)
        return browser

    return log_in


@pytest.fixture
def api_of() -> Callable[[User], APIClient]:
    """`api_of(ada)`: a program that calls the JSON API as her."""

    def authenticate(user: User) -> APIClient:
        program = APIClient()
        program.force_authenticate(user)
        return program

    return authenticate
