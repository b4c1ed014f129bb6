"""The command line of the local Realtime server. Only arguments and messages; the work is in `server.py`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Sequence

from realtime.local import faults
from realtime.local.errors import BadOption, EngineMissing
from realtime.local.options import LocalConfig
from realtime.local.script import Script
from realtime.local.server import LocalServer


def parser() -> argparse.ArgumentParser:
    catalogue = "\n".join(f"  {name:14} {what}" for name, (what, _) in faults.CATALOGUE.items())
    top = argparse.ArgumentParser(
        prog="python -m realtime.local",
        description="A Realtime server that runs on this machine: no key, no network. "
        "It speaks the protocol of wss://api.openai.com/v1/realtime.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"""\
faults (--fault NAME:field=value,...), more than one allowed:
{catalogue}

  at=EVENT_TYPE, nth=N     strike after the n-th event of that type (at=handshake for stall)
  after_events=N           strike after N events of any type
  times=N                  how often in all

  --fault drop:at=response.output_audio.delta,nth=3,code=1011
  --fault refuse:status=401 --fault slow:ms=300

environment:
  LOCAL_LLM_URL, LOCAL_LLM_MODEL, LOCAL_LLM_KEY   as --llm-url, --llm-model; the key has no option

docs/local-server.md describes the file of turns and the differences from the real service.""",
    )
    top.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    top.add_argument(
        "--port", type=int, default=8765, help="port to listen on, 0 for any (default: %(default)s)"
    )
    top.add_argument("--scripted", action="store_true", help="no models: exact answers, as fast as possible")
    top.add_argument(
        "--script", metavar="FILE", help="JSON file of turns for the scripted mode (implies --scripted)"
    )
    top.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:...]", help="do something wrong, see below"
    )
    top.add_argument(
        "--pace",
        type=float,
        help="audio at most so many times faster than it plays; 0: no limit (4; scripted: 0)",
    )
    top.add_argument(
        "--require-key", action="store_true", help="refuse connections without a Bearer key (401)"
    )
    top.add_argument(
        "--max-sessions", type=int, default=64, help="sessions open at once (default: %(default)s)"
    )
    top.add_argument(
        "--session-seconds",
        type=float,
        default=3600,
        help="longest duration of a session (default: %(default)s)",
    )
    top.add_argument(
        "--silence-ms", type=int, default=500, help="default silence that ends a turn (default: %(default)s)"
    )
    top.add_argument(
        "--threads", type=int, default=2, help="threads for recognition and speech (default: %(default)s)"
    )
    top.add_argument(
        "--recognizer", choices=("tiny", "base"), default="tiny", help="Moonshine size (default: %(default)s)"
    )
    top.add_argument(
        "--recognizer-path",
        metavar="FOLDER",
        help="folder with another Moonshine model, e.g. a prepared base",
    )
    top.add_argument(
        "--llm-url", metavar="URL", help="OpenAI-compatible chat endpoint, e.g. http://127.0.0.1:8080/v1"
    )
    top.add_argument("--llm-model", metavar="NAME", help="model name to send to it")
    top.add_argument(
        "--packaged-model",
        action="store_true",
        help="a small language model (a toy, installed separately) answers what the rules do not know",
    )
    return top


def config_from(argv: Sequence[str] | None) -> LocalConfig:
    """Raises `BadOption` for a bad file of turns or fault; exits as argparse does for bad arguments."""
    args = parser().parse_args(argv)
    scripted = args.scripted or args.script is not None
    return LocalConfig(
        mode="scripted" if scripted else "speech",
        host=args.host,
        port=args.port,
        script=Script.read(args.script) if args.script else (),
        faults=[faults.Fault.parse(text) for text in args.fault],
        pace=args.pace,
        record=False,
        require_key=args.require_key,
        max_sessions=args.max_sessions,
        max_session_ms=args.session_seconds * 1000,
        silence_ms=args.silence_ms,
        threads=args.threads,
        recognizer=args.recognizer,
        recognizer_path=args.recognizer_path,
        llm_url=args.llm_url or os.environ.get("LOCAL_LLM_URL") or None,
        llm_model=args.llm_model or os.environ.get("LOCAL_LLM_MODEL") or "default",
        llm_key=os.environ.get("LOCAL_LLM_KEY") or None,
        packaged_model=args.packaged_model,
    )


async def serve(config: LocalConfig) -> None:
    """Until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        with contextlib.suppress(
            NotImplementedError
        ):  # not on Windows, where Ctrl-C raises KeyboardInterrupt
            loop.add_signal_handler(number, stop.set)
    async with LocalServer(config) as server:
        print(f"ready on {server.url}", flush=True)
        await stop.wait()


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status: 0 after an orderly stop, 1 when it cannot run, 2 for wrong arguments."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        config = config_from(argv)
        asyncio.run(serve(config))
    except (EngineMissing, BadOption) as error:
        print(f"realtime.local: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(
            f"realtime.local: cannot listen on the address: {error.strerror}. Is it in use? Try --port.",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main())
