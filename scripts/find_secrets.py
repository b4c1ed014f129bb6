"""Looks for keys and passwords in the files that git tracks, by their shapes. Prints file and line, never the find.

Deliberate examples carry a word of EXAMPLES in them, or stand in a line with `not-a-secret`.
"""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {
    "a key of the provider": re.compile(r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{20,}"),
    "a short-lived key": re.compile(r"\bek_[A-Za-z0-9]{20,}"),
    "a private key": re.compile(r"-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----"),
    "a key of a cloud": re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{35}\b"),
    "a token of a forge": re.compile(r"\bgh[pousr]_[A-Za-z0-9]{36}\b|\bgithub_pat_\w{30,}|\bglpat-[\w-]{20}"),
    "a token of a chat": re.compile(r"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "a signed token": re.compile(r"\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    "a password in an address": re.compile(
        r"\b[a-z][a-z0-9+]*://[^\s:/@'\"{<]+:(?!password@)[^\s:/@'\"{<]{6,}@"
    ),
}
EXAMPLES = ("canary", "example", "test", "fake", "abcdef", "not-a-secret", "made-up")


def tracked() -> list[Path]:
    """The files that git tracks."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name]


def finds(text: str) -> list[tuple[int, str]]:
    """(line number, what it looks like) of each find in a text."""
    return [
        (number, name)
        for number, line in enumerate(text.splitlines(), 1)
        if "not-a-secret" not in line
        for name, shape in SHAPES.items()
        for match in shape.finditer(line)
        if not any(word in match[0].lower() for word in EXAMPLES)
    ]


def main() -> int:
    """Look through every tracked text file: 0 when there is nothing, 1 else."""
    count = 0
    for path in tracked():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
            continue
        for number, name in finds(text):
            count += 1
            print(f"{path.relative_to(ROOT)}:{number}: looks like {name}")
    if count:
        print("Take it out, and out of the history; then change it wherever it was good.")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
