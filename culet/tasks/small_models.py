"""What the experiments on language models share: Python's documentation as text, and small models trained on it.

Axis letters: N rows, T tokens in a row, S tokens of a text.
"""

import dataclasses
import functools
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.core import Batches, TrainState, adamw, fit, training_step, warmup_cosine
from culet.core.plot import COLOURS
from culet.core.text import Document
from culet.experiments.experiment import Findings, Scale
from culet.lm import Decoder, train_tokenizer
from culet.lm.losses import StudentAndTeacher, from_teacher, next_token
from culet.quickstart.corpus import documents

if TYPE_CHECKING:
    from matplotlib.figure import Figure

VOCABULARY = {"smoke": 512, "laptop": 1024}
WRITTEN = 64  # tokens in one timing
Rows = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Course:
    """How one model is trained."""

    steps: int
    batch_size: int  # rows per step
    length: int  # tokens per row
    rate: float  # peak of the learning rate, after a warm-up over a tenth of the steps; a cosine to a tenth follows

    @property
    def tokens(self) -> int:
        """How many are read, counting those that are read again."""
        return self.steps * self.batch_size * self.length


@functools.cache
def streams(scale: Scale) -> tuple[Int[np.ndarray, "S"], Int[np.ndarray, "S2"]]:
    """The tokens of Python's documentation, to train on and held out, whole documents one after the other.

    At smoke scale only the chapters on the language, of which one in eight is held out.
    """
    if scale == "smoke":
        from pydoc_data.topics import topics

        texts = [Document(title, text) for title, text in sorted(topics.items())]
        held = [document.text for document in texts[::8]]
        training = [document.text for i, document in enumerate(texts) if i % 8]
    else:
        held = [document.text for document in documents() if document.held_out]
        training = [document.text for document in documents() if not document.held_out]
    words = train_tokenizer(training, VOCABULARY[scale])
    first, second = (
        np.concatenate([np.asarray(words.encode(text, eos=True, special=False), np.int32) for text in texts])
        for texts in (training, held)
    )
    return first, second


def stream_rows(tokens: Int[np.ndarray, "S"], length: int) -> dict[str, np.ndarray]:
    """A text cut into rows [N T] of one piece each, as `culet.core.pack` lays them out; the rest is left out."""
    count = (len(tokens) - 1) // length
    shape = (count, length)
    return {
        "inputs": tokens[: count * length].reshape(shape),
        "targets": tokens[1 : count * length + 1].reshape(shape),
        "positions": np.broadcast_to(np.arange(length, dtype=np.int32), shape),
        "weights": np.ones(shape, np.float32),
    }


def learn(model: Decoder, rows: Rows, course: Course, seed: int, teacher: Decoder | None = None) -> Decoder:
    """Trains a model on next tokens or, with a teacher, on the teacher's distributions at the same places."""
    step, optimizer = _step(course, teacher is not None)
    if teacher is None:
        state = TrainState.create(model, optimizer, jax.random.key(seed))
        batches = Batches(rows, course.batch_size, seed)
        return fit(step, state, batches, steps=course.steps, progress=False)[0].model
    trained, frozen = eqx.partition(StudentAndTeacher(model, teacher), StudentAndTeacher(True, False))
    state = TrainState.create(trained, optimizer, jax.random.key(seed))
    batches = Batches(rows, course.batch_size, seed)
    return fit(step, state, batches, steps=course.steps, fixed=(frozen,), progress=False)[0].model.student


@functools.cache
def _step(course: Course, taught: bool) -> tuple[Any, Any]:
    """The compiled step, one for all seeds, and its optimiser."""
    schedule = warmup_cosine(course.rate, steps=course.steps, warmup=course.steps // 10)
    optimizer = adamw(schedule)
    loss = from_teacher() if taught else next_token()
    return eqx.filter_jit(training_step(loss, optimizer, clip=1.0)), optimizer


def token_losses(model: Decoder, rows: Rows) -> Float[np.ndarray, "N T"]:
    """The next-token loss at each place of the rows, in nats."""
    names = ("inputs", "targets", "positions")
    found = [_losses(model, *row) for row in zip(*(rows[name] for name in names), strict=True)]
    return np.asarray(jax.device_get(found))


@eqx.filter_jit
def _losses(
    model: Decoder, inputs: Int[Array, "T"], targets: Int[Array, "T"], positions: Int[Array, "T"]
) -> Float[Array, "T"]:
    log_probabilities = jax.nn.log_softmax(model(inputs, positions))
    return -jnp.take_along_axis(log_probabilities, targets[:, None], axis=1)[:, 0]


def curve(losses: Float[np.ndarray, "N T"], bins: int = 32) -> dict[str, np.ndarray]:
    """Mean loss over the place in the row, in bins of equal width, for `place_figure`."""
    width = losses.shape[1] // bins
    by_place = losses.mean(axis=0).reshape(bins, width).mean(axis=1)
    return {"places": (np.arange(bins) + 0.5) * width, "loss_by_place": by_place}


def beyond_training(model: Decoder, tokens: Int[np.ndarray, "S"], length: int) -> dict[str, Any]:
    """The loss on a text whose rows are eight times as long as those of the training, `length`.

    `beyond_loss` is that of tokens from four to eight times `length` away from the start, `inside_loss` that of the
    same tokens with at most `length` tokens of context: the second halves of rows of `length`, so that none has less
    than half of it. `loss_by_place` is a curve over the long rows.
    """
    rows = stream_rows(tokens, 8 * length)
    long = token_losses(model, rows)
    short = token_losses(model, {**rows, "positions": rows["positions"] % length})  # as rows of `length`
    beyond, inside = (found.reshape(-1, 8, length)[:, 4:, length // 2 :] for found in (long, short))
    return {"inside_loss": inside.mean(), "beyond_loss": beyond.mean(), **curve(long)}


def seconds_per_token(model: Decoder, contexts: Sequence[int], repeats: int) -> list[float]:
    """Of writing after that many tokens: the least of the repeats, which go by turns.

    States are as large as if so many tokens had been read; what stands in them does not change what they cost.
    """
    least = [float("inf")] * len(contexts)
    states = [model.init_states(context + WRITTEN, 1) for context in contexts]
    for turn in range(-1, repeats):  # the first compiles
        for i, context in enumerate(contexts):
            begun = time.perf_counter()
            jax.block_until_ready(_write(model, states[i], jnp.int32(context)))
            if turn >= 0:
                least[i] = min(least[i], (time.perf_counter() - begun) / WRITTEN)
    return least


@eqx.filter_jit
def _write(model: Decoder, states: Any, at: Int[Array, ""]) -> Int[Array, ""]:
    """Writes `WRITTEN` tokens, each the likeliest, and returns the last."""

    def one(carry: Any, _: None) -> Any:
        states, token, at = carry
        hidden, states = model.extend(token[None], at[None], states, at)
        return (states, jnp.argmax(model.logits(hidden)[0]).astype(jnp.int32), at + 1), None

    return jax.lax.scan(one, (states, jnp.int32(0), at), None, length=WRITTEN)[0][1]


def place_figure(findings: Findings, title: str, beyond: bool = False) -> "Figure":
    """A figure with `draw_places` alone."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), dpi=100, layout="constrained")
    draw_places(figure.add_subplot(), findings, title, beyond)
    return figure


def draw_places(axes: Any, findings: Findings, title: str, beyond: bool = False) -> None:
    """The curves of `curve`, a thin line for each seed; `beyond` marks the training length of `beyond_training`."""
    for (name, found), colour in zip(findings.items(), COLOURS, strict=False):
        axes.plot(found["places"][0], found["loss_by_place"].T, color=colour, alpha=0.35, linewidth=1)
        axes.plot(found["places"][0], found["loss_by_place"].mean(axis=0), color=colour, label=name)
    if beyond:
        places = next(iter(findings.values()))["places"][0]
        axes.axvline(
            (places[0] + places[-1]) / 8,
            color="#999999",
            linestyle="--",
            linewidth=1,
            label="length of the training rows",
        )
    axes.set(xlabel="tokens before this one", ylabel="held-out loss, nats per token")
    axes.set_title(title, loc="left", fontsize=12)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)


def parameters(model: Decoder) -> int:
    """How many numbers a model has."""
    return sum(leaf.size for leaf in jax.tree.leaves(eqx.filter(model, eqx.is_array)))
