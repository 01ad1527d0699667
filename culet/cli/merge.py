"""`culet merge`: one model out of several that came from the same one."""

import math
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("merge")(merge)


def merge(
    models: Annotated[list[str], typer.Argument(help="Model folders or Hub ids.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the result.", show_default=False)],
    base: Annotated[str | None, typer.Option(help="The model that all were trained from.")] = None,
    method: Annotated[
        Literal["slerp", "average"],
        typer.Option(help="slerp: on the arc between what was learned, layer by layer. Needs --base."),
    ] = "slerp",
    weight: Annotated[
        list[float] | None, typer.Option(help="average: the weight of each model, in their order; give it repeatedly.")
    ] = None,
    fraction: Annotated[
        float,
        typer.Option("--fraction", "--share", help="How far to go from the base to the merged model.", min=0, max=1),
    ] = 1.0,
    dtype: Annotated[
        str | None, typer.Option(help="bfloat16, float16 or float32. Default: that of the first model.")
    ] = None,
) -> None:
    """Merges models that were trained from one base, in float32, and writes a folder that transformers loads too.

    Models tuned by different runs differ by a little in each layer. Their average loses part of that; slerp does not
    (2406.16768). With a --fraction below 1 the result goes back towards the base: less reward, less drift.

    [dim]culet merge runs/a runs/b --base runs/tuned --out runs/merged[/]
    [dim]culet merge runs/a runs/b --base runs/tuned --fraction 0.3 --out runs/third[/]
    [dim]culet merge runs/a runs/b --method average --weight 3 --weight 1 --out runs/soup[/]
    """
    from culet.align import angles, average, interpolate, slerp
    from culet.lm import load, save

    if base is None and (method == "slerp" or fraction != 1.0):
        raise ValueError("--method slerp and --fraction need --base, the model that all were trained from")
    if weight and method == "slerp":
        raise ValueError("--weight is for --method average; slerp treats all models alike")
    console = Console(stderr=True)
    with console.status("reading"):
        (first, tokenizer), *others = [load(model) for model in models]
        chosen = [first, *(model for model, _ in others)]
        start = None if base is None else load(base)[0]
    with console.status("merging"):
        merged = slerp(start, chosen) if method == "slerp" else average(chosen, weight or None)
        if fraction != 1.0:
            merged = interpolate(start, merged, fraction)
    save(out, merged, tokenizer, dtype=dtype or str(first.embedding.dtype))
    if start is not None and len(chosen) == 2:
        by_layer = [angle for angle in angles(start, *chosen).values() if math.isfinite(angle)]
        if by_layer:
            print(f"angles between the two updates of the base: {min(by_layer):.0f} to {max(by_layer):.0f} degrees")
    print(f"{out}: {len(chosen)} models merged by {method}")
