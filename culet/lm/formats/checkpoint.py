"""Models, alone or with their tokenizer, to and from folders that transformers writes and reads."""

import json
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import equinox as eqx
import jax
import ml_dtypes
import numpy as np
from jaxtyping import Array, PyTree
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from culet.lm.decoder import Decoder, DecoderConfig
from culet.lm.formats.config_json import config_from_transformers, config_to_transformers, default_dtype
from culet.lm.formats.hub import resolve
from culet.lm.formats.json_file import ConfigError, read_object, write_json
from culet.lm.formats.names import match_tensors, read_leaf, transformers_name, transformers_shape
from culet.lm.formats.safetensors import MAX_SHARD_BYTES, TensorFolder, write_tensors
from culet.lm.tokenizers.tokenizer import Tokenizer
from culet.nn.lora import merge_lora

CONFIG = "config.json"
_PARTIAL = ".partial"
_WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")
_DTYPES = {"float32": np.float32, "bfloat16": ml_dtypes.bfloat16, "float16": np.float16}
_QUIET_BYTES = 2**29  # what loads within two seconds gets no progress bar


def load(
    path_or_hub_id: str | Path,
    *,
    revision: str | None = None,
    dtype: str | None = None,
    shardings: PyTree[jax.sharding.Sharding] | None = None,
) -> tuple[Decoder, Tokenizer]:
    """The model and tokenizer of a folder as transformers writes it, or of a Hub id such as "google/gemma-3-270m".

    A folder that exists never touches the network. For `dtype` and `shardings` see `load_model`. Raises ValueError or
    FileNotFoundError with one message that names the file, and in it the key or tensor, that cannot be used.
    """
    folder = resolve(path_or_hub_id, revision)
    tokenizer = Tokenizer.load(folder)
    model = load_model(folder, dtype=dtype, shardings=shardings)
    if tokenizer.vocabulary > model.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens but the model embeds "
            f"{model.config.vocabulary}; they do not belong together"
        )
    return model, tokenizer


def save(
    path: str | Path,
    model: Decoder,
    tokenizer: Tokenizer,
    *,
    dtype: str | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
) -> None:
    """Writes a folder that `load` and transformers load: weights, config.json, tokenizer, generation_config.json.

    The folder changes all at once, after everything is on disk. For `dtype`, `max_shard_bytes` and errors see
    `save_model`.
    """
    ids = {"bos_token_id": tokenizer.bos_id, "pad_token_id": tokenizer.pad_id}
    with staged(Path(path)) as stage:
        tokenizer.save(stage)
        write_json(stage / "generation_config.json", {**ids, "eos_token_id": list(tokenizer.stop_ids)})
        save_model(stage, model, dtype=dtype, max_shard_bytes=max_shard_bytes)
        config = json.loads((stage / CONFIG).read_bytes())
        write_json(stage / CONFIG, {**config, **ids, "eos_token_id": tokenizer.eos_id})


def load_model(
    folder: Path | str,
    *,
    dtype: str | None = None,
    shardings: PyTree[jax.sharding.Sharding] | None = None,
    beside: Collection[str] = (),
) -> Decoder:
    """The model in `folder`, read tensor by tensor, so that host memory never holds much more than the model.

    `dtype` is "float32", "bfloat16" or "float16"; None takes what config.json names, or else what each tensor has.
    `shardings` is one sharding for all leaves, or a tree of them shaped like the model (or a prefix of it). `beside`
    names tensors that may stand there too and are left to others, such as another head.
    Raises `ConfigError` or `TensorError`, naming file and key or tensor, for whatever is missing, broken or of no use.
    """
    folder = Path(folder)
    data = read_object(folder / CONFIG, ConfigError)
    config = config_from_transformers(data, str(folder / CONFIG))
    chosen = _dtype(dtype or default_dtype(data, str(folder / CONFIG)))
    tensors = TensorFolder(folder)
    skeleton = _skeleton(config)
    leaves = _leaves(skeleton)
    names = match_tensors(config.family, {path: leaf.shape for path, leaf in leaves.items()}, tensors, beside)
    targets = dict.fromkeys(leaves) if shardings is None else _leaves(_broadcast(shardings, skeleton))
    loaded: dict[str, jax.Array] = {}
    with _progress("loading", sum(tensors.entries[name].nbytes for name in names.values())) as bar:
        # The largest first: the copy of it that is in flight then stands beside nothing else.
        for path in sorted(leaves, key=lambda path: -leaves[path].size):
            host = read_leaf(tensors, names[path], leaves[path].shape)
            host = host if chosen is None else host.astype(chosen, copy=False)
            loaded[path] = jax.device_put(host, targets[path]).block_until_ready()
            bar.advance(bar.task_ids[0], tensors.entries[names[path]].nbytes)
    return jax.tree.unflatten(jax.tree.structure(skeleton), [loaded[path] for path in leaves])


def load_config(folder: Path | str) -> DecoderConfig:
    """The configuration of the model in `folder`. Raises `ConfigError`, naming file and key, if it cannot be used."""
    path = Path(folder) / CONFIG
    return config_from_transformers(read_object(path, ConfigError), str(path))


def save_model(
    folder: Path | str,
    model: Decoder,
    *,
    dtype: str | None = None,
    max_shard_bytes: int = MAX_SHARD_BYTES,
    beside: Mapping[str, Array] = MappingProxyType({}),
) -> None:
    """Writes `model` to `folder` as `config.json` and safetensors, which transformers loads to the same logits.

    `dtype` is that of the file: "float32", "bfloat16" or "float16"; None keeps the model's. More than
    `max_shard_bytes` become several files and an index. Adapters (`LoRA`) are merged into the weights. `beside` are
    further tensors, such as another head, by name.
    The folder changes all at once, after everything is on disk.
    Raises `ConfigError` if the family's config.json cannot express the model.
    """
    chosen, model = _dtype(dtype), merge_lora(model)
    family, leaves = model.config.family, _leaves(model)
    config = config_to_transformers(model.config, np.dtype(chosen or model.embedding.dtype).name)
    tensors = {
        f"model.{transformers_name(family, path)}": leaf.reshape(transformers_shape(path, leaf.shape))
        for path, leaf in leaves.items()
    } | dict(beside)
    size = sum(tensor.size * (chosen or tensor.dtype).itemsize for tensor in tensors.values())
    with staged(Path(folder)) as stage, _progress("saving", size) as bar:
        write_tensors(
            stage, tensors, dtype=chosen, max_shard_bytes=max_shard_bytes,
            advance=lambda nbytes: bar.advance(bar.task_ids[0], nbytes),
        )  # fmt: skip
        write_json(stage / CONFIG, config)


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A fresh folder in which to write a model's files; they move into `folder` together when the block succeeds.

    Until the last byte is on disk the old content of `folder` stays as it was. Then its `config.json` goes first and
    the new one comes last, so that a folder in between has none and no reader takes it for a model. Weights of an
    earlier save that the new one does not replace are removed; other files are left alone. If the block raises,
    nothing changes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stage = folder / _PARTIAL
    shutil.rmtree(stage, ignore_errors=True)  # what a killed save left behind
    stage.mkdir()
    try:
        yield stage
        names = sorted((path.name for path in stage.iterdir()), key=lambda name: (name == CONFIG, name))
        for name in names:
            _sync(stage / name)
        (folder / CONFIG).unlink(missing_ok=True)
        for path in folder.iterdir():
            if _WEIGHTS.fullmatch(path.name):
                path.unlink()
        _sync(folder)
        for name in names:
            if name == CONFIG:
                _sync(folder)
            (stage / name).replace(folder / name)
        _sync(folder)
    finally:
        shutil.rmtree(stage, ignore_errors=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _dtype(name: str | None) -> np.dtype | None:
    if name is not None and name not in _DTYPES:
        raise ValueError(f"dtype {name!r} is not one of {', '.join(_DTYPES)}")
    return None if name is None else np.dtype(_DTYPES[name])


def _skeleton(config: DecoderConfig) -> Decoder:
    """The model with shapes in place of arrays."""
    return eqx.filter_eval_shape(config.init, jax.random.key(0))


def _leaves(tree: Any) -> dict[str, Any]:
    """The leaves of a tree by path, as in `blocks.3.mixer.query.weight`."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _broadcast(shardings: PyTree[jax.sharding.Sharding], skeleton: Decoder) -> PyTree[jax.sharding.Sharding]:
    return jax.tree.broadcast(shardings, skeleton)


def _progress(verb: str, size: int) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    bar = Progress(*columns, console=Console(stderr=True), transient=True, disable=size < _QUIET_BYTES)
    bar.add_task(verb, total=size)
    return bar
