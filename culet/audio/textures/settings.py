"""The numbers of a texture synthesis."""

import dataclasses
from typing import Annotated

from culet.core.settings import Setting


@dataclasses.dataclass(frozen=True)
class TextureSettings:
    """Weights of the three terms of the loss, and sizes. A weight of 0 leaves its term out."""

    gram: Annotated[float, Setting("Weight of the timbre: which features sound together.", min=0)] = 1.0
    rhythm: Annotated[float, Setting("Weight of the rhythm: autocorrelations of features.", min=0)] = 1.0
    diversity: Annotated[float, Setting("Weight of being unlike the source at any shift.", min=0)] = 0.1
    iterations: Annotated[int, Setting("Steps of L-BFGS at most.", min=1)] = 500
    filters: Annotated[int, Setting("Random filters of each width.", min=1)] = 128
    widths: Annotated[int, Setting("How many widths of filters: 2, 4, 8, ... frames.", min=1, max=8)] = 6
    rate: Annotated[int, Setting("Samples per second to work at.", min=1000)] = 16000
    window: Annotated[int, Setting("Samples in a window of the spectrogram; a multiple of 4.", min=16)] = 512
    phase_iterations: Annotated[int, Setting("Iterations of Griffin and Lim for the phase.", min=1)] = 100
    seed: Annotated[int, Setting("Of the filters, the start and the phases.", min=0)] = 0

    def __post_init__(self) -> None:
        """Raises ValueError for numbers out of bounds."""
        for name in ("gram", "rhythm", "diversity"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} is {getattr(self, name)}; a weight is a number from 0")
        if not (self.gram or self.rhythm):
            raise ValueError("gram and rhythm are both 0; one of them must say what to sound like")
        for name in ("iterations", "filters", "widths", "phase_iterations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed is {self.seed}; it must be at least 0")
        if self.rate < 1000 or self.window < 16 or self.window % 4:
            raise ValueError(f"a rate of {self.rate} Hz with windows of {self.window}: at least 1000, and 16 in fours")
