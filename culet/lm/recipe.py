"""The numbers of a training run."""

import dataclasses
from typing import Annotated

from culet.core.settings import LearningRate, Setting, TrainingRecipe

COMPUTE_DTYPES = (None, "float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe(TrainingRecipe):
    """The numbers of a training run, for `culet.lm.train`. Raises ValueError for numbers that do not go together."""

    learning_rate: LearningRate = 1e-3
    compute_dtype: Annotated[str | None, Setting("bfloat16 computes in it; parameters stay float32.")] = None
    remat: Annotated[bool, Setting("Compute activations again in the backward pass; less memory, slower.")] = False
    scan: Annotated[bool, Setting("Compile one period of the layers, not all; compiles faster when deep.")] = False

    def __post_init__(self):
        super().__post_init__()
        if self.compute_dtype not in COMPUTE_DTYPES:
            raise ValueError(f"compute_dtype is {self.compute_dtype!r}; it must be bfloat16, float32 or None")
