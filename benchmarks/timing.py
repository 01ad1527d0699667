"""Fair turns, medians, and how a benchmark reports: a table to read, then one line of JSON to keep."""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.models import CORES

Seconds = dict[str, list[float]]
PAUSE = 1.0  # seconds before each turn, in which the threads of the other side stop spinning


def arguments(description: str | None) -> argparse.Namespace:
    """`--repeats`, the number of turns of each side, and `--quick`, for a look that takes a minute or two."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="turns of each side (default 7)")
    parser.add_argument("--quick", action="store_true", help="fewer tokens and two turns, for a look")
    chosen = parser.parse_args()
    chosen.repeats = 2 if chosen.quick else chosen.repeats
    return chosen


def seconds(call: Callable[[], Any]) -> float:
    """How long one call takes."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def by_turns(sides: Mapping[str, Callable[[], Mapping[str, float]]], repeats: int) -> tuple[Seconds, dict[str, float]]:
    """Runs all by turns, after two turns to warm up; returns what they measured and the seconds of the first turns.

    A side returns seconds by name of what it timed; results are keyed "side name".
    """
    first = {side: seconds(run) for side, run in sides.items()}
    found: Seconds = {}
    for turn in range(-1, repeats):  # the second warm-up: memory that the other side freed is taken anew
        for side, run in sides.items():
            time.sleep(PAUSE)
            for name, value in run().items():
                found.setdefault(f"{side} {name}", []).extend([value] if turn >= 0 else [])
    return found, first


def ratio(found: Seconds, name: str) -> float:
    """How many times faster ours is: the median over the turns of theirs / ours."""
    pairs = zip(found[f"theirs {name}"], found[f"ours {name}"], strict=True)
    return statistics.median(theirs / ours for theirs, ours in pairs)


def bandwidth() -> float:
    """Bytes per second at which all cores together read a gigabyte of float32 that no cache holds: the best of five."""
    pieces = np.array_split(np.ones(2**28, np.float32), CORES)
    with ThreadPoolExecutor(CORES) as pool:
        return 2**30 / min(seconds(lambda: list(pool.map(np.max, pieces))) for _ in range(5))


def arithmetic() -> float:
    """Floating-point operations per second of a large float32 product on all cores, the best of five."""
    x, weight = np.ones((2048, 768), np.float32), np.ones((3072, 768), np.float32)
    multiply = jax.jit(lambda x, weight: x @ weight.T)
    multiply(x, weight).block_until_ready()
    return 2 * 2048 * weight.size / min(seconds(lambda: multiply(x, weight).block_until_ready()) for _ in range(5))


def report(title: str, columns: list[str], rows: list[list[Any]], result: dict[str, Any]) -> None:
    """Prints the table, and `result` with the number of cores as the last line."""
    table = Table(*columns, title=title)
    for row in rows:
        table.add_row(*(f"{cell:,.2f}" if isinstance(cell, float) else str(cell) for cell in row))
    Console(width=120).print(table)
    print(json.dumps({"benchmark": title, "cores": CORES} | result))
