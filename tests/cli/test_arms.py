"""Tables of arms: whatever the width, figures stay whole."""

import io

import pytest
from rich.console import Console

from culet.cli.arms import arms_tables


def _result(metrics: int) -> dict:
    found = {f"metric_{n}": {"mean": n + 0.123, "interval": [n - 0.5, n + 0.5]} for n in range(metrics)}
    arm = {"broken": False, "equal_budget": True, "budget": [5120]}
    return {
        "metrics": [{"name": name, "unit": "nats per token", "better": "lower"} for name in found],
        "budget_unit": "tokens",
        "arms": {
            "ours [of many words, in brackets]": {**arm, "metrics": found},
            "theirs": {**arm, "metrics": {"metric_0": found["metric_0"]}, "equal_budget": False},
        },
    }


@pytest.mark.parametrize(("metrics", "width"), [(1, 80), (18, 80), (18, 120), (5, 60)])
def test_no_figure_is_broken(metrics, width):
    console = Console(width=width, file=io.StringIO())
    console.print(*arms_tables(_result(metrics), width), sep="\n")
    text = console.file.getvalue()
    for n in range(metrics):
        assert f"{n + 0.123:.3g} [{n - 0.5:.3g}, {n + 0.5:.3g}]" in text
    assert "5,120 (not compared)" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_tables_leave_out_arms_without_a_figure_in_them():
    console = Console(width=60, file=io.StringIO())
    first, second, *_ = arms_tables(_result(18), 60)
    console.print(first)
    assert "theirs" in console.file.getvalue()
    console = Console(width=60, file=io.StringIO())
    console.print(second)
    assert "theirs" not in console.file.getvalue()
