"""Counts of words in documents: checked, and dealt into blocks of few shapes, so that little is compiled.

Axis letters: D documents, V vocabulary, R rows of a block, W word slots of a row.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Array, Float32, Int32

if TYPE_CHECKING:
    Counts = Any  # scipy's matrices have no types: to a checker their shape may be None
else:
    Counts = scipy.sparse.csr_matrix
"""Documents by words [D, V]: how often each word stands in each document, as scipy's compressed rows of float32."""

ROWS = 16  # of a block: few, so that a slow document delays few others
_NARROWEST = 16


class Block(NamedTuple):
    """Documents of similar length as rows. Slots behind a document's last word hold word 0 with count 0."""

    words: Int32[Array | np.ndarray, "R W"]
    counts: Float32[Array | np.ndarray, "R W"]


def as_counts(counts: Any, vocabulary: int | None = None) -> Counts:
    """Sparse or dense counts [D, V] in the one form that is used here, with no word twice in a row and no zeros kept.

    Raises `ValueError` for what is not a matrix, has no documents or no words, holds a number that is negative, not
    finite or not whole, and for another number of words than `vocabulary`.
    """
    if not scipy.sparse.issparse(counts):
        counts = np.asarray(counts)
        if counts.ndim != 2 or not (np.issubdtype(counts.dtype, np.number) or counts.dtype == bool):
            raise ValueError(
                f"counts must be a matrix of numbers, documents by words; this is {counts.dtype}{list(counts.shape)}"
            )
    matrix: Counts = scipy.sparse.csr_matrix(counts, dtype=np.float32, copy=True)
    matrix.sum_duplicates()
    if 0 in matrix.shape:
        raise ValueError(f"an empty corpus: {matrix.shape[0]} documents over a vocabulary of {matrix.shape[1]} words")
    _check_values(matrix)
    matrix.eliminate_zeros()
    if matrix.nnz == 0:
        raise ValueError(f"an empty corpus: none of the {matrix.shape[0]} documents holds a word of the vocabulary")
    if vocabulary is not None and matrix.shape[1] != vocabulary:
        raise ValueError(
            f"these counts have {matrix.shape[1]} words and the model has {vocabulary}; count with its vocabulary"
        )
    return matrix


def _check_values(matrix: Counts) -> None:
    for bad, what in (
        (~np.isfinite(matrix.data), "is not finite"),
        (matrix.data < 0, "is negative"),
        (matrix.data != np.floor(matrix.data), "is not a whole number"),
    ):
        if bad.any():
            place = int(np.argmax(bad))
            row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
            raise ValueError(
                f"counts must be whole numbers from 0 on; that of document {row}, word {matrix.indices[place]} "
                f"{what}: {matrix.data[place]:g}"
            )


def blocks(counts: Counts, rows: int = ROWS) -> tuple[list[Block], np.ndarray]:
    """All documents, from short to long, in blocks of `rows`; and the document of each row, one block after another.

    Widths are 16, 24, 32, 48, 64, ..., so that a corpus knows some ten shapes. The last block is filled with rows of
    no words, which the returned order [D] does not name.
    """
    lengths = np.diff(counts.indptr)
    order = np.argsort(lengths, kind="stable")
    return [_block(counts[order[i : i + rows]], rows) for i in range(0, len(order), rows)], order


def token_blocks(counts: Counts, rows: int) -> tuple[list[Block], np.ndarray]:
    """The same with a slot for every token: a word that stands in a document three times has three slots of count 1."""
    each = counts.data.astype(np.int64)
    ends = np.concatenate([[0], np.cumsum(each)])[counts.indptr]
    words = np.repeat(counts.indices, each)
    tokens = scipy.sparse.csr_matrix((np.ones(len(words), np.float32), words, ends), shape=counts.shape)
    return blocks(tokens, rows)


def _block(documents: Counts, rows: int) -> Block:
    lengths = np.zeros(rows, np.int64)
    lengths[: documents.shape[0]] = np.diff(documents.indptr)
    filled = np.arange(_width(int(lengths.max())))[None, :] < lengths[:, None]
    words, numbers = np.zeros(filled.shape, np.int32), np.zeros(filled.shape, np.float32)
    words[filled], numbers[filled] = documents.indices, documents.data
    return Block(words, numbers)


def _width(length: int) -> int:
    """The least of 16, 24, 32, 48, 64, 96, ... that is not below `length`."""
    width = _NARROWEST
    while width < length:
        width = width * 3 // 2 if width & (width - 1) == 0 else width * 4 // 3
    return width
