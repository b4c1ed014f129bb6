"""`scripts/venv.sh` and `scripts/ensure-browser` on machines that lack something, with a Python that only pretends."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Stands in for the outside world: the machine's Python and, through `-m venv`, the one inside the environment.
FAKE_PYTHON = """#!/bin/sh
case "$*" in
*"sys.exit(not"*) {suits} ;;
*python_version*) echo {version} ;;
*"import ensurepip"*) {has_venv} ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "home = /" > "$3/pyvenv.cfg" ;;
"-m pip --version") echo pip ;;
"-m pip install"*) echo ran >> "{calls}"; {pip} ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the scripts and two tiny lock files."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "requirements").mkdir()
    (root / "requirements" / "run.lock").write_text("django==5.2.19\n")
    (root / "requirements" / "dev.lock").write_text("django==5.2.19\npytest==9.2\n")
    return root


def executable(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def fake_python(
    root: Path,
    *,
    version: str = "3.11.2",
    suits: str = "exit 0",
    has_venv: str = "exit 0",
    pip: str = "exit 0",
) -> Path:
    text = FAKE_PYTHON.format(
        version=version, suits=suits, has_venv=has_venv, pip=pip, calls=root / "pip-calls"
    )
    return executable(root / "fake-python", text)


def install(root: Path, python: Path | str, kind: str = "run") -> subprocess.CompletedProcess[str]:
    env = {"PATH": os.environ["PATH"], "PYTHON": str(python)}
    return subprocess.run(
        ["sh", "scripts/venv.sh", kind], cwd=root, env=env, capture_output=True, text=True, timeout=60
    )


def pip_calls(root: Path) -> int:
    calls = root / "pip-calls"
    return len(calls.read_text().splitlines()) if calls.exists() else 0


def refusal(result: subprocess.CompletedProcess[str]) -> str:
    """What a failed install said; it must be one line."""
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1, result.stderr
    return result.stderr


def test_a_second_install_of_the_same_lock_does_nothing(checkout: Path) -> None:
    python = fake_python(checkout)
    assert install(checkout, python).returncode == 0
    assert install(checkout, python).returncode == 0
    assert pip_calls(checkout) == 1


def test_what_is_fetched_is_shown_by_name_and_size(checkout: Path) -> None:
    says = "  Downloading https://index.example/12/nice_package-1.2-py3-none-any.whl (3.4 MB)"
    shown = install(checkout, fake_python(checkout, pip=f'echo "{says}"')).stdout
    assert "  nice_package, 3.4 MB\n" in shown


def test_a_changed_lock_is_installed(checkout: Path) -> None:
    python = fake_python(checkout)
    install(checkout, python)
    (checkout / "requirements" / "run.lock").write_text("django==5.2.20\n")
    assert install(checkout, python).returncode == 0
    assert pip_calls(checkout) == 2


def test_the_development_install_stands_for_the_other_one(checkout: Path) -> None:
    python = fake_python(checkout)
    install(checkout, python, "dev")
    install(checkout, python, "run")
    assert pip_calls(checkout) == 1


def test_an_old_python_is_named_with_what_is_needed(checkout: Path) -> None:
    said = refusal(install(checkout, fake_python(checkout, version="3.9.2", suits="exit 1")))
    assert "Python 3.9.2 does not suit" in said
    assert "3.11" in said
    assert not (checkout / ".venv").exists()


def test_a_python_that_is_not_there_is_named(checkout: Path) -> None:
    assert "/no/such/python" in refusal(install(checkout, "/no/such/python"))


def test_a_missing_venv_module_is_named_with_its_package(checkout: Path) -> None:
    assert "python3-venv" in refusal(install(checkout, fake_python(checkout, has_venv="exit 1")))


@pytest.mark.parametrize(
    ("pip_says", "sentence"),
    [
        ("WARNING: Retrying (Retry(total=4)) after connection broken", "could not be downloaded"),
        (
            "ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.",
            "not the one that was pinned",
        ),
        (
            "ERROR: No matching distribution found for numpy==2.3 (from x)",
            "no build for this system: numpy==2.3",
        ),
        ("ERROR: Could not install packages: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: something else", "could not be installed"),
    ],
)
def test_a_failed_download_says_why_in_one_sentence_and_is_tried_again(
    checkout: Path, pip_says: str, sentence: str
) -> None:
    broken = fake_python(checkout, pip=f"echo '{pip_says}' >&2; exit 1")
    assert sentence in refusal(install(checkout, broken))
    shutil.copy(fake_python(checkout), checkout / ".venv" / "bin" / "python")
    assert install(checkout, checkout / "fake-python").returncode == 0
    assert pip_calls(checkout) == 2


def test_an_environment_whose_python_is_gone_is_made_anew(checkout: Path) -> None:
    python = fake_python(checkout)
    install(checkout, python)
    (checkout / ".venv" / "bin" / "python").unlink()
    assert install(checkout, python).returncode == 0
    assert pip_calls(checkout) == 2


def test_a_folder_that_is_no_environment_is_never_deleted(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv" / "thesis.txt").write_text("years of work")
    assert "is not a virtual environment" in refusal(install(checkout, fake_python(checkout)))
    assert (checkout / ".venv" / "thesis.txt").exists()


def ensure_browser(root: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run it with a PATH on which nothing but a shell's own tools can be found."""
    tools = root / "tools"
    tools.mkdir()
    for name in ("sh", "dirname", "cat", "id"):
        (tools / name).symlink_to(shutil.which(name) or "/bin/sh")
    return subprocess.run(
        ["sh", "scripts/ensure-browser", *arguments],
        cwd=root,
        env={"PATH": str(tools), **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_no_browser_to_be_had_fails_loudly(checkout: Path) -> None:
    result = ensure_browser(checkout)
    assert result.returncode == 1
    assert "NO BROWSER" in result.stderr
    assert result.stdout == ""


def test_a_named_browser_that_starts_is_printed(checkout: Path) -> None:
    browser = executable(checkout / "my-chromium", "#!/bin/sh\necho Chromium 1\n")
    result = ensure_browser(checkout, "--find", CHROMIUM_BIN=str(browser))
    assert result.stdout.strip() == str(browser)


def test_a_named_browser_that_does_not_start_is_never_replaced_by_another(checkout: Path) -> None:
    browser = executable(checkout / "my-chromium", "#!/bin/sh\nexit 1\n")
    result = ensure_browser(checkout, CHROMIUM_BIN=str(browser))
    assert result.returncode == 1
    assert "does not start" in result.stderr
