"""The pinned versions: not below the floors of known weaknesses, and the lock files true to pyproject.toml."""

import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# Package, lowest version that we accept, and what is wrong below it.
FLOORS = [
    (
        "Django",
        "5.2.19",
        "denial of service by headers, signed cookies that collide, script in an admin link",
    ),
    ("channels", "4.3.2", "older ones are not tested with this Django"),
    ("daphne", "4.2.3", "no limit on the size of a message, forged headers at the upgrade"),
    ("djangorestframework", "3.18", "older ones are not tested with this Django"),
    ("djangorestframework-simplejwt", "5.5.1", "tokens of disabled users stay good"),
    ("websockets", "16.1", "credentials follow a redirect to another host"),
    ("uvicorn", "0.46", "the limit on the size of a message is not kept"),
    ("Twisted", "26.4", "requests mixed up, name lookups that never end"),
    ("nh3", "0.3.8", "markup that passes the sanitizer"),
]


def pins(kind: str) -> dict[str, str]:
    """Package name to exact version, as a lock file pins them."""
    text = (ROOT / "requirements" / f"{kind}.lock").read_text(encoding="utf-8")
    return {
        name.lower(): pinned
        for name, pinned in re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", text, re.MULTILINE)
    }


@pytest.mark.parametrize(("package", "floor", "below"), FLOORS)
def test_no_installed_package_is_below_its_floor(package: str, floor: str, below: str) -> None:
    assert Version(version(package)) >= Version(floor), f"{package} below {floor}: {below}"


@pytest.mark.parametrize(("package", "floor", "below"), FLOORS)
def test_no_pinned_package_is_below_its_floor(package: str, floor: str, below: str) -> None:
    for kind in ("run", "scale", "dev"):
        assert Version(pins(kind)[package.lower()]) >= Version(floor), (
            f"{package} below {floor} in {kind}.lock: {below}"
        )


@pytest.mark.parametrize(
    ("kind", "declared"),
    [
        ("run", PYPROJECT["dependencies"]),
        ("scale", PYPROJECT["dependencies"] + PYPROJECT["optional-dependencies"]["scale"]),
        ("dev", PYPROJECT["dependencies"] + PYPROJECT["optional-dependencies"]["dev"]),
    ],
)
def test_a_lock_file_holds_what_pyproject_asks_for(kind: str, declared: list[str]) -> None:
    pinned = pins(kind)
    for requirement in map(Requirement, declared):
        name = requirement.name.lower()
        assert name in pinned, f"{name} is missing in {kind}.lock: make lock"
        assert requirement.specifier.contains(pinned[name], prereleases=True), (
            f"{name} in {kind}.lock: make lock"
        )


@pytest.mark.parametrize("kind", ["run", "scale"])
def test_the_development_lock_agrees_on_every_package_of_the_others(kind: str) -> None:
    development = pins("dev")
    assert {name: development.get(name) for name in pins(kind)} == pins(kind)


@pytest.mark.parametrize("kind", ["run", "scale", "dev"])
def test_every_pin_has_a_hash_and_no_lock_file_names_a_host(kind: str) -> None:
    text = (ROOT / "requirements" / f"{kind}.lock").read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[A-Za-z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(blocks) == len(re.findall(r"^[A-Za-z0-9]", text, re.MULTILINE))
    assert all("--hash=sha256:" in block for block in blocks)
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
