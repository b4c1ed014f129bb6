"""The product beside the LiteLLM proxy's realtime route, in one interleaved run: CPU for each frame pair.

    python bench/litellm_proxy.py [--rounds N]

Apart from `compare.py`, since it installs more than a hundred packages, into a temporary environment of their own. The
proxy passes the provider's own events on as text, to a browser that speaks them; its log of spending is off.
What it measures goes to var/bench/results.json, and `python bench/report.py` puts it into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from compare import RESULTS, machine, unpaced_of
from relays import BIN, PORT, relays
from rig import KEY, UPSTREAM_PORT, Relay, build, upstream

VERSION = "1.106.2"
MODEL = "bench"
OURS = ("floor", "product-uvicorn", "product-daphne")
CONFIGURATION = f"""
model_list:
  - model_name: {MODEL}
    litellm_params:
      model: openai/{MODEL}
      api_key: none
      api_base: http://127.0.0.1:{UPSTREAM_PORT}
general_settings:
  disable_spend_logs: true
litellm_settings:
  telemetry: false
"""


def installed(folder: Path) -> Path:
    """The proxy's program, in an environment that holds nothing else. Raises CalledProcessError."""
    uv = str(BIN / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, folder], check=True)
    python = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--python", python, f"litellm[proxy]=={VERSION}"], check=True)
    return folder / "bin" / "litellm"


def proxy(program: Path, folder: Path) -> Relay:
    """How it is started, and what is said to it."""
    configuration = folder / "litellm.yaml"
    configuration.write_text(CONFIGURATION)
    return Relay(
        "litellm",
        [str(program), "--config", str(configuration), "--host", "127.0.0.1", "--port", PORT],
        dialect="json",
        path=f"/v1/realtime?model={MODEL}",
        environment={
            "LITELLM_MASTER_KEY": f"sk-{KEY}",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # nothing is fetched
            "LITELLM_LOG": "ERROR",
        },
        bearer=f"sk-{KEY}",
    )


def main() -> None:
    """Install, measure, keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    build()
    with tempfile.TemporaryDirectory(prefix="litellm-") as folder, upstream():
        program = installed(Path(folder) / "environment")
        before = machine()
        known = {**{name: relays()[name] for name in OURS}, "litellm": proxy(program, Path(folder))}
        figures = unpaced_of(known, rounds)
    kept = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    kept["litellm"] = {"machine": before, "rounds": rounds, "figures": figures}
    RESULTS.write_text(json.dumps(kept, indent=1))
    for name in OURS[1:]:
        ratio = figures[name]["us_per_pair"] / figures["litellm"]["us_per_pair"]
        print(f"{name}: {ratio:.2f} of the LiteLLM proxy")


if __name__ == "__main__":
    main()
