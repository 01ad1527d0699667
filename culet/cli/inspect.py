"""`culet inspect`: how large a model is and what a sequence costs, before anything is allocated."""

import json
from pathlib import Path
from typing import Annotated

import typer

GIB = 2**30


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("inspect")(inspect)


def inspect(
    model: Annotated[
        str | None, typer.Argument(help="A preset, a model folder or a Hub id. Without it: all presets.")
    ] = None,
    length: Annotated[int | None, typer.Option(help="Tokens in the sequence. Default: the model's context.")] = None,
    batch: Annotated[int, typer.Option(help="Sequences side by side.", min=1)] = 1,
    dtype: Annotated[str, typer.Option(help="bfloat16, float16 or float32.")] = "bfloat16",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Parameters, memory and cache bytes of a model at a sequence length. Nothing is downloaded whole or allocated.

    [dim]culet inspect gemma-3-27b --length 131072[/] shows 10.4 GiB of cache; 62 if every layer kept every token.
    """
    from rich.console import Console
    from rich.progress import track

    from culet.lm import presets

    names = presets() if model is None else [model]
    console = Console(stderr=True)
    shown = track(names, "measuring", console=console, transient=True, disable=len(names) == 1)
    rows = [_row(name, length, batch, dtype) for name in shown]
    if as_json:
        print(json.dumps(rows if model is None else rows[0], indent=2))
    elif model is None:
        _table(rows)
    else:
        _sheet(rows[0])


def _row(name: str, length: int | None, batch: int, dtype: str) -> dict:
    import jax.numpy as jnp

    from culet.lm.footprint import sizes

    if dtype not in ("bfloat16", "float16", "float32"):
        raise ValueError(f"dtype {dtype!r} is none of bfloat16, float16 and float32")
    config = _config(name)
    length = config.context if length is None else length
    if length < 1:
        raise ValueError(f"length is {length}; it must be at least 1")
    footprint = sizes(config, length, jnp.dtype(dtype))
    return {
        "model": name,
        "parameters": footprint.parameters,
        "embedding_parameters": footprint.embedding,
        "layers": config.layers,
        "width": config.width,
        "heads": f"{config.heads}/{config.kv_heads} of {config.head_dim}",
        "hidden": config.hidden,
        "vocabulary": config.vocabulary,
        "kinds": config.kinds,
        "window": config.window,
        "context": config.context,
        "dtype": dtype,
        "length": length,
        "batch": batch,
        "weight_bytes": footprint.weight_bytes,
        "cache_bytes": footprint.cache_bytes * batch,
        "full_cache_bytes": footprint.full_cache_bytes * batch,
        "train_bytes": footprint.train_bytes,
    }


def _config(name: str):
    from culet.lm import load_config, preset, presets
    from culet.lm.formats.hub import resolve

    if name in presets():
        return preset(name)
    if "/" not in name and not Path(name).exists():
        raise ValueError(f"{name!r} is neither a preset (culet inspect lists them), nor a folder here, nor a Hub id")
    return load_config(resolve(name, patterns=["config.json"]))


def _gib(count: int) -> str:
    return f"{count / GIB:.3g} GiB" if count >= GIB / 10 else f"{count / 2**20:.3g} MiB"


def _table(rows: list[dict]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("preset", "parameters", "context", "weights", "cache", "if full", box=None)
    for row in rows:
        cells = (f"{row['parameters']:,}", f"{row['length']:,}")
        sizes = (_gib(row[key]) for key in ("weight_bytes", "cache_bytes", "full_cache_bytes"))
        table.add_row(row["model"], *cells, *sizes)
    for column in table.columns:
        column.no_wrap = True
    for column in table.columns[1:]:
        column.justify = "right"
    Console().print(table)


def _sheet(row: dict) -> None:
    from rich.console import Console
    from rich.table import Table

    sheet = Table.grid(padding=(0, 2))
    lines = {
        "parameters": f"{row['parameters']:,} ({row['embedding_parameters']:,} of them embeddings)",
        "shape": f"{row['layers']} layers of width {row['width']}, heads {row['heads']}, MLP {row['hidden']}",
        "layers": f"{row['kinds']}   (L local over {row['window']}, G global, R recurrent)",
        "vocabulary": f"{row['vocabulary']:,}",
        "weights": f"{_gib(row['weight_bytes'])} in {row['dtype']}",
        "cache": f"{_gib(row['cache_bytes'])} for {row['batch']} x {row['length']:,} tokens "
        f"({_gib(row['full_cache_bytes'])} if every attention layer kept every token)",
        "training": f"{_gib(row['train_bytes'])} for float32 weights, gradients and Adam, plus activations",
    }
    for name, value in lines.items():
        sheet.add_row(f"[bold]{name}[/]", value)
    Console().print(sheet)
