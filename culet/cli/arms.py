"""What each arm of an experiment came to, as tables that fit the console."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.markup import escape
from rich.padding import Padding
from rich.table import Table

from culet.papers.results import number, spread

NARROWEST, GAP = 14, 2  # characters of a column, and between two
Columns = Mapping[str, Sequence[str]]  # cells by head, one for each arm


def arms_tables(result: dict[str, Any], width: int) -> list[Padding]:
    """A row for each arm, and as many tables, one below the other, as a console of this width needs for the metrics."""
    columns = _columns(result)
    names = [name + " (broken)" * arm["broken"] for name, arm in result["arms"].items()]
    named = min(max(map(len, names)), width // 3)
    tables = []
    for heads in _blocks(columns, width - named - GAP):
        table = Table(box=None, padding=(0, GAP, 0, 0))
        table.add_column("arm", width=named)
        for head in heads:
            table.add_column(head, width=_wide(head, columns))
        for name, *cells in zip(names, *(columns[head] for head in heads), strict=True):
            if any(cells):
                table.add_row(escape(name), *cells)
        tables.append(Padding(table, (1, 0, 0, 0)))
    return tables


def _columns(result: dict[str, Any]) -> Columns:
    arms = result["arms"].values()
    columns = {
        f"{one['name'].replace('_', ' ')}, {one['unit']} ({one['better']} is better)": [
            spread(arm["metrics"][one["name"]]) if one["name"] in arm["metrics"] else "" for arm in arms
        ]
        for one in result["metrics"]
    }
    spent = [number(arm["budget"][0]) if arm["budget"] else "" for arm in arms]
    compared = [arm["equal_budget"] for arm in arms]
    budget = [(value + " (not compared)" * (not equal)).strip() for value, equal in zip(spent, compared, strict=True)]
    return columns | {f"budget, {result['budget_unit']}": budget}


def _blocks(columns: Columns, room: int) -> list[list[str]]:
    """Heads in order, as many together as there is room for, at least one."""
    blocks: list[list[str]] = []
    for head in columns:
        if not blocks or sum(_wide(other, columns) + GAP for other in (*blocks[-1], head)) > room:
            blocks.append([])
        blocks[-1].append(head)
    return blocks


def _wide(head: str, columns: Columns) -> int:
    """Characters of a column in which no cell and no word of the head is broken."""
    return max(NARROWEST, *map(len, (*head.split(), *columns[head])))
