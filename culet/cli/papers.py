"""`culet systems`, `culet reproduce`, `culet gallery`: the papers, their claims and the verdicts."""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from culet.cli.errors import EXIT_INTERRUPTED, EXPECTED
from culet.core import Interrupted

STATUS = {"reproduced": 0, "not reproduced": 1, "undecided": 2}
ERROR = 3
COLOURS = {
    "reproduced": "green", "not reproduced": "red", "undecided": "yellow",
    "built": "bold", "works": "bold", "planned": "dim",
}  # fmt: skip

Results = Annotated[
    Path | None,
    typer.Option(help="Folder of kept results. Default: that of the source checkout, or what was installed."),
]


class _Reproduce(TyperCommand):
    """Its usage errors exit with the status of an error, as 2 means undecided."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        try:
            return super().make_context(*arguments, **options)
        except TyperException as problem:
            problem.exit_code = ERROR
            raise


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("systems")(systems)
    app.command("reproduce", cls=_Reproduce)(reproduce)
    app.command("gallery")(gallery)


def systems(
    facet: Annotated[str | None, typer.Option(help="Only those of this group; a part of its name will do.")] = None,
    state: Annotated[str | None, typer.Option(help=f"Only those in this state: {', '.join(COLOURS)}.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    results: Results = None,
) -> None:
    """Lists the systems of this library with their state, and how many claims of their papers were reproduced.

    A state is the verdict of the kept result; or "built" (it has an experiment that was not run yet), "works" (it can
    be used, and has no experiment) or "planned".

    [dim]culet systems --facet language --state reproduced[/]
    """
    from culet.experiments.results import results_folder
    from culet.papers import overview

    rows = overview(results_folder(results))
    facets = {row["facet"]: None for row in rows}
    if facet is not None and not any(facet.lower() in name for name in facets):
        raise ValueError(f"--facet {facet!r} is in the name of no group; they are {', '.join(facets)}")
    if state is not None and state not in COLOURS:
        raise ValueError(f"--state {state!r} is no state; they are {', '.join(COLOURS)}")
    rows = [row for row in rows if state in (None, row["state"]) and (facet or "").lower() in row["facet"]]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
    else:
        _systems_table(rows)


def reproduce(
    slug: Annotated[str, typer.Argument(help="The system; culet systems lists them.", show_default=False)],
    seeds: Annotated[
        int | None, typer.Option(help="How many. Default: as many as the experiment asks for.", min=1)
    ] = None,
    scale: Annotated[
        Literal["smoke", "laptop"], typer.Option(help="smoke: seconds, only to see it run. laptop: minutes.")
    ] = "laptop",
    json_to: Annotated[Path | None, typer.Option("--json", help="Write the result to this file too.")] = None,
    plot_to: Annotated[Path | None, typer.Option("--plot", help="And the figure to this one (PNG).")] = None,
    control: Annotated[
        bool, typer.Option("--control", help="Break the method: a claim must then come out false (status 1).")
    ] = False,
    keep: Annotated[
        bool, typer.Option("--keep", help="Run the control too, and put both into the folder of kept results.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the run is kept and goes on. Default: runs/reproduce/SLUG.")
    ] = None,
    results: Results = None,
) -> None:
    """Puts the claim of a system's paper to the test: method and baselines, over seeds, with an interval.

    Exit status: 0 reproduced, 1 not reproduced, 2 undecided, 3 error. Stopped, the same command goes on where it was.

    [dim]culet reproduce gemma-2 --scale smoke[/]
    [dim]culet reproduce griffin --seeds 5 --json griffin.json --plot griffin.png[/]
    """
    folder = out or Path("runs/reproduce") / slug
    try:
        place = _place(control, scale, results) if keep else None
        result = _run(slug, seeds, scale, control, folder)
        verdict = result["verdict"] if place is None else _keep(slug, result, folder, place)
        _copy(result, folder, json_to, plot_to)
    except (Interrupted, KeyboardInterrupt):
        print(f"Stopped; what was finished is in {folder / 'calls'}, where the same command goes on.", file=sys.stderr)
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except Exception as problem:  # whatever it was, a status of 1 would say "not reproduced"
        if isinstance(problem, EXPECTED) and not os.environ.get("CULET_DEBUG"):
            print("error:", *str(problem).split(), file=sys.stderr)
        else:
            traceback.print_exc()
        raise typer.Exit(ERROR) from None
    raise typer.Exit(STATUS[verdict])


def gallery(
    out: Annotated[Path, typer.Option(help="The folder to write; replaced if it is a gallery.")] = Path("runs/gallery"),
    results: Results = None,
) -> None:
    """Writes a page per system and an index, with pictures, sounds, claims and figures of the kept results.

    The pages need no server: open index.html in any browser.
    """
    from culet.experiments.results import results_folder
    from culet.papers.gallery import write_gallery

    shown = write_gallery(out, results_folder(results))
    print(f"{out / 'index.html'}: {shown} systems with results")


def _run(slug: str, seeds: int | None, scale: Any, control: bool, folder: Path) -> dict[str, Any]:
    """Runs an experiment and prints its tables and verdict."""
    from culet.core.compilation import prefer_quick_compilation
    from culet.experiments import run_experiment
    from culet.papers import find_experiment

    experiment = find_experiment(slug)
    if scale == "smoke":
        prefer_quick_compilation()
    result = run_experiment(experiment, seeds=seeds or experiment.seeds, scale=scale, folder=folder, control=control)
    _print_result(result)
    print(f"{folder / ('control.json' if control else 'result.json')}, {folder / result['figure']}")
    return result


def _place(control: bool, scale: str, results: Path | None) -> Path:
    """Where to keep a result. Raises ValueError when it is none that is kept."""
    from culet.experiments.provenance import checkout
    from culet.experiments.results import KEPT_SCALE, results_folder

    if control or scale != KEPT_SCALE:
        raise ValueError(f"--keep is for runs at {KEPT_SCALE} scale and without --control, which it runs itself")
    if results is None and checkout() is None:
        raise ValueError("this culet does not run from a source checkout; say with --results where to keep results")
    return results_folder(results)


def _keep(slug: str, result: dict[str, Any], folder: Path, place: Path) -> Any:
    """Runs the control of a result, keeps both, and returns what the result is worth beside it."""
    from culet.experiments.results import keep_result
    from culet.experiments.verdict import verdict_with_control

    control = _run(slug, len(result["seeds"]), result["scale"], True, folder)
    print(f"kept in {keep_result(folder, place, slug)}")
    return verdict_with_control(result, control)


def _copy(result: dict[str, Any], folder: Path, json_to: Path | None, plot_to: Path | None) -> None:
    from culet.core import atomic_write

    if json_to is not None:
        atomic_write(json_to, json.dumps(result, indent=2, ensure_ascii=False) + "\n")
    if plot_to is not None:
        atomic_write(plot_to, (folder / result["figure"]).read_bytes())


def _print_result(result: dict[str, Any]) -> None:
    """Tables of variants and claims, and the verdict with its reason."""
    from rich.console import Console
    from rich.markup import escape
    from rich.padding import Padding
    from rich.table import Table

    from culet.cli.variant_tables import variants_tables
    from culet.experiments.results import number, spread

    console = Console()
    claims = Table("claim", "margin", "at least", "verdict", box=None, padding=(0, 2, 0, 0))
    for claim in result["claims"]:
        verdict = f"[{COLOURS[claim['verdict']]}]{claim['verdict']}[/]"
        claims.add_row(escape(claim["text"]), spread(claim), number(claim["at_least"]), verdict)
    console.print(f"[bold]{escape(result['question'])}[/]")
    console.print(*variants_tables(result, console.width), Padding(claims, (1, 0)), _explanation(result), sep="\n")


def _explanation(result: dict[str, Any]) -> str:
    seeds, verdict = len(result["seeds"]), result["verdict"]
    if result["control"]:
        caught = verdict == "not reproduced"
        return "[green]Control: the broken method fails, as it must.[/]" if caught else (
            f"[red]Control: the broken method comes out as {verdict}; so the claim shows nothing yet.[/]"
        )  # fmt: skip
    why = {
        "reproduced": f"every claim holds over the whole of its interval, {seeds} seeds.",
        "not reproduced": f"the whole interval of a claim lies below its bound, {seeds} seeds.",
        "undecided": "one seed gives no interval." if seeds == 1 else f"an interval of {seeds} seeds holds its bound.",
    }
    scale = "" if result["scale"] == "laptop" else f" (At {result['scale']} scale this says nothing about the paper.)"
    return f"[{COLOURS[verdict]}]{verdict.capitalize()}[/]: {why[verdict]}{scale}"


def _systems_table(rows: list[dict[str, Any]]) -> None:
    """A table for each group, one line a system: slugs are whole, titles give way at narrow consoles."""
    from itertools import groupby

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console, width = Console(), max((len(row["slug"]) for row in rows), default=0)
    for facet, group in groupby(rows, key=lambda row: row["facet"]):
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True, min_width=width)
        table.add_column(no_wrap=True, min_width=len("not reproduced"))
        table.add_column(no_wrap=True, min_width=len("10/10"))
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=console.width - width - 27)
        for row in group:
            shown = sum(claim["verdict"] == "reproduced" for claim in row["claims"])
            claims = f"{shown}/{len(row['claims'])}" if row["claims"] else ""
            colour = COLOURS[row["state"]]
            table.add_row(row["slug"], f"[{colour}]{row['state']}[/]", claims, escape(row["title"]))
        console.print(f"[bold]{escape(facet)}[/]")
        console.print(table, "", sep="\n")
    console.print(f"{len(rows)} systems; n/m: claims reproduced of those tested (--json has the figures)")
