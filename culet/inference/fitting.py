"""How a topic model goes over a corpus: minibatches, rates, passes.

Axis letters: D documents, V vocabulary.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jaxtyping import Int

from culet.core.progress import Progress
from culet.core.settings import Setting
from culet.inference.counts import Counts
from culet.inference.svi import robbins_monro


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The numbers of stochastic variational inference. Raises `ValueError` for those that cannot work."""

    passes: Annotated[int, Setting("Passes over the corpus.", min=1)] = 4
    batch_size: Annotated[int, Setting("Documents in a minibatch.", min=1)] = 256
    delay: Annotated[float, Setting("Of the rate (delay + step) ^ -forgetting.", min=1)] = 10.0
    forgetting: Annotated[float, Setting("Its exponent: above 0.5, at most 1.", min=0.5, max=1)] = 0.7
    tolerance: Annotated[float, Setting("A document has converged when it moves less than this.", min=0)] = 1e-3
    iterations: Annotated[int, Setting("Most iterations on a document.", min=1)] = 100
    seed: Annotated[int, Setting("Of the first topics, the order and samples.")] = 0

    def __post_init__(self) -> None:
        robbins_monro(0, self.delay, self.forgetting)
        for name in ("passes", "batch_size", "iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.tolerance >= 0:
            raise ValueError(f"tolerance must be at least 0, not {self.tolerance}")


def minibatches(documents: int, fitting: Fitting) -> Iterator[Int[np.ndarray, "B"]]:
    """Which documents stand in each minibatch: pass after pass in a new order. The last of a pass may be smaller."""
    for number in range(fitting.passes):
        order = np.random.default_rng([fitting.seed, number]).permutation(documents)
        for start in range(0, documents, fitting.batch_size):
            yield order[start : start + fitting.batch_size]


def run(counts: Counts, fitting: Fitting, step: Callable[[Counts], None], name: str, progress: bool) -> None:
    """Calls `step` with every minibatch of `counts` [D, V], with a bar if wanted."""
    steps = fitting.passes * -(-counts.shape[0] // fitting.batch_size)
    if not progress:
        for chosen in minibatches(counts.shape[0], fitting):
            step(counts[chosen])
        return
    with Progress(name, 0, steps) as bar:
        for done, chosen in enumerate(minibatches(counts.shape[0], fitting), start=1):
            step(counts[chosen])
            bar.update(done, None, None)
