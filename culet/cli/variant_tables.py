"""The metrics of each variant of an experiment, as tables that fit the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from culet.experiments.results import number, spread

NARROWEST, GAP = 14, 2  # characters of a column, and between two
Columns = Mapping[str, Sequence[str]]  # cells by head, one for each variant


def variants_tables(result: dict[str, Any], width: int) -> list[Padding]:
    """A row for each variant, in as many tables, one below the other, as the metrics need at this width."""
    columns = _columns(result)
    names = [name + " (broken)" * variant["broken"] for name, variant in result["variants"].items()]
    named = min(max(map(len, names)), width // 3)
    tables = []
    for heads in _blocks(columns, width - named - GAP):
        table = Table(box=None, padding=(0, GAP, 0, 0))
        table.add_column("variant", width=named)
        for head in heads:
            table.add_column(head, width=_wide(head, columns))
        for name, *cells in zip(names, *(columns[head] for head in heads), strict=True):
            if any(cells):
                table.add_row(escape(name), *cells)
        tables.append(Padding(table, (1, 0, 0, 0)))
    return tables


def _columns(result: dict[str, Any]) -> Columns:
    variants = result["variants"].values()
    columns = {
        f"{one['name'].replace('_', ' ')}, {one['unit']} ({one['better']} is better)": [
            spread(variant["metrics"][one["name"]]) if one["name"] in variant["metrics"] else "" for variant in variants
        ]
        for one in result["metrics"]
    }
    spent = [number(variant["budget"][0]) if variant["budget"] else "" for variant in variants]
    compared = [variant["equal_budget"] for variant in variants]
    budget = [(value + " (not compared)" * (not equal)).strip() for value, equal in zip(spent, compared, strict=True)]
    return columns | {f"budget, {result['budget_unit']}": budget}


def _blocks(columns: Columns, width: int) -> list[list[str]]:
    """Heads in order, as many together as fit into `width`, at least one."""
    blocks: list[list[str]] = []
    for head in columns:
        if not blocks or sum(_wide(other, columns) + GAP for other in (*blocks[-1], head)) > width:
            blocks.append([])
        blocks[-1].append(head)
    return blocks


def _wide(head: str, columns: Columns) -> int:
    """Characters of a column in which no cell and no word of the head is broken."""
    return max(NARROWEST, *map(len, (*head.split(), *columns[head])))
