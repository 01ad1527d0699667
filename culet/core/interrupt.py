"""Graceful shutdown on SIGTERM and SIGINT."""

import signal
import threading
from pathlib import Path
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Interrupted(Exception):
    """The run was asked to stop by a signal, and did after `step` steps."""

    def __init__(self, step: int, folder: Path | None):
        saved = (
            f"saved in {folder}, where the same run goes on"
            if folder
            else "nothing was saved, for the run has no folder"
        )
        super().__init__(f"Stopped by a signal after step {step}; {saved}.")
        self.step = step


class Interrupts:
    """A context in which the first SIGTERM or SIGINT only sets `requested`; a second one acts as it did before.

    Handlers can be set in the main thread only: in another one this does nothing.
    """

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()
