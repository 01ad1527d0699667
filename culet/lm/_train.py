"""From texts to a trained decoder: tokenise, pack, and run `culet.core.fit`.

Axis letters: N rows, T tokens in a row, B rows in a batch.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import PyTree

from culet.core import Batches, TrainState, fit, optimizer_of, pack, shard, training_step
from culet.lm.decoder import Decoder
from culet.lm.losses import next_token
from culet.lm.recipe import Recipe
from culet.lm.tokenizers.chat_template import encode_answers
from culet.objectives import Objective

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

Rows = Mapping[str, np.ndarray]
Measure = Callable[[Any, Rows, int], Mapping[str, float]]  # of a model, rows and how many of them to do at a time

# How a decoder is cut over a mesh: by columns what goes into a head or a hidden unit, by rows what comes out of it.
SHARDING = (
    (r"embedding$", PartitionSpec("tensor", "fsdp")),
    (r"(query|key|value|gate|up|linear_x|linear_y)\.weight$", PartitionSpec("tensor", "fsdp")),
    (r"(output|down|linear_out)\.weight$", PartitionSpec("fsdp", "tensor")),
    (r"(gate|up|linear_x|linear_y)\.bias$", PartitionSpec("tensor")),
    (r"(conv_weight|conv_bias|lru\.a)$", PartitionSpec("tensor")),
    (r"(input_gate|a_gate)_(weight|bias)$", PartitionSpec("tensor")),
)


def text_rows(texts: Iterable[str], tokenizer: "Tokenizer", length: int) -> Rows:
    """Packs texts into rows of `length` tokens, each text between a BOS and an EOS. Raises ValueError for no text."""
    documents = [np.asarray(tokenizer.encode(text, eos=True, special=False), np.int32) for text in texts if text]
    if not documents:
        raise ValueError("there is no text to train on")
    return pack(documents, length)


def answer_rows(conversations: Sequence[Sequence[Mapping[str, str]]], tokenizer: "Tokenizer", length: int) -> Rows:
    """Packs conversations into rows in which only the assistant's words carry weight.

    Raises ValueError for no conversation, and for one whose answers all lie beyond `length` tokens.
    """
    if not conversations:
        raise ValueError("there are no conversations to train on")
    pairs = encode_answers(conversations, tokenizer)
    kept = [(ids[: length + 1], learned[: length + 1]) for ids, learned in pairs]
    for number, (_, learned) in enumerate(kept):
        if not any(learned):
            raise ValueError(f"conversation {number} has no answer within {length} tokens; use longer rows")
    documents = [np.asarray(ids, np.int32) for ids, _ in kept]
    return pack(documents, length, [np.asarray(learned, np.float32) for _, learned in kept])


def train(
    model: PyTree,
    rows: Rows,
    recipe: Recipe,
    *,
    loss: Objective | None = None,
    trainable: PyTree = eqx.is_inexact_array,
    held_out: Rows | None = None,
    measure: Measure | None = None,
    folder: str | Path | None = None,
    mesh: Mesh | None = None,
    name: str = "training",
    progress: bool = True,
) -> Any:
    """Trains a decoder, or a `StudentAndTeacher` of which only the student is trained, and returns it.

    `model` stays as it was. A student beside its teacher needs `trainable=StudentAndTeacher(True, False)`.

    `loss` is one of `culet.lm.losses`, by default next-token likelihood. `held_out` rows are evaluated on as the run
    goes, by `measure` if given, else by that likelihood. What `trainable`, an Equinox filter, leaves out is neither
    changed nor saved in the checkpoints of `folder`. Errors are those of `culet.core.fit`.
    """
    trained, frozen = eqx.partition(model, trainable)
    trained = jax.tree.map(jnp.copy, trained)  # `fit` consumes its state, and the caller may need the model again
    state = TrainState.create(trained, optimizer_of(recipe)[1], jax.random.key(recipe.seed))
    if mesh is not None:
        state, frozen = shard(state, mesh, SHARDING), shard(frozen, mesh, SHARDING)
    loss = loss or _text(remat=recipe.remat, scan=recipe.scan)
    step = _step(loss, dataclasses.replace(recipe, seed=0))
    state, _ = fit(
        step, state, Batches(rows, recipe.batch_size, recipe.seed), steps=recipe.steps, fixed=(frozen,),
        folder=folder, checkpoint_every=recipe.checkpoint_every, mesh=mesh, name=name, progress=progress,
        evaluate=None if held_out is None else _evaluator(frozen, held_out, recipe.batch_size, measure or _likelihood),
        evaluate_every=recipe.evaluate_every,
    )  # fmt: skip
    return eqx.combine(state.model, frozen)


_text = functools.cache(next_token)  # the same function for the same settings, so that `_step` knows it again


@functools.lru_cache(maxsize=8)
def _step(loss: Objective, recipe: Recipe) -> Callable[..., Any]:
    """The step of a run, of which there is one for all seeds: it is compiled once."""
    schedule, optimizer = optimizer_of(recipe)
    return training_step(
        loss, optimizer, micro_batches=recipe.micro_batches, clip=recipe.clip, schedule=schedule,
        compute_dtype=None if recipe.compute_dtype is None else jnp.dtype(recipe.compute_dtype),
    )  # fmt: skip


def evaluate(model: Decoder, rows: Rows, batch_size: int = 16) -> dict[str, float]:
    """Mean next-token loss in nats over all weighted tokens of `rows`, how many these are, and the perplexity."""
    sums = []  # on the device until the end, so that batches follow each other without a wait
    for start in range(0, len(rows["inputs"]), batch_size):
        batch = {name: filled(array[start : start + batch_size], batch_size) for name, array in rows.items()}
        sums.append(_sums(model, batch))
    total, weight = (float(np.sum(part, dtype=np.float64)) for part in zip(*jax.device_get(sums), strict=True))
    if weight == 0.0:
        raise ValueError("there is nothing to evaluate on: no token has a weight")
    return {"loss": total / weight, "tokens": weight, "perplexity": float(np.exp(total / weight))}


@eqx.filter_jit
def _sums(model: Decoder, batch):
    found = next_token()(model, batch, jax.random.key(0))
    return found.total, found.weight


def filled(array: np.ndarray, rows: int) -> np.ndarray:
    """As many rows as a whole batch has, the missing ones of weight zero."""
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), array.dtype)])


def _likelihood(model: Any, rows: Rows, batch_size: int) -> dict[str, float]:
    return {"loss": evaluate(getattr(model, "student", model), rows, batch_size)["loss"]}


def _evaluator(
    frozen: PyTree, rows: Rows, batch_size: int, measure: Measure
) -> Callable[[TrainState], Mapping[str, float]]:
    return lambda state: measure(eqx.combine(state.model, frozen), rows, batch_size)
