"""The command tree: one Typer application, a file per group of commands; and how errors reach the user."""

import os
import signal
import sys
from types import FrameType

import typer

from culet.cli import align, celeste, convert, inspect, merge, papers, perception, quickstart, talk, topics, train
from culet.cli.errors import EXIT_ERROR, EXIT_INTERRUPTED, EXPECTED
from culet.cli.options import reflowed
from culet.core import Interrupted

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def culet() -> None:
    """Small language models of the Gemma line, from nothing to a model that talks.

    Start with [bold]culet quickstart[/]: in a few minutes on two cores it trains a tokenizer, a teacher and two
    students on Python's own documentation, and leaves a model that [bold]culet chat[/] talks to.

    A MODEL is a folder as transformers writes it (config.json, safetensors, tokenizer) or a Hub id such as
    google/gemma-3-270m-it. Each command explains itself: [bold]culet train --help[/].
    """


for group in (quickstart, train, align, talk, inspect, convert, merge, topics, celeste, perception, papers):
    group.register(app)
for described in (app.registered_callback, *app.registered_commands):
    if described is not None and described.callback is not None:
        described.help = reflowed(described.callback.__doc__ or "")


def main() -> None:
    """Runs the command line. An error is one line on standard error; CULET_DEBUG=1 shows where it came from."""
    before = signal.signal(signal.SIGINT, _leave)
    try:
        app()
    except (Interrupted, *EXPECTED) as problem:
        if os.environ.get("CULET_DEBUG"):
            raise
        stopped = isinstance(problem, Interrupted)
        print(" ".join(["error:"] * (not stopped) + str(problem).split()), file=sys.stderr)
        sys.exit(EXIT_INTERRUPTED if stopped else EXIT_ERROR)
    finally:
        signal.signal(signal.SIGINT, before)


def _leave(number: int, frame: FrameType | None) -> None:
    """Ends the process at once: an exception amid a computation of JAX can bring it down with a segmentation fault.

    Files are written atomically, so nothing is left half-done. Runs that can be gone on with set a handler of their own
    (`culet.core.interrupt`).
    """
    show_cursor = "\x1b[?25h" if sys.stderr.isatty() else ""  # which a progress bar hides
    os.write(2, f"{show_cursor}\nStopped by a signal; nothing is left half-written.\n".encode())
    os._exit(EXIT_INTERRUPTED)
