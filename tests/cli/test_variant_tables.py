"""Tables of variants: whatever the width, figures stay whole."""

import io

import pytest
from rich.console import Console

from culet.cli.variant_tables import variants_tables


def _result(metrics: int) -> dict:
    metrics_by_name = {f"metric_{n}": {"mean": n + 0.123, "interval": [n - 0.5, n + 0.5]} for n in range(metrics)}
    variant = {"broken": False, "equal_budget": True, "budget": [5120]}
    return {
        "metrics": [{"name": name, "unit": "nats per token", "better": "lower"} for name in metrics_by_name],
        "budget_unit": "tokens",
        "variants": {
            "ours [of many words, in brackets]": {**variant, "metrics": metrics_by_name},
            "theirs": {**variant, "metrics": {"metric_0": metrics_by_name["metric_0"]}, "equal_budget": False},
        },
    }


def _printed(tables: list, width: int) -> str:
    written = io.StringIO()
    Console(width=width, file=written).print(*tables, sep="\n")
    return written.getvalue()


@pytest.mark.parametrize(("metrics", "width"), [(1, 80), (18, 80), (18, 120), (5, 60)])
def test_no_figure_is_broken(metrics, width):
    text = _printed(variants_tables(_result(metrics), width), width)
    for n in range(metrics):
        assert f"{n + 0.123:.3g} [{n - 0.5:.3g}, {n + 0.5:.3g}]" in text
    assert "5,120 (not compared)" in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_tables_leave_out_variants_without_a_figure_in_them():
    first, second, *_ = variants_tables(_result(18), 60)
    assert "theirs" in _printed([first], 60)
    assert "theirs" not in _printed([second], 60)
