"""`culet align`: from a folder of prompts to an aligned model."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's command."""
    app.command("align")(align)


def align(
    config: Annotated[Path | None, typer.Argument(help="A TOML file with the plan.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="A model folder or a Hub id.", show_default=False)] = None,
    prompts: Annotated[
        str | None,
        typer.Option(
            help='.jsonl with a "prompt" in each line, .parquet, or .txt, a prompt a line.', show_default=False
        ),
    ] = None,
    out: Annotated[str | None, typer.Option(help="Folder for the run and the model.", show_default=False)] = None,
    method: Annotated[str | None, typer.Option(help="The algorithm, such as j-bond.", show_default=False)] = None,
    reward: Annotated[str | None, typer.Option(help="What gives each answer a number.", show_default=False)] = None,
    judge: Annotated[str | None, typer.Option(help="Or what compares two answers.", show_default=False)] = None,
    evaluator: Annotated[
        str | None, typer.Option(help="Another reward or judge, for the frontier.", show_default=False)
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="SECTION.KEY=VALUE, such as recipe.steps=200. May be given several times."),
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Put each prompt as a user's turn.")] = False,
    same_judge: Annotated[
        bool, typer.Option("--same-judge", help="Measure the frontier by the reward that is learned from.")
    ] = False,
    known: Annotated[bool, typer.Option("--list", help="Show methods, rewards, judges and all settings.")] = False,
) -> None:
    """Aligns a model to a reward or a judge. Stopped, the same command goes on where it was.

    [dim]culet align --list[/]
    [dim]culet align plan.toml --set recipe.steps=400[/]
    [dim]culet align --model runs/quickstart/model --chat --prompts runs/quickstart/questions.jsonl --out runs/brief
    --method reinforce --set method.samples=4 --reward length-near --set reward.target=5 --same-judge[/]

    A plan is the same as a file:

    [dim]model = "runs/quickstart/model"
    prompts = "runs/quickstart/questions.jsonl"
    out = "runs/brief"
    chat = true
    same_judge = true
    method = { name = "reinforce", samples = 4 }
    reward = { name = "length-near", target = 5 }
    recipe = { steps = 200 }[/]

    The folder holds front.png, drawn as it runs (reward and win-rate against exact KL, beside best-of-n), samples of a
    few prompts at each point, report.html, and the model.
    """
    if known:
        _show()
        return
    from culet.cli.align.plan import read_plan
    from culet.cli.align.run import run_alignment

    flags = {
        "model": model, "prompts": prompts, "out": out, "method": method, "reward": reward, "judge": judge,
        "evaluator": evaluator, "chat": chat or None, "same_judge": same_judge or None,
    }  # fmt: skip
    folder = run_alignment(read_plan(config, flags, settings or []))
    talk = f"culet chat {folder}" if chat else f"culet generate {folder} 'Once'"
    print(f"{folder}: an aligned model and report.html; try: {talk}")


def _show() -> None:
    """What a plan may name, with settings and their defaults."""
    import dataclasses
    import inspect
    from typing import get_type_hints

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from culet.align.loop import AlignRecipe
    from culet.cli.align.sources import JUDGES, METHODS, REWARDS

    console = Console()
    for kind, known in {"method": METHODS, "reward": REWARDS, "judge": JUDGES}.items():
        table = Table("name", "settings", "what it does", title=kind, title_justify="left")
        for name, make in known.items():
            settings = [
                key if one.default is inspect.Parameter.empty or len(str(one.default)) > 24 else f"{key}={one.default}"
                for key, one in inspect.signature(make).parameters.items()
            ]
            table.add_row(name, ", ".join(settings), escape((inspect.getdoc(make) or "").partition("\n")[0]))
        console.print(table)
    hints = get_type_hints(AlignRecipe, include_extras=True)
    table = Table("setting", "default", "what it is", title="recipe", title_justify="left")
    for field in dataclasses.fields(AlignRecipe):
        table.add_row(field.name, str(field.default), hints[field.name].__metadata__[0].help)
    console.print(table)
