"""The numbers of a training run."""

import dataclasses
from typing import Annotated

from culet.core.settings import Setting

COMPUTE_DTYPES = (None, "float32", "bfloat16")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Recipe:
    """The numbers of a training run. Raises ValueError for numbers that do not go together."""

    steps: Annotated[int, Setting("Training steps.", min=1)] = 1000
    batch_size: Annotated[int, Setting("Rows per step, over all devices.", min=1)] = 16
    learning_rate: Annotated[float, Setting("Its peak, after the warm-up; a cosine follows.", min=0)] = 1e-3
    warmup: Annotated[float, Setting("Share of the steps for the warm-up.", min=0, max=0.9)] = 0.05
    weight_decay: Annotated[float, Setting("AdamW's, on matrices.", min=0)] = 0.1
    clip: Annotated[float, Setting("Bound on the gradient's norm.", min=0)] = 1.0
    micro_batches: Annotated[int, Setting("Do a batch in this many parts, to save memory.", min=1)] = 1
    compute_dtype: Annotated[str | None, Setting("bfloat16 computes in it; parameters and sums stay float32.")] = None
    remat: Annotated[bool, Setting("Compute activations again going backward, to save memory.")] = False
    scan: Annotated[bool, Setting("Compile one period of the layers in place of all; quicker when deep.")] = False
    checkpoint_every: Annotated[int, Setting("Steps between checkpoints.", min=1)] = 200
    evaluate_every: Annotated[int, Setting("Steps between evaluations.", min=1)] = 200
    seed: Annotated[int, Setting("Of weights, data order and everything else.")] = 0

    def __post_init__(self):
        if self.compute_dtype not in COMPUTE_DTYPES:
            raise ValueError(f"compute dtype {self.compute_dtype!r} is neither bfloat16 nor float32")
        if self.batch_size % self.micro_batches:
            raise ValueError(f"a batch of {self.batch_size} cannot be cut into {self.micro_batches} micro-batches")
