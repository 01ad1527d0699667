"""From texts to counts: words, a vocabulary, the files that corpora come in, and counts in blocks of few shapes.

Axis letters: D documents, V vocabulary, R rows of a block, W word slots of a row.
"""

import re
import sysconfig
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Array, Float32, Int32

from culet.core.text import find_files, read_objects, read_text, text_field

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
    for bad, fault in (
        (~np.isfinite(matrix.data), "is not finite"),
        (matrix.data < 0, "is negative"),
        (matrix.data != np.floor(matrix.data), "is not a whole number"),
    ):
        if bad.any():
            place = int(np.argmax(bad))
            row = int(np.searchsorted(matrix.indptr, place, side="right")) - 1
            raise ValueError(
                f"counts must be whole numbers from 0 on; that of document {row}, word {matrix.indices[place]} "
                f"{fault}: {matrix.data[place]:g}"
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


_PLAIN = (".txt", ".md", ".rst", ".py")
_LDA_C = (".dat", ".ldac", ".lda-c")
_ENDINGS = tuple(kind + gz for kind in (*_PLAIN, ".jsonl", *_LDA_C) for gz in ("", ".gz"))
_WORD = re.compile(r"[^\W\d_]{3,}")  # letters of any script; underscores and digits part words
CHUNK_LINES = 60

_STOP_WORDS = """
about above after again all also and another any are because been before being below between both but can cannot
could did does doing down during each either else every few for from further get had has have having her here hers
him his how however into its itself just may might more most much must neither nor not now off once one only onto
other others our ours out over own per rather same shall she should since some still such than that the their theirs
them then there therefore these they this those though through thus too two under until upon very was were what when
where whether which while who whom whose why will with within without would yet you your yours
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())
"""English words that stand in texts about anything."""


@dataclass(frozen=True)
class Corpus:
    """Counts [D, V], the word of each column, and the title of each row."""

    counts: Counts
    vocabulary: tuple[str, ...]
    titles: tuple[str, ...]


def words_of(text: str) -> list[str]:
    """The words of a text in lower case: runs of at least three letters."""
    return _WORD.findall(text.lower())


def count_words(
    texts: Iterable[tuple[str, str]], min_documents: int = 5, stop_words: Iterable[str] = (), most_share: float = 1.0
) -> Corpus:
    """A corpus from titles and texts, which are read once and not kept.

    The vocabulary holds, in alphabetical order, the words that stand in at least `min_documents` documents and in at
    most the part `most_share` of all, without the `stop_words`. Documents that have none of them stay, as empty rows.

    Raises `ValueError` when there are no texts or no word is left.
    """
    ids: dict[str, int] = {}
    titles: list[str] = []
    columns, ends = array("i"), array("q", [0])
    for title, text in texts:
        titles.append(title)
        columns.extend([ids.setdefault(word, len(ids)) for word in words_of(text)])
        ends.append(len(columns))
    if not titles:
        raise ValueError("an empty corpus: there are no documents")
    ones = np.ones(len(columns), np.float32)
    places = (ones, np.frombuffer(columns, np.int32), np.frombuffer(ends, np.int64))
    counts = scipy.sparse.csr_matrix(places, shape=(len(titles), len(ids)))
    counts.sum_duplicates()
    seen_in = np.bincount(counts.indices, minlength=len(ids))
    stopped = frozenset(stop_words)
    most = most_share * len(titles)
    kept = sorted(word for word, i in ids.items() if min_documents <= seen_in[i] <= most and word not in stopped)
    if not kept:
        raise ValueError(
            f"an empty corpus: of {len(ids)} words in {len(titles)} documents none stands in at least {min_documents} "
            f"and at most {most:g} of them and is no stop word; ask for fewer documents, or give more text"
        )
    return Corpus(as_counts(counts[:, [ids[word] for word in kept]]), tuple(kept), tuple(titles))


def recount(texts: Iterable[tuple[str, str]], vocabulary: Sequence[str]) -> Corpus:
    """A corpus over a given vocabulary; other words are passed over. Raises `ValueError` when it is empty."""
    ids = {word: i for i, word in enumerate(vocabulary)}
    titles: list[str] = []
    rows, columns = array("i"), array("i")
    for title, text in texts:
        known = [ids[word] for word in words_of(text) if word in ids]
        columns.extend(known)
        rows.extend([len(titles)] * len(known))
        titles.append(title)
    entries = (np.ones(len(columns), np.float32), (np.array(rows), np.array(columns)))
    counts = scipy.sparse.csr_matrix(entries, shape=(len(titles), len(ids)))
    return Corpus(as_counts(counts), tuple(vocabulary), tuple(titles))


def read_corpus(
    paths: Iterable[str | Path],
    *,
    min_documents: int = 5,
    stop_words: Iterable[str] = STOP_WORDS,
    most_share: float = 1.0,
    vocabulary: Sequence[str] | None = None,
) -> Corpus:
    """The corpus in files and folders, any of them gzipped.

    * `.txt`, `.md`, `.rst`, `.py`: each file is a document.
    * `.jsonl`: each line is one, an object with the text in "text".
    * `.dat`, `.ldac`: one file in the format of LDA-C (`read_lda_c`), of which `vocabulary` are the words. Its words
      are taken as they are: the other options are for texts.

    With a `vocabulary`, texts are counted over it (`recount`), else as `count_words` does.

    Raises `FileNotFoundError` for what does not exist, and `ValueError`, naming file and line, for what cannot be read,
    for an LDA-C file among others, and for a corpus that is empty.
    """
    files = find_files(paths, _ENDINGS)
    tables = [file for file in files if _kind(file) in _LDA_C]
    if tables and len(files) > 1:
        raise ValueError(f"{tables[0]}: a file of LDA-C is a whole corpus; it cannot be read together with others")
    if tables:
        return read_lda_c(tables[0], vocabulary)
    texts = _texts(files)
    if vocabulary is not None:
        return recount(texts, vocabulary)
    return count_words(texts, min_documents, stop_words, most_share)


def _kind(file: Path) -> str:
    return Path(file.name.removesuffix(".gz")).suffix


def _texts(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for file in files:
        if _kind(file) == ".jsonl":
            yield from ((where, text_field(data, "text", where)) for where, data in read_objects(file))
        else:
            yield str(file), read_text(file)


def read_vocabulary(file: str | Path) -> tuple[str, ...]:
    """The words of a file with one in each line. Raises `OSError` or `ValueError` as reading text does."""
    return tuple(word.strip() for word in read_text(Path(file)).rstrip("\n").split("\n"))


def read_lda_c(file: str | Path, vocabulary: Sequence[str] | None = None) -> Corpus:
    """A corpus as Blei's LDA-C keeps it: a line per document, `M word:count word:count ...`, words as numbers from 0.

    Without a `vocabulary` words are called by their numbers.

    Raises `ValueError`, naming the line, where it does not have the M pairs that it announces (as the last line of a
    file that was cut short), for what are not whole numbers, and for a word beyond the vocabulary.
    """
    words, numbers, ends = array("i"), array("i"), [0]
    for number, line in enumerate(read_text(Path(file)).rstrip("\n").split("\n"), start=1):
        first, *texts = line.split() or [""]
        try:
            announced, pairs = int(first), [tuple(map(int, pair.split(":"))) for pair in texts]
            if any(len(pair) != 2 or pair[0] < 0 or not 0 <= pair[1] < 2**31 for pair in pairs):
                raise ValueError
        except ValueError:
            raise ValueError(f"{file}:{number}: not a line of LDA-C, which reads: 2 17:1 304:5") from None
        if announced != len(pairs):
            raise ValueError(
                f"{file}:{number}: announces {announced} words and has {len(pairs)}; was the file cut short?"
            )
        top = max((word for word, _ in pairs), default=0)
        if top >= (2**31 if vocabulary is None else len(vocabulary)):
            size = "2^31" if vocabulary is None else len(vocabulary)
            raise ValueError(f"{file}:{number}: has word {top}, but the vocabulary has only {size}")
        words.extend([word for word, _ in pairs])
        numbers.extend([count for _, count in pairs])
        ends.append(len(words))
    size = len(vocabulary) if vocabulary is not None else max(words, default=-1) + 1
    entries = (np.array(numbers, np.float32), np.array(words, np.int32), np.array(ends))
    counts = as_counts(scipy.sparse.csr_matrix(entries, shape=(len(ends) - 1, size)))
    names = tuple(vocabulary) if vocabulary is not None else tuple(map(str, range(size)))
    return Corpus(counts, names, tuple(f"{file}:{line}" for line in range(1, len(ends))))


def python_sources() -> Iterator[tuple[str, str]]:
    """The sources of the standard library of this Python in chunks of 60 lines, as titles and texts.

    A corpus that every machine has. Some ten or fifteen thousand documents, by version and by whether the tests of the
    library are there. Files that are not UTF-8 are left out. Raises `FileNotFoundError` without sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    skipped = {"site-packages", "dist-packages", "__pycache__"}
    files = [path for path in sorted(root.rglob("*.py")) if skipped.isdisjoint(path.relative_to(root).parts)]
    if not files:
        raise FileNotFoundError(f"{root}: no sources of the standard library; use a Python that brings them along")
    for path in files:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except UnicodeDecodeError:
            continue
        for start in range(0, len(lines), CHUNK_LINES):
            name = f"{path.relative_to(root).as_posix()}:{start + 1}"
            yield name, "\n".join(lines[start : start + CHUNK_LINES])
