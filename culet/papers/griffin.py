"""Griffin (2402.19427): gated linear recurrences with local attention go on where global attention breaks down.

Axis letters: N seeds.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from culet.core.experiment import Arm, Claim, Experiment, Findings, Metric, Scale, one_by_one

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from culet.lm import Decoder, DecoderConfig
    from culet.papers.language import Course

GRIFFIN, ROPE, NOPE = "Griffin", "global attention, RoPE", "global attention, no positions"
CONTEXTS: Mapping[Scale, tuple[int, int]] = {"smoke": (64, 64), "laptop": (1024, 16 * 1024)}
WRITTEN = 64  # tokens per timing
REPEATS: Mapping[Scale, int] = {"smoke": 1, "laptop": 25}


def _course(scale: Scale) -> "Course":
    from culet.papers.language import Course

    if scale == "smoke":
        return Course(steps=4, batch_size=4, length=32, rate=4e-3)
    return Course(steps=240, batch_size=16, length=128, rate=4e-3)


def _config(scale: Scale, pattern: str, rope_fraction: float = 0.5) -> "DecoderConfig":
    """Layers of Griffin's kinds; the MLPs of global attention make up for its fewer parameters."""
    from culet.lm import scaled
    from culet.papers.language import VOCABULARY

    small = scale == "smoke"
    width, layers = (16, 2) if small else (96, 3)
    base = scaled(
        "griffin-100m", layers=layers, width=width, heads=2, vocabulary=VOCABULARY[scale], window=8 if small else 64
    )
    hidden = base.hidden + (round(2 * width / 9) if pattern == "G" else 0)
    return dataclasses.replace(base, pattern=pattern[-layers:], rope_fraction=rope_fraction, hidden=hidden)


def _arm(pattern: str, rope_fraction: float = 0.5) -> Any:
    """Trains a model on short rows, then measures it on rows eight times as long, and what a further token costs."""

    def run(seed: int, scale: Scale) -> dict[str, Any]:
        import jax

        from culet.papers.language import beyond_training, learn, parameters, stream_rows, streams

        training, held_out = streams(scale)
        course = _course(scale)
        model = _config(scale, pattern, rope_fraction).init(jax.random.key(seed))
        model = learn(model, stream_rows(training, course.length), course, seed)
        short, long = _seconds_per_token(model, CONTEXTS[scale], REPEATS[scale])
        return {
            "budget": course.tokens,
            "parameters": parameters(model),
            "cost_ratio": long / short,
            "microseconds": np.array([short, long]) * 1e6,
            **beyond_training(model, held_out, course.length),
        }

    return one_by_one(run)


def _seconds_per_token(model: "Decoder", contexts: Sequence[int], repeats: int) -> list[float]:
    """Of writing after that many tokens, by turns, the least of the repeats; states are as large as if these were read.

    What stands in a state does not change what it costs to use it.
    """
    import time

    import equinox as eqx
    import jax
    import jax.numpy as jnp

    @eqx.filter_jit
    def write(model: Any, states: Any, at: Any) -> Any:
        def one(carry: Any, _: None) -> Any:
            states, token, at = carry
            hidden, states = model.extend(token[None], at[None], states, at)
            return (states, jnp.argmax(model.logits(hidden)[0]).astype(jnp.int32), at + 1), None

        return jax.lax.scan(one, (states, jnp.int32(0), at), None, length=WRITTEN)[0][1]

    least = [np.inf] * len(contexts)
    states = [model.init_states(context + WRITTEN, 1) for context in contexts]
    for turn in range(-1, repeats):  # the first compiles
        for i, context in enumerate(contexts):
            begun = time.perf_counter()
            jax.block_until_ready(write(model, states[i], jnp.int32(context)))
            if turn >= 0:
                least[i] = min(least[i], (time.perf_counter() - begun) / WRITTEN)
    return least


def _figure(findings: Findings) -> "Figure":
    from culet.papers.language import place_figure

    compared = {name: findings[name] for name in (GRIFFIN, ROPE, NOPE)}
    trained = int(2 * findings[GRIFFIN]["places"][0, -1] / 8) + 1
    return place_figure(compared, "Rows of eight times the training length", trained)


def _attention_less_griffin(findings: Findings) -> np.ndarray:
    best = np.minimum(findings[ROPE]["beyond_loss"], findings[NOPE]["beyond_loss"])
    return best - findings[GRIFFIN]["beyond_loss"]


experiment = Experiment(
    slug="griffin",
    question="Does a mixture of gated linear recurrences and local attention keep its loss on texts far longer than "
    "those it was trained on, where global attention of equal size does not, and at the same cost per token?",
    metrics=[
        Metric(name="beyond_loss", unit="nats per token at 4 to 8 training lengths", better="lower"),
        Metric(name="inside_loss", unit="the same tokens, at most one training length before them", better="lower"),
        Metric(name="cost_ratio", unit="of a token after 16,384 over one after 1,024", better="lower"),
        Metric(name="parameters", unit="numbers", better="lower"),
    ],
    budget_unit="tokens read",
    arms={
        GRIFFIN: Arm(what="recurrence, recurrence, attention to the last 64 tokens", run=_arm("RRL")),
        ROPE: Arm(what="attention to all tokens, rotary positions", run=_arm("G", rope_fraction=1.0)),
        NOPE: Arm(what="the same without positions", run=_arm("G", rope_fraction=0.0)),
    },
    claims=[
        Claim(
            text="From 4 to 8 times the training length, Griffin's loss is at least 0.1 nats per token below that of "
            "the better of the two attention models.",
            margin=_attention_less_griffin,
            at_least=0.1,
        ),
        Claim(
            text="On the same tokens, Griffin's loss with 4 to 8 training lengths before them is at most 0.02 nats "
            "above that with at most one.",
            margin=lambda findings: findings[GRIFFIN]["inside_loss"] - findings[GRIFFIN]["beyond_loss"],
            at_least=-0.02,
        ),
        Claim(
            text="A token after 16,384 others costs Griffin at most 5% more time than one after 1,024.",
            margin=lambda findings: 1.05 - findings[GRIFFIN]["cost_ratio"],
            at_least=0.0,
        ),
    ],
    control={GRIFFIN: Arm(what="its local attention made global", run=_arm("RRG"))},
    figure=_figure,
    different="The paper's models have at least 100M parameters, here they have 0.5 million; they read rows of 2,048 "
    "tokens and more, here of 128 in training and up to 1,024 in the evaluation; and the text is Python's own "
    "documentation. The cost is that of one sequence on a CPU, where the paper times batches on a TPU.",
    usage="culet train TEXTS --preset griffin-100m --scaled layers=3,width=96,heads=2,window=64 --out MODEL",
)  # fmt: skip
