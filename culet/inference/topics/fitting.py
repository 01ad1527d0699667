"""The numbers of stochastic variational inference. Light, so that the command line need not wait for jax."""

from dataclasses import dataclass
from typing import Annotated

from culet.core.settings import Setting


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


def robbins_monro(step: int, delay: float, forgetting: float) -> float:
    """The rate of a step, counted from 0. The steps converge for a `forgetting` above 1/2, up to 1.

    Raises `ValueError` for another `forgetting`, and for a `delay` below 1, with which the first rates would exceed 1.
    """
    if not 0.5 < forgetting <= 1.0:
        raise ValueError(f"the exponent of forgetting must be above 0.5 and at most 1, not {forgetting}")
    if delay < 1:
        raise ValueError(f"the delay must be at least 1, not {delay}")
    return (delay + step) ** -forgetting
