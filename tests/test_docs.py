"""The pages for people, held to the code: settings, links, commands, versions. Not the browser protocol or the API."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
READERS = {"env_bool", "env_int", "env_float", "env_str", "env_choice", "env_list", "env_secret"}


def settings_read() -> dict[str, str | None]:
    """Environment variable -> default as text, None where the code works it out; from the tree of settings.py."""
    found: dict[str, str | None] = {}
    tree = ast.parse((ROOT / "voiceproject" / "settings.py").read_text(encoding="utf-8"))
    either_or = {
        id(node.values[0]): node.values[1] for node in ast.walk(tree) if isinstance(node, ast.BoolOp)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in READERS:
            name, *defaults = node.args
            assert isinstance(name, ast.Constant), (
                f"line {node.lineno}: the variable's name must be a plain text"
            )
            default = defaults[0] if defaults else either_or.get(id(node), ast.Constant(""))
            found[name.value] = as_written(default)
    return found


def as_written(default: ast.expr) -> str | None:
    """A default the way a person writes it in `.env`; None when it is worked out, empty when there is none."""
    if not isinstance(default, ast.Constant):
        return None
    return str(default.value).lower() if isinstance(default.value, bool) else str(default.value)


def settings_in_example() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    return dict(re.findall(r"^#?([A-Z][A-Z0-9_]*)=(.*)$", text, re.MULTILINE))


def settings_on_page() -> dict[str, str]:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| `([A-Z][A-Z0-9_]*)` \| ([^|]*?) \|", text, re.MULTILINE))


def test_the_example_file_holds_every_setting_and_no_other() -> None:
    assert set(settings_in_example()) == set(settings_read())


def test_the_settings_page_holds_every_setting_and_no_other() -> None:
    assert set(settings_on_page()) == set(settings_read())


@pytest.mark.parametrize(("name", "default"), sorted(settings_read().items()))
def test_the_default_that_the_docs_name_is_the_one_in_the_code(name: str, default: str | None) -> None:
    if default is None or len(default) > 60:
        assert settings_on_page()[name] in {"see text", "empty"}
        return
    assert settings_on_page()[name] == (f"`{default}`" if default else "empty")
    example = settings_in_example()[name]
    assert example == default


def test_the_example_file_changes_nothing_when_it_is_copied() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


@pytest.mark.parametrize("document", PAGE_NAMES)
def test_every_link_to_a_file_of_ours_leads_somewhere(document: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / document).read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith(("mailto:", "#")):
            continue
        path, _, anchor = target.partition("#")
        linked = (ROOT / document).parent / path
        assert linked.exists(), f"{document} links to {target}"
        if anchor:
            assert anchor in anchors(linked), f"{document} links to {target}"


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", PAGE_NAMES)
def test_every_make_command_of_a_page_exists(document: str) -> None:
    targets = set(
        re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    named = set(
        re.findall(
            r"(?:`|^ *\$? ?)make ([a-z][a-z-]*)", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert named <= targets


@pytest.mark.parametrize("document", PAGE_NAMES)
def test_every_file_that_a_page_names_in_full_exists(document: str) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    folders = "conversations|realtime|voiceproject|scripts|static|templates|tests|requirements|docs"
    for name in re.findall(rf"`((?:{folders})/[\w./-]+\.(?:py|js|sh|md|html|css|lock))`", text):
        assert (ROOT / name).exists(), f"{document} names {name}"


@pytest.mark.parametrize("document", PAGE_NAMES)
def test_every_test_that_a_page_names_exists(document: str) -> None:
    known = {
        name
        for path in (ROOT / "tests").rglob("*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))
    } | {path.stem for path in (ROOT / "tests").rglob("test_*.py")}
    named = set(re.findall(r"`(test_\w+)`", (ROOT / document).read_text(encoding="utf-8")))
    assert named <= known, f"{document} names {sorted(named - known)}"


THREATS = [*(f"S{n}" for n in range(1, 10)), *(f"T{n}" for n in range(1, 7)), *(f"I{n}" for n in range(1, 5)),
           *(f"D{n}" for n in range(1, 10)), "R1", "E1", "E2", "E3"]  # fmt: skip
# Of OWASP's standard, version 5.0: the lines that bear on a relay.
ASVS = re.findall(
    r"[\d.]+",
    """
    2.3.1 2.3.2 2.4.1 3.2.2 3.3.1 3.3.2 3.3.3 3.3.4 3.4.1 3.4.2 3.4.3 3.4.4 3.4.5 3.4.6 4.1.3 4.4.1 4.4.2 4.4.3 4.4.4
    6.3.1 7.4.1 7.4.2 7.4.3 7.5.2 8.2.2 9.1.2 9.2.1 9.2.2 9.2.3 9.2.4 12.3.2 13.2.4 13.2.5 13.3.1 14.2.1 14.2.4 14.2.7
    14.3.1 14.3.2 14.3.3 15.1.3 15.2.2 15.3.1 15.3.2 15.3.3 15.4.2 16.2.5 16.3.1 16.3.2 16.3.3 16.3.4 16.4.1 16.5.1
    16.5.2 16.5.3 17.3.1 17.3.2
    """,
)


@pytest.mark.parametrize("row_id", [*THREATS, *(f"V{line}" for line in ASVS)])
def test_each_threat_and_each_line_of_the_standard_has_its_row_with_a_test(row_id: str) -> None:
    text = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    [row] = re.findall(rf"^\| {re.escape(row_id)} \|(.*)\|$", text, re.MULTILINE)
    cells = row.split(" | ")
    assert all(cell.strip() for cell in cells)
    assert re.search(r"`test_\w+`", cells[-1]), row_id


def test_the_architecture_page_has_every_file_of_the_relay() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    files = {path.name for path in (ROOT / "realtime").glob("*.py")} - {"__init__.py", "admin.py", "apps.py"}
    assert {name for name in files if f"`realtime/{name}`" not in text} == set()


def test_the_changelog_begins_with_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    newest = re.search(r"^## ([0-9.]+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == version


def test_every_dependency_has_its_reason() -> None:
    reasons = (ROOT / "docs" / "decisions" / "0001-dependencies.md").read_text(encoding="utf-8").lower()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [re.split(r"[\[<>=~! ]", dependency)[0].lower() for dependency in project["dependencies"]]
    assert [name for name in names if name not in reasons] == []


def test_decisions_are_numbered_without_gaps_or_doubles() -> None:
    numbers = sorted(int(page.name[:4]) for page in (ROOT / "docs" / "decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_the_docs_index_lists_every_page() -> None:
    docs = ROOT / "docs"
    index = (docs / "README.md").read_text(encoding="utf-8")
    pages = {str(page.relative_to(docs)) for page in docs.rglob("*.md")} - {"README.md"}
    assert {page for page in pages if f"({page})" not in index} == set()
