"""`culet quickstart`: from nothing to a small model that answers."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's command."""
    app.command("quickstart")(quickstart)


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for models, logs and the report.")] = Path("runs/quickstart"),
    seed: Annotated[int, typer.Option(help="Seed of the weights and of the order of the data.")] = 0,
) -> None:
    """Makes a small model that answers questions, in some minutes on two cores.

    Learns a tokenizer, trains a teacher, distils a student from it, trains the student's twin without the teacher for
    comparison, tunes the student to answer, and writes a report. Needs no download: the text is Python's own
    documentation. Uses less than 4 GiB of memory. If it is stopped, the same command continues where it was.
    """
    from rich.console import Console

    from culet.quickstart import Plan
    from culet.quickstart import quickstart as run_quickstart

    summary = run_quickstart(out, Plan(seed=seed))
    models = summary["models"]
    gain = models["twin"]["held_out_loss"] - models["student"]["held_out_loss"]
    console = Console()
    console.print(f"The distilled student is {gain:+.3f} nats per token better than its twin on held-out text.")
    console.print(f"[bold]{out / 'report.html'}[/]  losses, samples and scores of the models")
    console.print(f"[bold]culet chat {out / 'model'}[/]  talk to it")
    console.print(
        f"[bold]culet align --chat --model {out / 'model'} --prompts {out / 'questions.jsonl'} --out runs/brief "
        "--method reinforce --set method.samples=4 --reward length-near --set reward.target=5 --same-judge[/]  "
        "teach it to be brief"
    )
    console.print(f"[bold]culet generate {out / 'student'} 'Return the'[/]  continue a text")
