"""The record of a run: one JSON line per logged step, TensorBoard events, and a plot of the loss."""

import json
import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from culet.core.files import atomic_write
from culet.core.plot import line_plot

Value = float | int | list[float] | list[int]  # a metric, or one per vmapped seed or setting


class RunLog:
    """Keeps the logged `rows`; in `folder`, writes `log.jsonl`, TensorBoard events and `loss.png`. Use it as a context.

    A run that goes on at step `start` first drops the lines of later steps, which it will write again, and a line that
    a killed run left unfinished. Without a folder, or with `write=False`, rows are only kept in memory.
    """

    def __init__(self, folder: Path | None, start: int, write: bool = True):
        logged = [] if folder is None else read_log(folder / "log.jsonl")
        self.rows = [row for row in logged if row["step"] <= start]
        self.folder = folder if write else None
        if self.folder is None:
            return
        from tensorboardX import SummaryWriter

        atomic_write(self.folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in self.rows))
        self._file = (self.folder / "log.jsonl").open("a")
        self._events = SummaryWriter(str(self.folder), purge_step=start + 1)

    def write(self, step: int, values: Mapping[str, Value]) -> None:
        """Adds one row; what is not finite becomes None, null in the file, which JSON cannot hold."""
        row: dict[str, Any] = {"step": step}
        for name, value in values.items():
            row[name] = [_finite(entry) for entry in value] if isinstance(value, list) else _finite(value)
        row["time"] = round(time.time(), 3)
        self.rows.append(row)
        if self.folder is None:
            return
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, float(np.mean(value)) if isinstance(value, list) else value, step)
            for i, entry in enumerate(value if isinstance(value, list) else ()):
                self._events.add_scalar(f"{name}/{i}", entry, step)

    def sync(self) -> None:
        """Waits until all lines are on the disk: a checkpoint must not be newer than its log."""
        if self.folder is not None:
            os.fsync(self._file.fileno())
            self._events.flush()

    def plot(self) -> None:
        """Draws `loss`, and `evaluation/loss` if there is one, over the steps."""
        if self.folder is None:
            return
        curves: dict[str, Any] = {}
        for name in ("loss", "evaluation/loss"):
            points = [(row["step"], row[name]) for row in self.rows if row.get(name) is not None]
            if points:
                curves[name] = ([x for x, _ in points], np.array([y for _, y in points], float))
        if curves:
            line_plot(self.folder / "loss.png", curves, "step", "loss", self.folder.name)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            self._file.close()
            self._events.close()


def read_log(path: Path) -> list[dict[str, Any]]:
    """The lines of a `log.jsonl`, without one that was not finished; empty when there is no file."""
    rows = []
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and isinstance(row.get("step"), int):
            rows.append(row)
    return rows


def _finite(value: float | int) -> float | int | None:
    return value if math.isfinite(value) else None


class Throughput:
    """What is counted (tokens, documents, ...) per second of the steps since the last `restart`."""

    def __init__(self) -> None:
        self._mark: float | None = None  # None until the first step is done, which the compilation makes slow
        self.restart()

    def count(self, amount: float | int) -> None:
        """A step that took `amount` is done."""
        now = time.perf_counter()
        if self._mark is not None:
            self._amount += amount
            self._seconds += now - self._mark
        self._mark = now

    def resume(self) -> None:
        """Leaves out the time since the last step, that of an evaluation say."""
        self._mark = time.perf_counter()

    def restart(self) -> None:
        """Begins a new stretch."""
        self._amount, self._seconds = 0.0, 0.0

    @property
    def rate(self) -> float | None:
        """The amount per second, None before anything was counted."""
        return self._amount / self._seconds if self._amount and self._seconds else None
