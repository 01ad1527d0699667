"""Documents packed into rows, and rows dealt out in an order that is a pure function of the step.

Axis letters: N rows, T tokens in a row, B rows in a batch.
"""

import bisect
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from jaxtyping import Shaped


def pack(
    documents: Iterable[np.ndarray | Sequence[int]],
    length: int,
    weights: Iterable[np.ndarray | Sequence[float | int]] | None = None,
) -> dict[str, Shaped[np.ndarray, "N T"]]:
    """Packs documents into rows of `length` tokens, splitting none that fits into a row.

    Longer ones are cut into pieces of `length` and a rest. Pieces are placed longest first, each into the fullest row
    that still has space (best fit decreasing). Returns rows with the fields

    * `inputs` (int32): the tokens; 0 where padded;
    * `targets` (int32): the token that follows in the same document, also across a cut; 0 where there is none;
    * `positions` (int32): 0, 1, 2, ... from 0 again at the start of each piece; -1 where padded;
    * `weights` (float32): 1 where there is a target, else 0. With `weights`, one array per document: the weight of
      predicting each of its tokens (say 0 for a prompt, 1 for its answer); that of the first token has no use.

    Raises `ValueError` for a document that is not one row of integers, for weights of another length than their
    document, and for a `length` below 1.
    """
    if length < 1:
        raise ValueError(f"Rows need a length of at least 1, not {length}.")
    pieces = []
    given = iter(weights) if weights is not None else None
    for i, document in enumerate(documents):
        tokens = np.asarray(document)
        if tokens.ndim != 1 or (tokens.size and not np.issubdtype(tokens.dtype, np.integer)):
            raise ValueError(f"Document {i} is {tokens.dtype}{list(tokens.shape)}, not a row of integers.")
        weight = np.ones(len(tokens), np.float32) if given is None else np.asarray(next(given, ()), np.float32)
        if weight.shape != tokens.shape:
            raise ValueError(f"Document {i} has {len(tokens)} tokens but {len(weight)} weights.")
        pieces += _pieces(tokens, weight, length)
    if given is not None and next(given, None) is not None:
        raise ValueError("There are more arrays of weights than documents.")
    return _fill(pieces, length)


def _pieces(tokens: np.ndarray, weight: np.ndarray, length: int) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Inputs, targets and weights of one document, cut into pieces of at most `length`."""
    targets = np.append(tokens[1:], 0)
    shifted = np.append(weight[1:], 0)
    cuts = [slice(i, i + length) for i in range(0, len(tokens), length)]
    return [(tokens[cut], targets[cut], shifted[cut]) for cut in cuts]


def _fill(pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]], length: int) -> dict[str, np.ndarray]:
    places, count = _best_fit([len(inputs) for inputs, _, _ in pieces], length)
    rows: dict[str, np.ndarray] = {
        "inputs": np.zeros((count, length), np.int32),
        "targets": np.zeros((count, length), np.int32),
        "positions": np.full((count, length), -1, np.int32),
        "weights": np.zeros((count, length), np.float32),
    }
    for (inputs, targets, weight), (row, start) in zip(pieces, places, strict=True):
        span = slice(start, start + len(inputs))
        rows["inputs"][row, span] = inputs
        rows["targets"][row, span] = targets
        rows["positions"][row, span] = np.arange(len(inputs))
        rows["weights"][row, span] = weight
    return rows


def _best_fit(sizes: list[int], length: int) -> tuple[list[tuple[int, int]], int]:
    """Row and start of each piece, and the number of rows."""
    places = [(0, 0)] * len(sizes)
    open_rows: dict[int, list[int]] = {}  # by the tokens they have left
    spaces: list[int] = []  # the keys of open_rows, sorted
    count = 0
    for piece in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        size = sizes[piece]
        fit = bisect.bisect_left(spaces, size)
        if fit < len(spaces):
            space = spaces[fit]
            row = open_rows[space].pop()
            if not open_rows[space]:
                del open_rows[space], spaces[fit]
        else:
            space, row, count = length, count, count + 1
        places[piece] = (row, length - space)
        left = space - size
        if left and left not in open_rows:
            bisect.insort(spaces, left)
        if left:
            open_rows.setdefault(left, []).append(row)
    return places, count


class Batches:
    """Endless batches of rows: `batches[step]` depends on the seed and the step alone, so a resumed run sees the same.

    Epoch after epoch goes through all rows in a new random order, and a batch may run over the end of an epoch: no row
    is dropped, and none comes twice in an epoch. In a run over several processes each gets the same whole batch, of
    which `culet.core.place` keeps the part for its devices.
    """

    def __init__(self, rows: Mapping[str, Shaped[np.ndarray, "N ..."]], batch_size: int, seed: int = 0):
        """Raises `ValueError` for no rows, fields that differ in their number of rows, or a batch size below 1."""
        counts = {name: len(array) for name, array in rows.items()}
        if len(set(counts.values())) != 1 or 0 in counts.values():
            raise ValueError(f"Batches need at least one row, and as many in every field; got {counts}.")
        if batch_size < 1:
            raise ValueError(f"A batch needs at least one row, not {batch_size}.")
        self.rows = dict(rows)
        self.count = next(iter(counts.values()))
        self.batch_size = batch_size
        self.seed = seed
        self._order = (-1, np.zeros(0, np.int64))

    def __getitem__(self, step: int) -> dict[str, Shaped[np.ndarray, "B ..."]]:
        """The batch of a step, counted from 0. Raises `IndexError` below 0."""
        if step < 0:
            raise IndexError(f"Steps are counted from 0; there is no batch {step}.")
        start = step * self.batch_size
        places = np.arange(start, start + self.batch_size)
        epochs = places // self.count
        chosen = np.concatenate(
            [self._permutation(epoch)[places[epochs == epoch] % self.count] for epoch in np.unique(epochs).tolist()]
        )
        return {name: array[chosen] for name, array in self.rows.items()}

    def _permutation(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            generator = np.random.Generator(np.random.Philox(np.random.SeedSequence([self.seed, epoch])))
            self._order = (epoch, generator.permutation(self.count))
        return self._order[1]
