"""A prepared database and a scripted upstream for sites that run as processes of their own."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from realtime.local.server import LocalConfig, LocalServer
from tests.serve.site_process import prepare


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tables and Ada's account, made once."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder)
    return folder


@pytest.fixture
def folder(prepared: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of it for one test."""
    copy = tmp_path / "data"
    shutil.copytree(prepared, copy)
    yield copy
    shutil.rmtree(copy, ignore_errors=True)


@pytest.fixture(params=["uvicorn", "daphne"])
def server(request: pytest.FixtureRequest) -> str:
    """Both web servers keep each promise."""
    return str(request.param)


@pytest_asyncio.fixture
async def make_upstream() -> AsyncIterator[Any]:
    """`await make_upstream(script)`: a scripted upstream of the test's own process."""
    started: list[LocalServer] = []

    async def make(script: list[dict[str, Any]] | None = None, **config: Any) -> LocalServer:
        upstream = LocalServer(LocalConfig(mode="scripted", script=script or [], port=0, **config))
        await upstream.__aenter__()
        started.append(upstream)
        return upstream

    yield make
    for upstream in started:
        await upstream.__aexit__(None, None, None)
