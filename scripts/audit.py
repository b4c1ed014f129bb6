"""Known vulnerabilities of the pinned dependencies, by pip-audit. Says so when the advisories could not be had.

Exit codes: 0 nothing known (or, without --strict, not known for want of advisories), 1 vulnerabilities, 2 not audited.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "run.lock"


def audit() -> tuple[list[str], list[str], int]:
    """(vulnerabilities as sentences, names that could not be audited, number audited). Raises OSError, ValueError."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "-r", str(LOCK)]
    ran = subprocess.run(
        [*command, "-f", "json", "--progress-spinner", "off"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    found, skipped, audited = [], [], 0
    for package in json.loads(ran.stdout)["dependencies"]:
        if "skip_reason" in package:
            skipped.append(package["name"])
            continue
        audited += 1
        found += [
            f"{package['name']} {package['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or '-'}"
            for flaw in package["vulns"]
        ]
    return found, skipped, audited


def main() -> int:
    """Audit and say what was found."""
    try:
        found, skipped, audited = audit()
    except (OSError, ValueError, KeyError, subprocess.TimeoutExpired) as error:
        print(
            f"NOT AUDITED: pip-audit gave no answer ({type(error).__name__}). Is the package index reachable?"
        )
        return 2 if "--strict" in sys.argv else 0
    for sentence in found:
        print(sentence)
    if found:
        return 1
    if skipped:
        print(
            f"NOT AUDITED: {len(skipped)} of {len(skipped) + audited} packages, since their advisories could not be "
            "had from the package index. Run `make audit` where pypi.org is reachable."
        )
        return 2 if "--strict" in sys.argv else 0
    print(f"No known vulnerability in {audited} packages.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
