"""`docs/operations.md` holds every fault, exit code and metric of the code."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.db.models import Model
from prometheus_client import Counter

from realtime import metrics
from realtime.exceptions import UpstreamError, UpstreamRefused
from realtime.models import RealtimeSession, Turn
from realtime.probe_faults import FAULTS
from realtime.session_life import END_CODES

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_stands_in_the_row_of_its_exit_code(name: str) -> None:
    tens = FAULTS[name].exit_code // 10 * 10
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {tens}-{tens + 9} |")]
    assert f"`{name}`" in row


def test_every_reason_for_an_end_has_its_row() -> None:
    upstream = {error.code for error in subclasses(UpstreamError)}
    upstream |= {UpstreamRefused(status).code for status in range(300, 600)}
    reasons = {*END_CODES, "lost", *(code.replace(".", "_") for code in upstream)}
    rows = "".join(line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `"))
    assert len(reasons) >= 20
    assert sorted(reason for reason in reasons if f"`{reason}`" not in rows) == []


def subclasses(error: type[UpstreamError]) -> Iterator[type[UpstreamError]]:
    yield error
    for one in error.__subclasses__():
        yield from subclasses(one)


@pytest.mark.parametrize("model", [Turn, RealtimeSession])
def test_every_duration_that_is_stored_is_on_the_page(model: type[Model]) -> None:
    names = {field.name for field in model._meta.concrete_fields if field.name.endswith("_ms")}
    assert len(names) >= 7
    assert sorted(name for name in names if f"`{name}`" not in PAGE) == []


def test_every_metric_has_its_row() -> None:
    names = {
        f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
        for metric in vars(metrics).values()
        if hasattr(metric, "_name")
    }
    assert len(names) >= 13
    assert {name for name in names if f"| `{name}` |" not in PAGE} == set()
