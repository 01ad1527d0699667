"""How a topic model goes over a corpus: minibatches, pass after pass.

Axis letters: D documents, V vocabulary, B documents of a minibatch.
"""

from collections.abc import Callable, Iterator

import numpy as np
from jaxtyping import Int

from culet.core.progress import Progress
from culet.inference.topics.counts import Counts
from culet.inference.topics.fitting import Fitting


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
