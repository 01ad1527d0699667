"""`culet convert`: the same model in another dtype or in files of another size."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("convert")(convert)


def convert(
    source: Annotated[str, typer.Argument(help="A model folder or a Hub id.", show_default=False)],
    out: Annotated[Path, typer.Argument(help="Folder for the result.", show_default=False)],
    dtype: Annotated[str | None, typer.Option(help="bfloat16, float16 or float32. Default: as stored.")] = None,
    max_shard_gb: Annotated[float, typer.Option(help="Most gigabytes in one weight file.", min=0.001)] = 5.0,
) -> None:
    """Writes a model again, in another dtype or other shards, as a folder that transformers loads too.

    [dim]culet convert runs/student runs/student-bf16 --dtype bfloat16[/]
    """
    from culet.lm import load, save

    model, tokenizer = load(source, dtype=dtype)
    save(out, model, tokenizer, max_shard_bytes=int(max_shard_gb * 10**9))
    files = sorted(out.glob("*.safetensors"))
    total = sum(file.stat().st_size for file in files)
    print(f"{out}: {total:,} bytes of {model.embedding.dtype} weights in {len(files)} file{'s' * (len(files) > 1)}")
