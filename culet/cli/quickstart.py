"""`culet quickstart`: the main job, from nothing to a small model that answers."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's command."""
    app.command("quickstart")(quickstart)


def quickstart(
    out: Annotated[Path, typer.Option(help="Folder for everything it makes.")] = Path("runs/quickstart"),
    seed: Annotated[int, typer.Option(help="Of weights and data order.")] = 0,
) -> None:
    """Trains a tokenizer, a teacher, a distilled student and its twin; tunes the student to answer; reports.

    Needs no download: the text is Python's own documentation. Takes some minutes on two cores and under 4 GiB. Stopped
    at any moment, the same command goes on where it was.
    """
    from rich.console import Console

    from culet.quickstart.stages import Plan
    from culet.quickstart.stages import quickstart as run

    summary = run(out, Plan(seed=seed))
    models = summary["models"]
    gain = models["twin"]["held_out_loss"] - models["student"]["held_out_loss"]
    console = Console()
    console.print(f"The distilled student is {gain:+.3f} nats per token better than its twin on held-out text.")
    console.print(f"[bold]{out / 'report.html'}[/]  what was made, with pictures, samples and scores")
    console.print(f"[bold]culet chat {out / 'model'}[/]  talk to it")
    console.print(
        f"[bold]culet align --chat --model {out / 'model'} --prompts {out / 'questions.jsonl'} --out runs/brief "
        "--method reinforce --set method.samples=4 --reward length-near --set reward.target=5 --same-judge[/]  "
        "teach it to be brief"
    )
    console.print(f"[bold]culet generate {out / 'student'} 'Return the'[/]  continue a text")
