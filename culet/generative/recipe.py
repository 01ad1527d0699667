"""The numbers of a run of the capacity beta-VAE."""

import dataclasses
from typing import Annotated

from culet.core.settings import Setting


@dataclasses.dataclass(frozen=True)
class CapacityRecipe:
    """How much a code may tell, in nats, and how that grows; and the numbers of the optimiser.

    With `gamma` 0 and `beta` above 0 it is the plain beta-VAE.
    """

    steps: Annotated[int, Setting("Training steps.", min=1)] = 20_000
    batch_size: Annotated[int, Setting("Images per step.", min=1)] = 64
    learning_rate: Annotated[float, Setting("Of Adam.", min=0)] = 1e-3
    latents: Annotated[int, Setting("Numbers in the code.", min=1)] = 10
    capacity: Annotated[float, Setting("Nats that the code may tell in the end.", min=0)] = 25.0
    growth: Annotated[float, Setting("Share of the steps in which the capacity grows.", min=0.01, max=1)] = 0.8
    gamma: Annotated[float, Setting("Pressure on the code to tell just as much.", min=0)] = 100.0
    beta: Annotated[float, Setting("Price of each nat beside that pressure.", min=0)] = 0.0
    seed: Annotated[int, Setting("Of weights, noise and order.", min=0)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError for numbers out of bounds."""
        if self.steps < 1 or self.batch_size < 1 or self.latents < 1:
            raise ValueError("steps, batch size and latents must be at least 1")
        if not 0.01 <= self.growth <= 1:
            raise ValueError(f"growth is {self.growth}; it is a share of the steps, 0.01 to 1")
        for name in ("learning_rate", "capacity", "gamma", "beta"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; it must be a number from 0")

    def capacity_at(self, step: int) -> float:
        """Nats at a step, counted from 0: a line from 0, then level."""
        return self.capacity * min(1.0, step / (self.growth * self.steps))
