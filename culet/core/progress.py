"""The progress bar of a run."""

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A context that shows step, loss, `unit`s per second and the time left, on stderr."""

    def __init__(self, name: str, start: int, steps: int, unit: str = "tokens"):
        from rich.console import Console

        self._unit = unit
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=steps, completed=start, status="compiling")

    def update(self, step: int, loss: float | int | None, rate: float | None) -> None:
        """Shows that `step` is done; `rate` is units per second."""
        status = [] if loss is None else [f"loss {loss:.4f}"]
        if rate is not None:
            status.append(f"{rate:,.0f} {self._unit}/s")
        self._bar.update(self._task, completed=step, status=", ".join(status))

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
