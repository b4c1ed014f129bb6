"""Who may import whom, read from the syntax trees; nothing is imported here. docs/architecture.md has the rules."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
OURS = ("conversations", "realtime", "voiceproject")

# The relay's files that wait, talk or store. Every other one is pure: it decides, with time as an argument, and knows
# no Django, no waiting, no socket and no clock. A new file is pure until it is named here.
SHELL = {
    "access",
    "admin",
    "admission",
    "apps",
    "bell",
    "budgets",
    "checks",
    "consumers",
    "frames",
    "holds",
    "hours",
    "journal",
    "leases",
    "ledger",
    "memory",
    "metrics",
    "models",
    "neighbours",
    "ownership",
    "past",
    "probe",
    "probe_display",
    "probe_runs",
    "probe_sentence",
    "recorder",
    "recordings",
    "relay",
    "revocation",
    "routing",
    "serve",
    "serve_daphne",
    "serve_uvicorn",
    "services",
    "switchboard",
    "tokens",
    "tools",
    "traces",
    "turn_end",
    "upstream",
    "upstream_picows",
    "usage_days",
    "voice_samples",
    "watchdog",
    "web_server",
}
PURE = {path.stem for path in (ROOT / "realtime").glob("*.py")} - SHELL - {"__init__"}
# The way down the audio path: a file may import from the rows below its own, never from those above.
LAYERS = ("routing", "consumers", "switchboard", "relay", "session")
# Doors to what is kept. Only they may know the conversations app or the database.
STORING = {
    "access",
    "admin",
    "admission",
    "apps",
    "budgets",
    "holds",
    "hours",
    "journal",
    "leases",
    "ledger",
    "models",
    "ownership",
    "past",
    "probe_runs",
    "recordings",
    "revocation",
    "services",
    "tokens",
    "traces",
    "turn_end",
    "usage_days",
}

NOT_PURE = {
    "asgiref",
    "asyncio",
    "channels",
    "concurrent",
    "datetime",
    "django",
    "http",
    "multiprocessing",
    "os",
    "select",
    "selectors",
    "signal",
    "socket",
    "ssl",
    "subprocess",
    "threading",
    "time",
    "urllib.request",
    "picows",
    "websockets",
}
# `onnx` is for `prepare_base.py`, `xllamacpp` for `packaged_model.py`: both optional.
LOCAL_LIBRARIES = {"hibari", "numpy", "onnx", "onnxruntime", "soxr", "websockets", "xllamacpp"}


# Its command, and the probe, which borrows its voice for a sentence to say.
BORROWERS = {"realtime.management.commands.realtime_local", "realtime.probe_sentence"}


def modules(*folders: str) -> Iterator[tuple[str, Path]]:
    """(dotted name, path) of each Python file below the folders."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, `from a import b` as both `a` and `a.b`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} imports relatively: write the whole name"
            assert node.module is not None
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


def under(names: set[str], package: str) -> set[str]:
    """Those of the names that are the package or in it."""
    return {name for name in names if name == package or name.startswith(f"{package}.")}


def relay_file(name: str) -> str | None:
    """`session` for `realtime.session`; None for what is not a file directly in `realtime/`."""
    parts = name.split(".")
    return parts[1] if len(parts) >= 2 and parts[0] == "realtime" and parts[1] in PURE | SHELL else None


def test_each_pure_file_that_the_design_names_exists() -> None:
    files = {path.stem for path in (ROOT / "realtime").glob("*.py")}
    assert {
        "session",
        "effects",
        "playout",
        "queues",
        "transcript",
        "browser_events",
        "upstream_events",
    } <= files


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in (ROOT / "realtime").glob("*.py") if path.stem in PURE)
)
def test_a_pure_file_knows_no_django_no_waiting_no_socket_and_no_clock(name: str) -> None:
    found = imports(ROOT / "realtime" / f"{name}.py")
    for forbidden in NOT_PURE:
        assert not under(found, forbidden)
    ours = {relay_file(imported) for imported in under(found, "realtime")} - {None}
    assert ours <= PURE, f"{name} imports {sorted(map(str, ours - PURE))}"
    assert not under(found, "conversations")
    assert not under(found, "voiceproject")
    outside = {imported.split(".")[0] for imported in found} - set(OURS) - set(sys.stdlib_module_names)
    assert outside <= {"numpy", "pybase64"}


def test_what_is_kept_never_knows_the_relay() -> None:
    for name, path in modules("conversations"):
        assert not under(imports(path), "realtime"), name
        assert not under(imports(path), "voiceproject"), name


def test_the_relay_never_knows_the_site() -> None:
    for name, path in modules("realtime"):
        assert not under(imports(path), "voiceproject") - {"voiceproject.__version__"}, name


def test_the_audio_path_imports_downwards_only() -> None:
    for row, name in enumerate(LAYERS):
        path = ROOT / "realtime" / f"{name}.py"
        if path.exists():
            above = {f"realtime.{upper}" for upper in LAYERS[:row]}
            assert not imports(path) & above, name


def test_stored_things_know_nothing_of_live_ones() -> None:
    live = {f"realtime.{name}" for name in (*LAYERS, "upstream")}
    for name in ("models", "services", "tokens"):
        path = ROOT / "realtime" / f"{name}.py"
        if path.exists():
            assert not imports(path) & live, name


def test_only_the_doors_to_the_database_know_the_orm() -> None:
    for path in sorted((ROOT / "realtime").glob("*.py")):
        if path.stem in STORING:
            continue
        found = imports(path)
        assert not under(found, "django.db") - {"django.db", "django.db.DatabaseError"}, path.stem
        assert not under(found, "realtime.models"), path.stem
        assert not under(found, "conversations"), path.stem


def test_the_local_server_imports_nothing_of_ours_and_no_django() -> None:
    for name, path in modules("realtime/local"):
        found = imports(path)
        foreign = {imported for imported in found if imported.split(".")[0] in OURS} - under(
            found, "realtime.local"
        )
        assert foreign <= {"realtime"}, f"{name} imports {sorted(foreign)}"
        outside = {imported.split(".")[0] for imported in found} - set(OURS) - set(sys.stdlib_module_names)
        assert outside <= LOCAL_LIBRARIES, f"{name} imports {sorted(outside - LOCAL_LIBRARIES)}"


def test_hardly_anybody_knows_the_local_server() -> None:
    for name, path in modules(*OURS):
        if name.startswith("realtime.local") or name in BORROWERS:
            continue
        assert not under(imports(path), "realtime.local"), name


def test_one_file_reads_the_environment() -> None:
    for name, path in modules(*OURS):
        if name in {"voiceproject.env", "voiceproject.asgi"} or name.startswith("realtime.local"):
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
                assert node.attr not in {"environ", "getenv"}, f"{name}, line {node.lineno}"


def test_no_file_is_a_drawer_of_odds_and_ends() -> None:
    drawers = {"utils", "helpers", "common", "misc"}
    assert not [name for name, path in modules(*OURS, "tests") if path.stem in drawers]


def test_every_file_says_first_what_it_holds() -> None:
    for name, path in modules(*OURS):
        if path.stem == "__init__" or "migrations" in path.parts:
            continue
        assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), (
            f"{name} has no module docstring"
        )
