"""Reward models to and from folders, in the form of transformers' classes for sequences with one label.

`score.weight` [1, D] stands beside the decoder's tensors. `id2label` in config.json holds the meaning, and `centre`,
which transformers ignores, what its score is greater by than ours.

Axis letters: D width.
"""

import json
import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp

from culet.align.rewards.model import Meaning, RewardModel
from culet.lm import Tokenizer, load_model, save_model
from culet.lm.formats.json_file import ConfigError, TensorError, brief, read_object
from culet.lm.formats.tensors import TensorFolder
from culet.lm.formats.writing import CONFIG, staged, write_json

_HEAD = "score.weight"
_MEANINGS: dict[str, Meaning] = {
    "reward": "reward",
    "entailment": "entailment",
    "LABEL_0": "reward",  # what transformers calls the label of reward models that other tools trained
}
_SUFFIX = "ForSequenceClassification"


def save_reward_model(
    path: str | Path, model: RewardModel, tokenizer: "Tokenizer", *, dtype: str | None = None
) -> None:
    """Writes a folder that `load_reward_model` reads, and transformers where it has such a class (Gemma, Gemma 2, 3).

    `dtype` is that of the file, by default the model's. The folder changes all at once, after everything is on disk.
    Raises as `culet.lm.save` does.
    """
    family = model.backbone.config.family
    with staged(Path(path)) as stage:
        tokenizer.save(stage)
        save_model(stage, model.backbone, dtype=dtype, beside={_HEAD: model.head[None]})
        config = json.loads((stage / CONFIG).read_bytes())
        stem = "Gemma3Text" if family == "gemma3_text" else config["architectures"][0].removesuffix("ForCausalLM")
        config |= {
            "architectures": [stem + _SUFFIX],
            "id2label": {"0": model.meaning},
            "label2id": {model.meaning: 0},
            "centre": float(model.centre),
            "bos_token_id": tokenizer.bos_id,
            "eos_token_id": tokenizer.eos_id,
            "pad_token_id": tokenizer.pad_id,
        }
        write_json(stage / CONFIG, config)


def load_reward_model(path: str | Path, *, dtype: str | None = None) -> tuple[RewardModel, Tokenizer]:
    """The model and tokenizer of a folder that `save_reward_model` wrote.

    `dtype` is that of the backbone, by default what config.json names; the head is float32. Raises ConfigError and
    TensorError, which are ValueErrors, naming file and key or tensor, for a folder that holds no such model.
    """
    folder = Path(path)
    file = folder / CONFIG
    config = read_object(file, ConfigError)
    architectures = config.get("architectures")
    if not isinstance(architectures, list) or not all(str(name).endswith(_SUFFIX) for name in architectures or [""]):
        raise ConfigError(
            f"{file}: architectures is {brief(architectures)}, which is no reward model; train one with "
            "culet train --preferences or --entailment"
        )
    labels, centre = config.get("id2label"), config.get("centre", 0.0)
    label = labels.get("0") if isinstance(labels, dict) and len(labels) == 1 else None
    meaning: Meaning | None = _MEANINGS.get(str(label))
    if meaning is None:
        raise ConfigError(
            f"{file}: id2label must hold one label, {', '.join(_MEANINGS)}; this model has another purpose"
        )
    if not isinstance(centre, int | float) or not math.isfinite(centre):
        raise ConfigError(f"{file}: centre must be a finite number, not {brief(centre)}")
    backbone = load_model(folder, dtype=dtype, beside=(_HEAD,))
    model = RewardModel(backbone, meaning, key=jax.random.key(0))
    tokenizer = Tokenizer.load(folder)
    if tokenizer.vocabulary > backbone.config.vocabulary:
        raise ValueError(
            f"{folder}: the tokenizer has {tokenizer.vocabulary} tokens but the model embeds "
            f"{backbone.config.vocabulary}; they do not belong together"
        )
    return _with_head(model, TensorFolder(folder), float(centre)), tokenizer


def _with_head(model: RewardModel, tensors: TensorFolder, centre: float) -> RewardModel:
    entry, width = tensors.entries.get(_HEAD), model.backbone.config.width
    if entry is None:
        raise TensorError(f"{tensors.folder}: tensor {_HEAD!r} is missing; this is no reward model")
    if entry.shape != (1, width) or entry.dtype.name not in ("bfloat16", "float16", "float32"):
        raise TensorError(
            f"{entry.file}: tensor {_HEAD!r} is {entry.dtype}{list(entry.shape)}; it must be floats of [1, {width}]"
        )
    head = jnp.asarray(tensors.read(_HEAD)[0].astype("float32"))
    return eqx.tree_at(lambda tree: (tree.head, tree.centre), model, (head, jnp.asarray(centre, jnp.float32)))
