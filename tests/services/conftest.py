"""One whole site for all tests of this folder: starting four workers takes longer than most of the tests."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services.site import Site, whole_site

SCRIPT = [{"says": "That is a good question.", "audio_ms": 400}]


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """One that other users may look into, as pytest's own may not be: PostgreSQL runs as one of them."""
    with tempfile.TemporaryDirectory(prefix="voiceproject-services-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.fixture(scope="session")
def site(folder: Path) -> Iterator[Site]:
    """Four workers behind nginx, on PostgreSQL and Redis."""
    with whole_site(folder, SCRIPT) as running:
        yield running
