"""The record of a run: one JSON line per logged step, TensorBoard events, and a plot of the loss."""

import json
import math
import os
import time
from pathlib import Path
from typing import Any

from culet.core.files import atomic_write
from culet.core.plot import line_plot


class RunLog:
    """Writes `log.jsonl`, TensorBoard events and `loss.png` in `folder`; use it as a context.

    A run that goes on at step `start` first drops the lines of later steps, which it will write again, and a line that
    a killed run left unfinished.
    """

    def __init__(self, folder: Path, start: int):
        from tensorboardX import SummaryWriter

        self.folder = folder
        self.rows = [row for row in read_log(folder / "log.jsonl") if row["step"] <= start]
        atomic_write(folder / "log.jsonl", "".join(json.dumps(row) + "\n" for row in self.rows))
        self._file = (folder / "log.jsonl").open("a")
        self._events = SummaryWriter(str(folder), purge_step=start + 1)

    def write(self, step: int, values: dict[str, float | int]) -> None:
        """Adds one line; what is not finite becomes null, for JSON has no word for it."""
        row: dict[str, Any] = {"step": step}
        row |= {name: value if math.isfinite(value) else None for name, value in values.items()}
        row["time"] = round(time.time(), 3)
        self.rows.append(row)
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def sync(self) -> None:
        """Waits until all lines are on the disk: a checkpoint must not be newer than its log."""
        os.fsync(self._file.fileno())
        self._events.flush()

    def plot(self) -> None:
        """Draws `loss`, and `evaluation/loss` if there is one, over the steps."""
        curves = {}
        for name in ("loss", "evaluation/loss"):
            points = [(row["step"], row[name]) for row in self.rows if row.get(name) is not None]
            if points:
                curves[name] = ([x for x, _ in points], [y for _, y in points])
        if curves:
            line_plot(self.folder / "loss.png", curves, "step", "loss", self.folder.name)

    def __enter__(self) -> "RunLog":
        return self

    def __exit__(self, *_: object) -> None:
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


class Throughput:
    """Tokens per second of the steps counted since the last `restart`."""

    def __init__(self) -> None:
        self._mark: float | None = None  # None until the first step is done, which the compilation makes slow
        self.restart()

    def count(self, tokens: float | int) -> None:
        """A step that took `tokens` is done."""
        now = time.perf_counter()
        if self._mark is not None:
            self._tokens += tokens
            self._seconds += now - self._mark
        self._mark = now

    def resume(self) -> None:
        """What went on since the last step, such as an evaluation, is not to be counted."""
        self._mark = time.perf_counter()

    def restart(self) -> None:
        """Begins a new stretch."""
        self._tokens, self._seconds = 0.0, 0.0

    @property
    def rate(self) -> float | None:
        """Tokens per second, None before anything was counted."""
        return self._tokens / self._seconds if self._tokens and self._seconds else None
