"""The files of deploy/ apart from nginx's: what the image installs, units, the compose file, backup and restore."""

from __future__ import annotations

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from tests.services.engines import program
from tests.services.site import ROOT, Site, Worker, manage
from tests.test_docs import settings_read

DEPLOY = ROOT / "deploy"
NAME = "voice.example.org"
INSTALL_S = 400


def copied_by_the_image() -> list[tuple[str, str]]:
    """Sources and targets of the Dockerfile's COPY lines."""
    lines = re.findall(r"^COPY (.+)$", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    pairs = []
    for line in lines:
        *sources, target = line.split()
        pairs += [
            (source, target.rstrip("/") + "/" + source if target == "./" else target) for source in sources
        ]
    return pairs


@pytest.mark.timeout(600)
def test_what_the_image_installs_serves_pages(folder: Path, site: Site) -> None:
    place = folder / "image"
    for source, target in copied_by_the_image():
        there = place / target
        there.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, there, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(ROOT / source, there)
    kept = ("PATH", "HOME", "LANG", "PIP_INDEX_URL", "PIP_CONFIG_FILE", "PIP_CERT", "SSL_CERT_FILE", "http_proxy",
            "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")  # fmt: skip
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    places = {"VENV": str(folder / "image-venv"), "STATIC_ROOT": str(place / "staticfiles")}
    done = subprocess.run(
        [str(place / "deploy" / "install.sh")],
        env={**environment, **places, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=INSTALL_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    class Installed(Worker):
        def command(self) -> list[str]:
            with_python = [
                f"{places['VENV']}/bin/python" if word == sys.executable else word
                for word in super().command()
            ]
            return ["env", "-C", str(place), *with_python[1:]]

    environment = {**site.environment, "STATIC_ROOT": places["STATIC_ROOT"], "ALLOWED_HOSTS": NAME}
    worker = Installed(folder / "image-worker", environment)
    headers = {"X-Forwarded-Proto": "https", "Host": NAME}
    with worker:
        request = urllib.request.Request(f"http://127.0.0.1:{worker.port}/accounts/login/", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            text = answer.read().decode()
        script = re.search(r"/static/css/tokens\.[0-9a-f]{12}\.css", text)
        assert script
        request = urllib.request.Request(f"http://127.0.0.1:{worker.port}{script[0]}", headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            assert "immutable" in answer.headers["Cache-Control"]
        assert health_check(f"{places['VENV']}/bin/python", worker.port).returncode == 0
    assert worker.exit_codes == [0]
    assert health_check(f"{places['VENV']}/bin/python", worker.port).returncode != 0


def health_check(python: str, port: int) -> subprocess.CompletedProcess[str]:
    """The image's own, asked of this port. It knows nothing of the site's name."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    found = re.search(r"HEALTHCHECK [^\[]*CMD (\[.*\])", text)
    assert found
    _python, *words = json.loads(found[1])
    command = [python, *(word.replace(":8000/", f":{port}/") for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_command_is_run_with_the_settings_of_the_workers(tmp_path: Path) -> None:
    secret = 'a b"c$d#e' + "k3y" * 20
    lines = ["# a comment", "", f"SECRET_KEY={secret}", f'ALLOWED_HOSTS="{NAME}"', "#LOG_LEVEL=DEBUG",
             "LOG_LEVEL=ERROR", "LOG_LEVEL=WARNING", "PYTHON_DOTENV_DISABLED=1", f"DATA_DIR={tmp_path}"]  # fmt: skip
    (tmp_path / "voice.env").write_text("\n".join(lines), encoding="utf-8")  # no end to the last line
    print_settings = (
        "from django.conf import settings; import json, os; "
        "print(json.dumps([str(settings.SECRET_KEY), settings.ALLOWED_HOSTS, os.environ['LOG_LEVEL'], "
        "str(settings.DATA_DIR), 'PGPASSWORD' in os.environ]))"
    )
    done = subprocess.run(
        [DEPLOY / "manage.sh", "shell", "--no-imports", "-c", print_settings],
        env={"PATH": os.environ["PATH"], "SETTINGS": str(tmp_path / "voice.env"), "SITE_USER": getpass.getuser(),
             "VENV": sys.prefix, "PGPASSWORD": "of whoever calls it"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [secret, [NAME], "WARNING", str(tmp_path), False]


def test_a_command_without_its_settings_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [DEPLOY / "manage.sh", "check"], env={"PATH": os.environ["PATH"], "SETTINGS": str(tmp_path / "none")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "cannot be read" in done.stderr


def test_the_example_of_the_settings_is_one_to_systemd() -> None:
    page = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    block = re.search(r"In `voice.env`.*?```\n(.*?)```", page, re.DOTALL)
    assert block
    lines = block[1].splitlines()
    assert [line for line in lines if line.startswith("SECRET_KEY=")]
    for line in lines:
        name, _, value = line.partition("=")
        assert line.startswith("# ") or (
            name in settings_read() and "#" not in value and value == value.strip()
        )


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="there is no systemd-analyze on this machine")
def test_systemd_finds_no_fault_in_the_units(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        # The paths of the units are those of a server; only this one has to exist for the check.
        text = unit.read_text(encoding="utf-8").replace("/opt/voice/.venv/bin/python", sys.executable)
        (tmp_path / unit.name).write_text(text, encoding="utf-8")
    units = sorted(str(path) for path in tmp_path.iterdir())
    assert len(units) == 4
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{tmp_path}:"},
    )
    said = [line for line in checked.stderr.splitlines() if str(tmp_path) in line or "voice" in line]
    assert said == []


def test_the_compose_file_names_only_what_exists() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
    services = compose["services"]
    known = set(settings_read()) | {f"{name}_FILE" for name in settings_read()}
    for name in ("worker", "migrate"):
        assert set(services[name]["environment"]) <= known
        for secret in services[name]["secrets"]:
            assert secret in compose["secrets"]
    assert services["worker"]["stop_grace_period"] == "30s"
    assert services["migrate"]["command"][:2] == ["python", "manage.py"]
    for mount in services["nginx"]["volumes"]:
        source = mount.split(":")[0]
        if source.startswith("./"):
            assert (DEPLOY / source).is_file(), source
    for service in services.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source[0] in "./" or source in compose["volumes"]
    assert (
        DEPLOY / services["worker"]["build"]["context"] / services["worker"]["build"]["dockerfile"]
    ).is_file()
    addresses = (DEPLOY / "compose" / "workers.conf").read_text(encoding="utf-8")
    port = re.search(r"EXPOSE (\d+)", (DEPLOY / "Dockerfile").read_text(encoding="utf-8"))
    assert port
    assert re.findall(r"server (\S+) ", addresses) == [f"worker:{port[1]}"] * 2
    assert "max_fails=0" in addresses.split("upstream voice_sockets")[1]  # as in nginx/workers.conf


def test_a_backup_can_be_restored(site: Site, folder: Path) -> None:
    tables = [row[0] for row in site.ask("select tablename from pg_tables where schemaname = 'public'")]

    def counts(url: str) -> dict[str, int]:
        here = Site(**{**site.__dict__, "environment": {**site.environment, "DATABASE_URL": url}})
        return {table: here.ask(f'select count(*) from "{table}"')[0][0] for table in tables}  # noqa: S608

    before = counts(site.environment["DATABASE_URL"])
    file = folder / "voice.dump"
    dump = [program("pg_dump"), "--format=custom", "--file", str(file), site.environment["DATABASE_URL"]]
    subprocess.run(dump, check=True, timeout=120)
    empty = site.postgres.create("restored")
    subprocess.run(
        [program("pg_restore"), "--no-owner", "--dbname", empty, str(file)], check=True, timeout=120
    )
    restored = counts(empty)
    assert before["auth_user"] > 0
    assert restored == before
    environment = {**site.environment, "DATABASE_URL": empty}
    assert "No migrations to apply" in manage(environment, "migrate")
    assert "Lost sessions ended" in manage(environment, "realtime_sweep")
