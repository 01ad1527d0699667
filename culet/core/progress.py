"""The progress bar of a run."""

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar


class Progress:
    """A context that shows step, loss, tokens per second and the time left, on stderr."""

    def __init__(self, name: str, start: int, steps: int):
        from rich.console import Console

        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(name, total=steps, completed=start, status="compiling")

    def update(self, step: int, loss: float | int | None, tokens_per_second: float | None) -> None:
        """Shows that `step` is done."""
        status = [] if loss is None else [f"loss {loss:.4f}"]
        if tokens_per_second is not None:
            status.append(f"{tokens_per_second:,.0f} tokens/s")
        self._bar.update(self._task, completed=step, status=", ".join(status))

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()
