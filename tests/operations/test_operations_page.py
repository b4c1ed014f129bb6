"""`docs/operations.md` holds every fault, exit code and metric of the code."""

from pathlib import Path

import pytest
from prometheus_client import Counter

from realtime import metrics
from realtime.probe_faults import FAULTS

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_stands_in_the_row_of_its_exit_code(name: str) -> None:
    tens = FAULTS[name].exit_code // 10 * 10
    [row] = [line for line in PAGE.splitlines() if line.startswith(f"| {tens}-{tens + 9} |")]
    assert f"`{name}`" in row


def test_every_metric_has_its_row() -> None:
    names = {
        f"{metric._name}_total" if isinstance(metric, Counter) else metric._name
        for metric in vars(metrics).values()
        if hasattr(metric, "_name")
    }
    assert len(names) >= 13
    assert {name for name in names if f"| `{name}` |" not in PAGE} == set()
