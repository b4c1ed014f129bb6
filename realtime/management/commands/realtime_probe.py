"""`manage.py realtime_probe`: runs the probe, shows each stage, keeps the run. The probe is `realtime/probe.py`."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import ArgumentTypeError
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TextIO, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError

from realtime import probe_runs, probe_sentence
from realtime.conf import RelayConfig, relay_config
from realtime.probe import Probe
from realtime.probe_display import Display
from realtime.probe_faults import FAULTS, STAGES, Report, Stage, StageFailed, percentiles


def whole_number(text: str) -> int:
    """1 to 1,000."""
    if not text.isdigit() or not 1 <= int(text) <= 1_000:
        raise ArgumentTypeError("a whole number from 1 to 1000")
    return int(text)


class Command(BaseCommand):
    help = (
        "Talk to the voice service once and say how long each stage took, what is wrong, and what to do. "
        "Exit code 0: all is well; 10-19 network, 20-29 refused, 30-39 protocol, 40-49 answers, 50-59 this machine."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", help="address to probe (default: REALTIME_BASE_URL)")
        parser.add_argument("--model", help="model to ask for (default: REALTIME_MODEL)")
        parser.add_argument(
            "--audio", type=Path, metavar="FILE", help="WAV to say, 16 bits (default: a sentence)"
        )
        parser.add_argument("--says", default="", metavar="TEXT", help="the words of --audio, to be compared")
        parser.add_argument("--stage", choices=STAGES, default=STAGES[-1], help="stop after this stage")
        parser.add_argument("--count", type=whole_number, default=1, metavar="N", help="run so many times")
        parser.add_argument("--json", action="store_true", dest="as_json", help="print one JSON object only")
        parser.add_argument("--no-store", action="store_true", help="do not keep the runs for the admin")

    def handle(self, *args: object, **options: Any) -> None:
        config = relay_config(settings)
        url, model = options["url"] or config.upstream_url, options["model"] or config.model
        # The key belongs to the configured host: another address gets it only when it is the same one.
        config_key = config.api_key
        key = config_key if url == config.upstream_url else type(config_key)("")
        config = replace(config, upstream_url=url, model=model, api_key=key)
        if not options["as_json"]:
            self.stdout.write(f"{url}, model {model}{self._about_the_key(config, bool(config_key))}")
        reports = []
        try:
            sentence = self._sentence(options)
        except StageFailed as failed:
            reports = [Report(url, model, [Stage("spoken_turn", False, 0.0, failed.detail, failed.fault)])]
        for number in range(options["count"] if not reports else 0):
            if not options["as_json"] and options["count"] > 1:
                self.stdout.write(f"run {number + 1} of {options['count']}")
            with self._shown(options) as show:
                probe = Probe(config, sentence=sentence, until=options["stage"], progress=show)
                reports.append(asyncio.run(probe.run()))
            if not options["no_store"]:
                self._keep(reports[-1])
        if options["as_json"]:
            self._print_json(reports)
        else:
            self._conclude(reports)
        sys.exit(next((report.exit_code for report in reports if report.exit_code), 0))

    def _about_the_key(self, config: RelayConfig, is_set: bool) -> str:
        if is_set and not config.api_key:
            return "; without the key, which is for the configured address only"
        return "; without a key: OPENAI_API_KEY is not set" if not (is_set or config.is_local) else ""

    def _sentence(self, options: dict[str, Any]) -> probe_sentence.Sentence | None:
        if STAGES.index(options["stage"]) < STAGES.index("spoken_turn"):
            return None
        if options["audio"] is not None:
            return probe_sentence.from_file(options["audio"], options["says"])
        return probe_sentence.spoken()

    def _keep(self, report: Report) -> None:
        try:
            probe_runs.store(report)
        except DatabaseError:
            self.stderr.write("The run could not be kept: the database refused it. Run `manage.py migrate`.")

    @contextmanager
    def _shown(self, options: dict[str, Any]) -> Iterator[Callable[[Stage], None]]:
        """What is done with a stage that is over: redrawn on a terminal, else a line, and nothing beside JSON."""
        if options["as_json"]:
            yield lambda stage: None
        elif self.stdout.isatty():
            with Display(cast(TextIO, self.stdout._out), self._line, options["stage"]) as display:
                yield display.over
        else:
            yield lambda stage: self.stdout.write(self._line(stage))

    def _line(self, stage: Stage) -> str:
        mark = {True: self.style.SUCCESS("ok  "), False: self.style.ERROR("FAIL"), None: "n/a "}[stage.ok]
        time = "" if stage.ok is None else f"{stage.ms:9.1f} ms"
        detail = ", ".join(
            f"{name} {json.dumps(value) if isinstance(value, list) else value}"
            for name, value in stage.detail.items()
            if value is not None
        )
        return f"{mark} {stage.name:16} {time:12} {detail}{'  slow' if stage.slow else ''}".rstrip()

    def _conclude(self, reports: list[Report]) -> None:
        if len(reports) > 1:
            for name, row in percentiles(reports).items():
                times = "  ".join(f"{share} {row[share]:8.1f}" for share in ("p50", "p95", "p99"))
                self.stdout.write(f"{name:16} {times} ms  ({row['count']})")
        for warning in dict.fromkeys(warning for report in reports for warning in report.warnings):
            self.stdout.write(self.style.WARNING(f"note: {warning}"))
        faults = Counter(report.fault for report in reports if report.fault)
        for fault, count in faults.items():
            often = f" ({count} of {len(reports)} runs)" if len(reports) > 1 else ""
            self.stdout.write(self.style.ERROR(f"{fault}{often}: {FAULTS[fault].advice}"))
        if not faults:
            self.stdout.write(self.style.SUCCESS(self._all_is_well(reports[-1])))

    @staticmethod
    def _all_is_well(report: Report) -> str:
        """No more than what was tried."""
        last = report.stages[-1]
        if last.name != STAGES[-1]:
            return f"All is well up to {last.name}; the rest was not tried."
        if any(stage.name == "spoken_turn" and stage.ok is None for stage in report.stages):
            return "Written answers work. Speech was not tried: there is no sentence to say (--audio FILE)."
        return "Voice works."

    def _print_json(self, reports: list[Report]) -> None:
        data = reports[-1].as_data()
        if len(reports) > 1:
            data = {
                "ok": all(report.ok for report in reports),
                "stages": data["stages"],
                "percentiles": percentiles(reports),
                "runs": [report.as_data() for report in reports],
            }
        self.stdout.write(json.dumps(data))
