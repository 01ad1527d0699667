"""From texts to a trained decoder: tokenise, pack, run `culet.core.fit`, evaluate.

Rows are a dict of arrays [N, T]: N rows of T tokens each, into which texts are packed.
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
from culet.lm.losses import StudentAndTeacher, from_teacher, next_token
from culet.lm.recipe import Recipe
from culet.lm.tokenizers.chat_template import encode_answers
from culet.nn.lora import LoRA, lora_filter
from culet.objectives import Objective

if TYPE_CHECKING:
    from culet.lm.tokenizers.tokenizer import Tokenizer

Rows = Mapping[str, np.ndarray]
Measure = Callable[[Any, Rows, int], Mapping[str, float]]  # (model, rows, rows at a time) to numbers by name

# How a decoder is spread over a mesh: matrices into heads and hidden units by outputs, those out of them by inputs.
SHARDING = (
    (r"embedding$", PartitionSpec("tensor", "fsdp")),
    (r"(query|key|value|gate|up|linear_x|linear_y)\.weight$", PartitionSpec("tensor", "fsdp")),
    (r"(output|down|linear_out)\.weight$", PartitionSpec("fsdp", "tensor")),
    (r"(gate|up|linear_x|linear_y)\.bias$", PartitionSpec("tensor")),
    (r"(conv_weight|conv_bias|lru\.a)$", PartitionSpec("tensor")),
    (r"(input_gate|a_gate)_(weight|bias)$", PartitionSpec("tensor")),
)


def text_rows(texts: Iterable[str], tokenizer: "Tokenizer", length: int) -> Rows:
    """Packs texts into rows of `length` tokens, each text between a BOS and an EOS.

    Names of control tokens in a text stay plain text. Raises ValueError if there is no text.
    """
    documents = [np.asarray(tokenizer.encode(text, eos=True, special=False), np.int32) for text in texts if text]
    if not documents:
        raise ValueError("there is no text to train on: every text is empty, or there are none")
    return pack(documents, length)


def answer_rows(conversations: Sequence[Sequence[Mapping[str, str]]], tokenizer: "Tokenizer", length: int) -> Rows:
    """Packs conversations into rows of `length` tokens that train the assistant's answers alone.

    A conversation is a list of messages `{"role": ..., "content": ...}`. Raises ValueError if there is none, for one
    that no chat template takes, and for one whose answers all lie beyond `length` tokens.
    """
    if not conversations:
        raise ValueError("there are no conversations to train on")
    pairs = encode_answers(conversations, tokenizer)
    kept = [(ids[: length + 1], learned[: length + 1]) for ids, learned in pairs]
    for number, (_, learned) in enumerate(kept):
        if not any(learned):
            raise ValueError(
                f"conversation {number} has no answer within its first {length} tokens; give a larger length"
            )
    documents = [np.asarray(ids, np.int32) for ids, _ in kept]
    return pack(documents, length, [np.asarray(learned, np.float32) for _, learned in kept])


def train(
    model: PyTree,
    rows: Rows,
    recipe: Recipe,
    *,
    lora: LoRA | None = None,
    loss: Objective | None = None,
    trainable: PyTree = eqx.is_inexact_array,
    held_out: Rows | None = None,
    measure: Measure | None = None,
    folder: str | Path | None = None,
    mesh: Mesh | None = None,
    name: str = "training",
    progress: bool = True,
) -> Any:
    """The model trained on `rows`, which `text_rows` or `answer_rows` makes; the one that is passed in is not changed.

    With `lora`, adapters are added and trained, and nothing else; the result keeps them beside the weights (see
    `LoRA`). `trainable` is an Equinox filter for whatever else is to be left as it is; what it leaves out is not saved
    in the checkpoints of `folder` either.

    `loss` is an objective `(model, batch, key) -> Loss`, by default the likelihood of the next token
    (`culet.lm.losses`). Every `recipe.evaluate_every` steps, `measure(model, held_out, batch_size)` is logged, by
    default the mean loss of the next token. `mesh` spreads batch and model over its devices by the rules `SHARDING`.

    With a `folder`, the run keeps there checkpoints, a log and a plot of the loss, and the same call goes on from the
    newest checkpoint. Errors are those of `culet.core.fit`. Raises ValueError also for both `lora` and `trainable`.
    """
    if not isinstance(rows, Mapping):
        raise ValueError(f"rows are what text_rows or answer_rows makes of texts, a dict of arrays; got {type(rows)}")
    if lora is not None:
        if trainable is not eqx.is_inexact_array:
            raise ValueError("give either lora, which trains adapters alone, or trainable, not both")
        model = lora.adapt(model, jax.random.key(recipe.seed))
        trainable = lora_filter(model)
    trained, frozen = eqx.partition(model, trainable)
    trained = jax.tree.map(jnp.copy, trained)  # `fit` consumes its state, and the caller may need the model again
    state = TrainState.create(trained, optimizer_of(recipe)[1], jax.random.key(recipe.seed))
    if mesh is not None:
        state, frozen = shard(state, mesh, SHARDING), shard(frozen, mesh, SHARDING)
    loss = loss or _next_token(remat=recipe.remat, scan=recipe.scan)
    step = _step(loss, dataclasses.replace(recipe, seed=0))
    state, _ = fit(
        step, state, Batches(rows, recipe.batch_size, recipe.seed), steps=recipe.steps, fixed=(frozen,),
        folder=folder, checkpoint_every=recipe.checkpoint_every, mesh=mesh, name=name, progress=progress,
        evaluate=None if held_out is None else _evaluator(frozen, held_out, recipe.batch_size, measure or _mean_loss),
        evaluate_every=recipe.evaluate_every,
    )  # fmt: skip
    return eqx.combine(state.model, frozen)


def distil(
    student: Decoder,
    teacher: Decoder,
    rows: Rows,
    recipe: Recipe,
    *,
    temperature: float = 1.0,
    fraction: float = 1.0,
    lora: LoRA | None = None,
    **options: Any,
) -> Decoder:
    """The student trained on its teacher's whole distribution at each place of `rows` (Gemma 2, 2408.00118, section 3).

    The loss is the cross-entropy from teacher to student, both softmaxes at `temperature`, times its square;
    `fraction` of the loss is that and the rest the likelihood of the next token. The teacher is neither changed nor
    saved in checkpoints. `lora` is for the student, and further options are those of `train` (held_out, folder, mesh,
    ...). Raises ValueError for vocabularies that differ and a fraction outside 0 to 1, and what `train` raises.
    """
    sizes = (student.config.vocabulary, teacher.config.vocabulary)
    if sizes[0] != sizes[1]:
        raise ValueError(f"the student has {sizes[0]} token ids and the teacher {sizes[1]}; both need one vocabulary")
    if lora is not None:
        student = lora.adapt(student, jax.random.key(recipe.seed))
    pair = StudentAndTeacher(student, teacher)
    learns = StudentAndTeacher(eqx.is_inexact_array if lora is None else lora_filter(student), False)
    loss = _from_teacher(temperature=temperature, fraction=fraction, remat=recipe.remat, scan=recipe.scan)
    return train(pair, rows, recipe, loss=loss, trainable=learns, **options).student


# The same function for the same settings, so that `_step` finds what is compiled already.
_next_token = functools.cache(next_token)
_from_teacher = functools.cache(from_teacher)


@functools.lru_cache(maxsize=8)
def _step(loss: Objective, recipe: Recipe) -> Callable[..., Any]:
    """The step of a run: one function for all seeds, so that it is compiled once."""
    schedule, optimizer = optimizer_of(recipe)
    return training_step(
        loss, optimizer, micro_batches=recipe.micro_batches, clip=recipe.clip, schedule=schedule,
        compute_dtype=None if recipe.compute_dtype is None else jnp.dtype(recipe.compute_dtype),
    )  # fmt: skip


def evaluate(model: Decoder, rows: Rows, batch_size: int = 16) -> dict[str, float]:
    """How well a model predicts `rows`: `loss`, its mean in nats per token, `tokens`, how many, and `perplexity`.

    Tokens count by their weight; `batch_size` rows are computed at a time. Raises ValueError if no token has a weight.
    """
    sums = []  # on the device until the end, so that batches follow each other without a wait
    for start in range(0, len(rows["inputs"]), batch_size):
        batch = {name: filled(array[start : start + batch_size], batch_size) for name, array in rows.items()}
        sums.append(_sums(model, batch))
    total, weight = (float(np.sum(part, dtype=np.float64)) for part in zip(*jax.device_get(sums), strict=True))
    if weight == 0.0:
        raise ValueError("there is nothing to evaluate on: no token has a weight above 0")
    return {"loss": total / weight, "tokens": weight, "perplexity": float(np.exp(total / weight))}


@eqx.filter_jit
def _sums(model: Decoder, batch):
    loss = next_token()(model, batch, jax.random.key(0))
    return loss.total, loss.weight


def filled(array: np.ndarray, rows: int) -> np.ndarray:
    """The array with rows of zeros added, so that there are `rows` of them: a last batch of the usual size."""
    return np.concatenate([array, np.zeros((rows - len(array), *array.shape[1:]), array.dtype)])


def _mean_loss(model: Any, rows: Rows, batch_size: int) -> dict[str, float]:
    return {"loss": evaluate(getattr(model, "student", model), rows, batch_size)["loss"]}


def _evaluator(
    frozen: PyTree, rows: Rows, batch_size: int, measure: Measure
) -> Callable[[TrainState], Mapping[str, float]]:
    return lambda state: measure(eqx.combine(state.model, frozen), rows, batch_size)
