"""What people said follows from a text: the sets that judge a scorer of entailment, and how well it ranks them.

Each is read from the folder that CULET_DATA names. The annotations of hallucinations in XSum summaries (2005.00661) are
not among them: they come without the documents, so that there is nothing from which a summary could follow.

Axis letters: N statements.
"""

import csv
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float

from culet.align.rewards.examples import Statement
from culet.core.text import data_file, read_objects, read_text


def human_statements(name: str) -> list[Statement]:
    """The statements of one of `HUMAN_SETS`, their labels the fraction of people who said that it follows.

    * "qags-cnndm", "qags-xsum": sentences of summaries and their articles, three judges each (2004.04228);
    * "begin-wow-dev", "begin-wow-test": responses and the passage they should rest on (2105.00071), without the few
      called generic;
    * "rte-train", "rte-dev": the two-way textual entailment of GLUE (1804.07461);
    * "med": monotonicity, where what follows hangs on one word (1906.06448).

    Raises ValueError for another name or a broken file, and FileNotFoundError where the file is not there.
    """
    if name not in _READERS:
        raise ValueError(f"no set of human labels is called {name!r}; there are {', '.join(HUMAN_SETS)}")
    try:
        return list(_READERS[name]())
    except KeyError as missing:
        raise ValueError(f"the file of {name} has no field {missing}; is it the published one?") from None


def area_under_curve(scores: Float[np.ndarray, "N"], positive: Bool[np.ndarray, "N"]) -> float:
    """The probability that a positive example scores above a negative one, ties counted half (Mann and Whitney 1947).

    It is the area under the curve of true against false positives. Raises ValueError unless there are examples of both
    kinds and every score is a number.
    """
    if np.isnan(scores).any():
        raise ValueError(f"score {int(np.flatnonzero(np.isnan(scores))[0])} is NaN; it cannot be ranked")
    if positive.all() or not positive.any():
        raise ValueError("the area under the curve needs positive and negative examples")
    below = np.sort(scores[~positive])
    above = scores[positive]
    wins = np.searchsorted(below, above, "left") + np.searchsorted(below, above, "right")
    return float(wins.mean(dtype=np.float64) / (2 * len(below)))


def _qags(file: str) -> Iterator[Statement]:
    for _, data in read_objects(data_file("qags", file)):
        for judged in data["summary_sentences"]:
            said = [response["response"] == "yes" for response in judged["responses"]]
            yield Statement(premise=data["article"], hypothesis=judged["sentence"], label=sum(said) / len(said))


def _table(
    parts: Sequence[str], premise: str, hypothesis: str, label: str, labels: dict[str, float]
) -> Iterator[Statement]:
    """The rows of a tab-separated file whose label is among `labels`."""
    lines = read_text(data_file(*parts)).split("\n")
    for row in csv.DictReader((line for line in lines if line), delimiter="\t", quoting=csv.QUOTE_NONE):
        if row[label] in labels:
            yield Statement(premise=row[premise], hypothesis=row[hypothesis], label=labels[row[label]])


def _begin(part: str) -> Iterator[Statement]:
    labels = {"Fully attributable": 1.0, "Not fully attributable": 0.0}
    return _table(("begin-wow", f"begin_{part}_wow.tsv.gz"), "knowledge", "response", "begin_label", labels)


def _rte(part: str) -> Iterator[Statement]:
    labels = {"entailment": 1.0, "not_entailment": 0.0}
    return _table(("rte", f"{part}.tsv.gz"), "sentence1", "sentence2", "label", labels)


def _med() -> Iterator[Statement]:
    labels = {"entailment": 1.0, "neutral": 0.0}
    return _table(("med-nli", "MED.tsv.gz"), "sentence1", "sentence2", "gold_label", labels)


_READERS: dict[str, Callable[[], Iterator[Statement]]] = {
    "qags-cnndm": lambda: _qags("mturk_cnndm.jsonl.gz"),
    "qags-xsum": lambda: _qags("mturk_xsum.jsonl.gz"),
    "begin-wow-dev": lambda: _begin("dev"),
    "begin-wow-test": lambda: _begin("test"),
    "rte-train": lambda: _rte("train"),
    "rte-dev": lambda: _rte("dev"),
    "med": _med,
}
HUMAN_SETS = tuple(_READERS)
