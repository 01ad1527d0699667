"""The numbers of a training run."""

import dataclasses
from typing import Annotated

from culet.core.settings import LearningRate, Setting, TrainingRecipe

COMPUTE_DTYPES = (None, "float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(TrainingRecipe):
    """The numbers of a training run. Raises ValueError for numbers that do not go together."""

    learning_rate: LearningRate = 1e-3
    compute_dtype: Annotated[str | None, Setting("bfloat16 computes in it; parameters and sums stay float32.")] = None
    remat: Annotated[bool, Setting("Compute activations again going backward, to save memory.")] = False
    scan: Annotated[bool, Setting("Compile one period of the layers in place of all; quicker when deep.")] = False

    def __post_init__(self):
        super().__post_init__()
        if self.compute_dtype not in COMPUTE_DTYPES:
            raise ValueError(f"compute dtype {self.compute_dtype!r} is neither bfloat16 nor float32")
