"""The numbers of a run of the capacity beta-VAE. Light, so that the command line need not wait for jax."""

import dataclasses
from typing import Annotated

from culet.core.settings import Setting, Steps


@dataclasses.dataclass(frozen=True)
class CapacityRecipe:
    """The loss `error + beta * KL + gamma * abs(KL - C)`, whose capacity C grows, and the numbers of the optimiser.

    KL is that of the code from its prior, in nats per image. With `gamma` 0 and `beta` above 0 it is the plain
    beta-VAE (Burgess and others 2018, 1804.03599, equation 8).
    """

    steps: Steps = 20_000
    batch_size: Annotated[int, Setting("Images per step.", min=1)] = 64
    learning_rate: Annotated[float, Setting("Of Adam.", min=0)] = 1e-3
    cooling: Annotated[float, Setting("Last part of the steps, over which the rate falls to 2%.", min=0, max=1)] = 0.0
    latents: Annotated[int, Setting("Numbers in the code.", min=1)] = 10
    capacity: Annotated[float, Setting("Final capacity C of the code, in nats per image.", min=0)] = 25.0
    growth: Annotated[float, Setting("First part of the steps, over which C grows from 0.", min=0.01, max=1)] = 0.8
    gamma: Annotated[float, Setting("Weight of abs(KL - C) in the loss.", min=0)] = 100.0
    beta: Annotated[float, Setting("Weight of the KL itself in the loss.", min=0)] = 0.0
    seed: Annotated[int, Setting("Of weights, noise and order.", min=0)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError for numbers out of bounds."""
        if self.steps < 1 or self.batch_size < 1 or self.latents < 1:
            raise ValueError("steps, batch_size and latents must be at least 1")
        if not 0.01 <= self.growth <= 1:
            raise ValueError(f"growth is {self.growth}; it is a part of the steps, 0.01 to 1")
        if not 0 <= self.cooling <= 1:
            raise ValueError(f"cooling is {self.cooling}; it is a part of the steps, 0 to 1")
        for name in ("learning_rate", "capacity", "gamma", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a finite number, at least 0")

    def weights_at(self, step: int) -> dict[str, float]:
        """`beta`, `gamma` and `capacity` at a step, counted from 0: the capacity follows a line from 0, then stays."""
        grown = min(1.0, step / (self.growth * self.steps))
        return {"beta": self.beta, "gamma": self.gamma, "capacity": self.capacity * grown}
