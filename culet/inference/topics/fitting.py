"""The numbers of stochastic variational inference, the rate of a step, and which documents a step gets.

Light, so that the command line need not wait for jax.

Axis letters: D documents, V vocabulary, B documents of a minibatch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from culet.core.settings import Setting


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """The numbers of stochastic variational inference. Raises `ValueError` for those that cannot work."""

    passes: Annotated[int, Setting("Passes over the corpus.", min=1)] = 4
    batch_size: Annotated[int, Setting("Documents in a minibatch.", min=1)] = 256
    delay: Annotated[float, Setting("Delay of the learning rate (delay + step) ^ -forgetting.", min=1)] = 10.0
    forgetting: Annotated[float, Setting("Exponent of that rate: above 0.5, at most 1.", min=0.5, max=1)] = 0.7
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


def robbins_monro(step: int, delay: float, forgetting: float) -> float:
    """The rate of a step, counted from 0. The steps converge for a `forgetting` above 1/2, up to 1.

    Raises `ValueError` for another `forgetting`, and for a `delay` below 1, with which the first rates would exceed 1.
    """
    if not 0.5 < forgetting <= 1.0:
        raise ValueError(f"forgetting, an exponent, must be above 0.5 and at most 1, not {forgetting}")
    if delay < 1:
        raise ValueError(f"delay must be at least 1, not {delay}")
    return (delay + step) ** -forgetting


class Minibatches:
    """The rows [B, V] of counts [D, V] that each step gets, pass after pass in a new order.

    The last minibatch of a pass may be smaller. Which documents a step gets depends on its number and the seed alone.
    """

    def __init__(self, counts: Any, *, passes: int, batch_size: int, seed: int):
        self.counts, self.passes, self.batch_size, self.seed = counts, passes, batch_size, seed
        self.per_pass = -(-counts.shape[0] // batch_size)
        self._order = (-1, np.zeros(0, np.int64))

    def __len__(self) -> int:
        return self.passes * self.per_pass

    def __iter__(self) -> Iterator[Any]:
        return (self[step] for step in range(len(self)))

    def __getitem__(self, step: int) -> Any:
        """The minibatch of a step, counted from 0. Raises `IndexError` beyond the last one."""
        if not 0 <= step < len(self):
            raise IndexError(f"there are {len(self)} minibatches, counted from 0, and no minibatch {step}")
        number, place = divmod(step, self.per_pass)
        if self._order[0] != number:
            order = np.random.default_rng([self.seed, number]).permutation(self.counts.shape[0])
            self._order = (number, order)
        return self.counts[self._order[1][place * self.batch_size : (place + 1) * self.batch_size]]
