"""A small model on packed rows that the tests train, here or (as a program) in a process of its own.

Axis letters: B batch, T tokens, V vocabulary, D width, F hidden.
"""

import os
import sys
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import PartitionSpec

from culet import core

RULES = (
    (r"embedding$", PartitionSpec("tensor", "fsdp")),
    (r"up$", PartitionSpec("tensor", "fsdp")),
    (r"down$", PartitionSpec("fsdp", "tensor")),
)


class Toy(eqx.Module):
    embedding: jax.Array  # V D
    up: jax.Array  # F D
    down: jax.Array  # D F
    scale: jax.Array  # D

    def __init__(self, key, vocabulary=16, width=8, hidden=32):
        keys = jax.random.split(key, 3)
        self.embedding = jax.random.normal(keys[0], (vocabulary, width)) * 0.3
        self.up = jax.random.normal(keys[1], (hidden, width)) * 0.3
        self.down = jax.random.normal(keys[2], (width, hidden)) * 0.3
        self.scale = jnp.ones(width)

    def __call__(self, tokens):
        x = self.embedding[tokens]
        h = jax.nn.gelu((x * self.scale[None, :]) @ self.up.T)
        return (x + h @ self.down.T) @ self.embedding.T


def loss(model, batch, key):
    logits = jax.vmap(model)(batch["inputs"]).astype(jnp.float32)
    nll = -jnp.take_along_axis(jax.nn.log_softmax(logits), batch["targets"][..., None], axis=-1)[..., 0]
    right = jnp.argmax(logits, axis=-1) == batch["targets"]
    weights = batch["weights"]
    return jnp.sum(nll * weights), jnp.sum(weights), {"accuracy": jnp.sum(jnp.where(right, weights, 0))}


def rows(seed=0, count=60):
    generator = np.random.default_rng(seed)
    documents = [np.cumsum(generator.integers(0, 3, generator.integers(2, 30))) % 16 for _ in range(count)]
    return core.pack(documents, 12)


SCHEDULE = core.warmup_cosine(0.02, steps=100, warmup=3)
OPTIMIZER = core.adamw(SCHEDULE)
PLAIN_STEP = core.training_step(loss, OPTIMIZER, clip=1.0, schedule=SCHEDULE)
STEP = jax.jit(PLAIN_STEP, donate_argnums=0)


def setup():
    """The step (compiled only once), the state and the batches of a run that is the same every time."""
    state = core.TrainState.create(Toy(jax.random.key(0)), OPTIMIZER, jax.random.key(1))
    return STEP, state, core.Batches(rows(), batch_size=8, seed=3)


class Announced:
    """Batches that say when the first is asked for, and take their time."""

    def __init__(self, batches, seconds):
        self.batches = batches
        self.seconds = seconds

    def __getitem__(self, step):
        print("step", step, flush=True)
        time.sleep(self.seconds)
        return self.batches[step]


def main(folder: str, steps: int) -> None:
    several = core.distributed()
    step, state, batches = setup()
    mesh = core.make_mesh(fsdp=jax.device_count()) if several else None
    if mesh is not None:
        state = core.shard(state, mesh, RULES)
    seconds = float(os.environ.get("TOY_SECONDS", "0"))
    options: Any = {"checkpoint_every": 2, "log_every": 1, "progress": False, "mesh": mesh}
    try:
        core.fit(step, state, Announced(batches, seconds), steps=steps, folder=folder, **options)
    except core.Interrupted as stop:
        print(stop, flush=True)
        sys.exit(75)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
