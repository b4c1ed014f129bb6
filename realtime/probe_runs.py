"""Runs of the probe as rows: storing one, and keeping their number bounded. The probe itself is `probe.py`."""

from __future__ import annotations

from realtime.models import ProbeRun
from realtime.probe_faults import Report

KEPT = 5_000


def store(report: Report, *, by: str = "") -> ProbeRun:
    """Keep a run; the oldest beyond `KEPT` go. `by` is the user name of who asked for it."""
    data = report.as_data()
    run = ProbeRun.objects.create(
        ok=report.ok,
        fault=report.fault,
        url=report.url[:200],
        model=report.model[:80],
        total_ms=round(data["total_ms"]),
        stages=data["stages"],
        by=by[:150],
    )
    ProbeRun.objects.filter(pk__lte=run.pk - KEPT).delete()
    return run
