"""Numbers that a user may set: a dataclass says once, for Python and command line, what each means and its bounds."""

import dataclasses
from typing import Annotated, NamedTuple


class Setting(NamedTuple):
    """Stands beside the type of a dataclass's field: `steps: Annotated[int, Setting("Training steps.", min=1)]`."""

    help: str
    min: float | None = None
    max: float | None = None


PEAK = Setting("Its peak, after the warm-up; a cosine follows.", min=0)  # of the learning rate

# Fields of several recipes, for one that has another default: `steps: Steps = 200`.
Steps = Annotated[int, Setting("Training steps.", min=1)]
BatchSize = Annotated[int, Setting("Rows per step, over all devices together.", min=1)]
LearningRate = Annotated[float, PEAK]
Warmup = Annotated[float, Setting("Fraction of the steps in which the learning rate rises.", min=0, max=0.9)]
WeightDecay = Annotated[float, Setting("Weight decay of AdamW; of matrices only.", min=0)]
CheckpointEvery = Annotated[int, Setting("Steps between checkpoints.", min=1)]
EvaluateEvery = Annotated[int, Setting("Steps between evaluations.", min=1)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingRecipe:
    """The numbers of every training run: what the optimiser is, and how often the run is saved and evaluated.

    A recipe of one kind of training inherits from it, adds its own, and declares a field again where its default or
    meaning is another. `optimizer_of(recipe)` is the optimiser. Raises ValueError for numbers that do not go together.
    """

    steps: Steps = 1000
    batch_size: BatchSize = 16
    learning_rate: Annotated[float | None, PEAK] = 1e-3
    warmup: Warmup = 0.05
    weight_decay: WeightDecay = 0.1
    clip: Annotated[float, Setting("Largest norm of the gradient; a larger one is scaled down to it.", min=0)] = 1.0
    micro_batches: Annotated[int, Setting("Compute a batch in this many parts: less memory, same result.", min=1)] = 1
    checkpoint_every: CheckpointEvery = 200
    evaluate_every: EvaluateEvery = 200
    seed: Annotated[int, Setting("Seed of new weights, the order of the data and all else that is random.")] = 0

    def __post_init__(self):
        if self.batch_size % self.micro_batches:
            raise ValueError(
                f"batch_size is {self.batch_size}, which does not divide into {self.micro_batches} micro-batches; "
                "micro_batches must be a factor of it"
            )
