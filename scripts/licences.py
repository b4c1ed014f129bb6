"""Writes docs/licences.md: the licence of every package that a site can run with, as the package itself states it."""

import re
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "licences.md"
HEAD = """# Licences

The project itself is under the MIT licence. These are the packages that it runs with (`requirements/scale.lock`), each
with the licence that the package states. `make licences` writes this page; a test holds its list to the lock file.
[The decision on dependencies](decisions/0001-dependencies.md) has the licences of model weights.

| package | licence |
|---|---|
"""
SHORT = 60


def packages() -> list[str]:
    """The names in the lock file."""
    text = (ROOT / "requirements" / "scale.lock").read_text(encoding="utf-8")
    return re.findall(r"^([a-z0-9._-]+)==", text, re.MULTILINE)


def licence(name: str) -> str:
    """What the installed package says of itself."""
    try:
        facts = metadata.distribution(name).metadata.json
    except metadata.PackageNotFoundError:
        return "not installed on this platform"
    if expression := facts.get("license_expression"):
        return str(expression)
    stated = facts.get("classifier", [])
    names = [line.rpartition(" :: ")[2] for line in stated if line.startswith("License ::")]
    text = str(facts.get("license", "")).strip()
    if names:
        return ", ".join(names)
    return text if 0 < len(text) <= SHORT else "stated in the package's LICENSE file"


def main() -> int:
    """Write the page."""
    rows = [f"| {name} | {licence(name)} |" for name in packages()]
    PAGE.write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
