"""Normalising flows: `python -m benchmarks.flows`, where flowjax and scikit-learn are installed too.

A masked autoregressive flow of 4 layers with one hidden layer of 64 on the first 8 principal components of 8 by 8
digits, 60 epochs of batches of 128, against flowjax: steps per second of both trainers (bar 1.5 times), with equal
likelihood of the images kept back. Then how long the model takes to build (bar 0.5 s) and the first fit of one step.

Both learn with Adam, the same schedule of the learning rate and the same bound on the gradient's norm.
"""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax

from benchmarks.timing import arguments, by_turns, report, seconds
from culet.core import warmup_cosine
from culet.distributions import fit_to_data, masked_autoregressive_flow
from culet.distributions.flows.training import CLIP

COMPONENTS, TRAIN, BATCH, RATE = 8, 1350, 128, 1e-3
LAYERS, WIDTH = 4, 64


def digits() -> tuple[np.ndarray, np.ndarray]:
    """The components of unit variance, [1350, 8] to learn from and [447, 8] kept back."""
    from sklearn.datasets import load_digits

    pixels = np.random.default_rng(0).permutation(load_digits().data)
    mean = pixels[:TRAIN].mean(0)
    _, _, directions = np.linalg.svd(pixels[:TRAIN] - mean, full_matrices=False)
    rows = (pixels - mean) @ directions[:COMPONENTS].T
    rows = (rows / rows[:TRAIN].std(0)).astype(np.float32)
    return rows[:TRAIN], rows[TRAIN:]


def build_ours(seed: int) -> Any:
    flow = masked_autoregressive_flow(jax.random.key(seed), COMPONENTS, layers=LAYERS, width=WIDTH)
    return jax.block_until_ready(flow)


def build_theirs(seed: int) -> Any:
    from flowjax.distributions import Normal
    from flowjax.flows import masked_autoregressive_flow

    base = Normal(jnp.zeros(COMPONENTS))
    flow = masked_autoregressive_flow(jax.random.key(seed), base_dist=base, flow_layers=LAYERS, nn_width=WIDTH)
    return jax.block_until_ready(flow)


def ours(flow: Any, rows: np.ndarray, steps: int, seed: int = 0) -> Any:
    return fit_to_data(flow, rows, steps=steps, batch_size=BATCH, learning_rate=RATE, seed=seed, progress=False)[0]


def their_trainer(epochs: int) -> Callable[[Any, np.ndarray, int], Any]:
    """Flowjax's own loop, never stopped early; it learns from all rows but one, which it wants to validate on."""
    from flowjax.train import fit_to_data as fit
    from flowjax.train.losses import MaximumLikelihoodLoss

    steps = epochs * ((TRAIN - 1) // BATCH)
    schedule = warmup_cosine(RATE, steps=steps, warmup=steps // 10)
    optimizer = optax.chain(optax.clip_by_global_norm(CLIP), optax.adam(schedule))
    loss = MaximumLikelihoodLoss()  # with the optimiser, what its compiled step is found again by

    def run(flow: Any, rows: np.ndarray, seed: int) -> Any:
        return fit(
            jax.random.key(seed), flow, rows, loss_fn=loss, optimizer=optimizer, max_epochs=epochs, max_patience=epochs,
            batch_size=BATCH, val_prop=1 / TRAIN, return_best=False, show_progress=False,
        )[0]  # fmt: skip

    return run


def nats(flow: Any, rows: np.ndarray) -> float:
    """Minus the mean log-likelihood per dimension."""
    scores = eqx.filter_jit(lambda flow, rows: flow.log_prob(rows))(flow, jnp.asarray(rows))
    return -float(np.mean(scores)) / COMPONENTS


def main() -> None:
    """One table."""
    chosen = arguments(__doc__)
    epochs = 6 if chosen.quick else 60
    steps = epochs * ((TRAIN - 1) // BATCH)
    built: dict[str, Any] = {}
    jax.block_until_ready(jax.random.key(0))  # the start of jax is neither side's
    build = {
        "ours": seconds(lambda: built.update(ours=build_ours(0))),
        "theirs": seconds(lambda: built.update(theirs=build_theirs(0))),
    }
    train, kept = digits()
    theirs = their_trainer(epochs)
    fits: dict[str, Callable[[int], Any]] = {
        "ours": lambda seed: ours(built["ours"], train, steps, seed),
        "theirs": lambda seed: theirs(built["theirs"], train, seed),
    }

    def side(name: str) -> Callable[[], Mapping[str, float]]:
        return lambda: {"fit": seconds(lambda: jax.block_until_ready(fits[name](0)))}

    found, first = by_turns({name: side(name) for name in fits}, chosen.repeats)
    rate = {name: steps / statistics.median(found[f"{name} fit"]) for name in fits}
    times = statistics.median(a / b for a, b in zip(found["theirs fit"], found["ours fit"], strict=True))
    score = {name: [nats(fit(seed), kept) for seed in range(2 if chosen.quick else 5)] for name, fit in fits.items()}
    mean = {name: statistics.mean(values) for name, values in score.items()}
    rows = [
        ["steps per second", rate["ours"], rate["theirs"], times, "at least 1.5"],
        ["nats per dimension, kept back", mean["ours"], mean["theirs"], mean["ours"] - mean["theirs"], "within 0.02"],
        ["seconds to build", build["ours"], build["theirs"], build["theirs"] / build["ours"], "ours below 0.5"],
        ["seconds of the first fit", first["ours"], first["theirs"], first["theirs"] / first["ours"], ""],
    ]
    result = {
        "steps_per_second": rate, "ratio": times, "bar": 1.5, "nats_per_dimension": score, "build_seconds": build,
        "first_fit_seconds": first, "steps": steps,
    }  # fmt: skip
    report("flows", ["what", "ours", "flowjax", "ratio or difference", "bar"], rows, result)


if __name__ == "__main__":
    main()
