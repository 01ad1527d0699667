"""LDA beside scikit-learn and gensim: `python -m benchmarks.topics`. Needs both, and no transformers.

One pass over the sources of the standard library (60-line chunks), and one over the AP corpus of `CULET_DATA`: 50
topics, minibatches of 256, the same priors, rates, order of documents and stopping rule: a document has converged when
its gamma moves by less than 1e-3 on average, after 100 iterations at most. Each turn has another seed, for the score of
one pass depends on where it began. Bar: four times the documents per second of each peer, at a held-out score (document
completion of 1,000 documents, of AP 246, by one evaluator, nats per word, mean over the turns) that is at most 0.01
below the better one.
"""

import os
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import arguments, by_turns, report, seconds
from culet.inference import LDA, count_words, document_completion, python_sources, read_corpus

TOPICS, HELD_OUT, HELD_OUT_NEWS = 50, 1000, 246
SETTINGS = LDA(TOPICS, passes=1)
Fitted = list[Any]  # the topics [K, V] of each turn, whose seed is its number


def ours(counts: Any, fitted: Fitted) -> Callable[[], Mapping[str, float]]:
    def fit() -> None:
        model = LDA(TOPICS, passes=1, seed=len(fitted)).fit(counts)
        fitted.append(np.asarray(model.beta))

    return lambda: {"pass": seconds(fit)}


def scikit_learn(counts: Any, fitted: Fitted) -> Callable[[], Mapping[str, float]]:
    from sklearn.decomposition import LatentDirichletAllocation

    def fit() -> None:
        model = LatentDirichletAllocation(
            TOPICS, learning_method="online", max_iter=1, batch_size=SETTINGS.batch_size,
            learning_offset=SETTINGS.delay, learning_decay=SETTINGS.forgetting, total_samples=counts.shape[0],
            mean_change_tol=SETTINGS.tolerance, max_doc_update_iter=SETTINGS.iterations, random_state=len(fitted),
        ).fit(counts)  # fmt: skip
        fitted.append(model.components_)

    return lambda: {"pass": seconds(fit)}


def gensim(counts: Any, fitted: Fitted) -> Callable[[], Mapping[str, float]]:
    from gensim.models import LdaModel

    rows = [list(zip(row.indices.tolist(), row.data.tolist(), strict=True)) for row in counts]
    names = {i: str(i) for i in range(counts.shape[1])}

    def fit() -> None:
        model = LdaModel(
            rows, TOPICS, names, chunksize=SETTINGS.batch_size, alpha=1 / TOPICS, eta=1 / TOPICS, eval_every=None,
            offset=SETTINGS.delay, decay=SETTINGS.forgetting, iterations=SETTINGS.iterations,
            gamma_threshold=SETTINGS.tolerance, random_state=len(fitted),
        )  # fmt: skip
        fitted.append(model.get_topics())

    return lambda: {"pass": seconds(fit)}


def corpora(quick: bool) -> Iterator[tuple[str, Any, Any]]:
    """The name of each corpus, documents to learn from, and documents kept back."""
    random = np.random.default_rng(0)
    sources = count_words(python_sources()).counts
    order = random.permutation(sources.shape[0])
    train = sources[order[HELD_OUT:]]
    yield "standard library", train[:2048] if quick else train, sources[order[:HELD_OUT]]
    if "CULET_DATA" not in os.environ:
        print("without CULET_DATA, a folder with ap/ap.dat.gz, the AP corpus is left out")
        return
    news = read_corpus([Path(os.environ["CULET_DATA"]) / "ap" / "ap.dat.gz"]).counts
    order = random.permutation(news.shape[0])
    yield "AP", news[order[HELD_OUT_NEWS:]], news[order[:HELD_OUT_NEWS]]


def compare(train: Any, held_out: Any, repeats: int) -> tuple[list[list[Any]], dict[str, Any]]:
    """The rows of a table, and the same for the last line."""
    fitted: dict[str, Fitted] = {"ours": [], "scikit-learn": [], "gensim": []}
    makers = {"ours": ours, "scikit-learn": scikit_learn, "gensim": gensim}
    found, first = by_turns({name: make(train, fitted[name]) for name, make in makers.items()}, repeats)
    prior = np.full(TOPICS, 1 / TOPICS)
    rows, result = [], {"first_seconds": first["ours"], "documents": train.shape[0], "tokens": int(train.sum())}
    for name, turns in fitted.items():
        speed = train.shape[0] / statistics.median(found[f"{name} pass"])
        pairs = zip(found[f"{name} pass"], found["ours pass"], strict=True)
        times = statistics.median(theirs / own for theirs, own in pairs)
        scores = [document_completion(beta / beta.sum(axis=1, keepdims=True), prior, held_out) for beta in turns]
        score = statistics.mean(scores)
        rows.append([name, speed, times, score])
        result[name] = {"documents_per_second": speed, "ours_is_faster": times, "held_out": score}
    return rows, result


def main() -> None:
    """One table."""
    chosen = arguments(__doc__)
    warnings.simplefilter("ignore")  # gensim tells of documents that did not converge
    rows, result = [], {}
    for name, train, held_out in corpora(chosen.quick):
        found, result[name] = compare(train, held_out, chosen.repeats)
        rows += [[name, *row] for row in found]
    report("topics", ["corpus", "what", "documents/s", "ours is faster (bar 4)", "held-out nats/word"], rows, result)


if __name__ == "__main__":
    main()
