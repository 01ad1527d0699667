"""`culet topics`: the topics of a collection of texts."""

import dataclasses
import shutil
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from culet.cli.options import with_options
from culet.inference.topics.fitting import Fitting

if TYPE_CHECKING:
    from culet.inference import Corpus
    from culet.inference.topics.models import TopicModel

CURVE_DOCUMENTS = 512  # held-out documents, at most, of the loss that is logged while it learns


class Model(StrEnum):
    """Kinds of topic models, as the option names them."""

    lda = "lda"
    hdp = "hdp"


def register(app: typer.Typer) -> None:
    """Adds this file's command."""
    app.command("topics")(with_options(topics))


def topics(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Files or folders: .txt, .md, .rst, .py, .jsonl with a text a line, one .dat of LDA-C; gzipped too.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="Folder for the model, its topics in words and pictures. A stopped run goes on here.")
    ] = Path("topics"),
    model: Annotated[Model, typer.Option(help="lda, or hdp, which infers how many topics there are.")] = Model.lda,
    topics: Annotated[
        int | None, typer.Option(help="How many topics; for hdp the most. Default 50, hdp 150.", min=2)
    ] = None,
    sparse: Annotated[bool, typer.Option("--sparse", help="LDA by sampling: slower, often better topics.")] = False,
    words: Annotated[int, typer.Option(help="Words to print of each topic.", min=1)] = 10,
    min_documents: Annotated[int, typer.Option(help="Leave out words that fewer documents have.", min=1)] = 5,
    max_share: Annotated[
        float, typer.Option(help="Leave out words that more than this part of the documents have.", min=0, max=1)
    ] = 0.5,
    stop_words: Annotated[
        Path | None, typer.Option(help="A file of words to leave out. Default: English ones.")
    ] = None,
    vocabulary: Annotated[Path | None, typer.Option(help="The words of an LDA-C file, one on each line.")] = None,
    held_out: Annotated[float, typer.Option(help="Part of the documents to score on.", min=0, max=0.9)] = 0.1,
    load: Annotated[
        Path | None, typer.Option(help="Do not learn: give the topics of the texts by this saved model.")
    ] = None,
    *,
    fitting: Fitting,
) -> None:
    """Learns the topics of texts: words that stand together, and how much each document has of them.

    Prints the topics, the largest first, and the held-out score: half of the words of documents that were not learned
    from are shown, and the score is the mean log-probability of the others. Writes to --out the model (topics.json,
    topics.safetensors), topics.txt, topics.png, and of the run log.jsonl and loss.png, the held-out loss over the
    steps. Stopped by Ctrl-C or a signal, the same command goes on where it was.

    [dim]culet topics notes/ --topics 20[/]
    [dim]culet topics articles.jsonl --model hdp --out runs/topics[/]
    [dim]culet topics ap.dat.gz --vocabulary vocab.txt --sparse --passes 10[/]
    [dim]culet topics new/ --load runs/topics[/]
    """
    from rich.console import Console

    from culet.inference.topics.corpus import STOP_WORDS, read_corpus, read_vocabulary

    if sparse and model is not Model.lda:
        raise ValueError("--sparse goes with --model lda only")
    if load is not None:
        return _score(load, paths)
    stopped = STOP_WORDS if stop_words is None else read_vocabulary(stop_words)
    names = None if vocabulary is None else read_vocabulary(vocabulary)
    with Console(stderr=True).status("reading and counting words"):
        corpus = read_corpus(
            paths, min_documents=min_documents, stop_words=stopped, most_share=max_share, vocabulary=names
        )
    train, test = _split(corpus, held_out, fitting.seed)
    curve = test[:CURVE_DOCUMENTS] if test.nnz else None
    fitted = _new(model, sparse, topics, fitting).fit(train, held_out=curve, folder=out, progress=True)
    _report(fitted, corpus, test, words, out)
    shutil.rmtree(out / "checkpoints")  # all that is in them is in the model


def _new(model: Model, sparse: bool, topics: int | None, fitting: Fitting) -> "TopicModel":
    from culet.inference import HDP, LDA, SparseLDA

    kind: Any = HDP if model is Model.hdp else SparseLDA if sparse else LDA
    settings = {name: value for name, value in dataclasses.asdict(fitting).items() if name in kind.arguments}
    return kind(**settings) if topics is None else kind(topics, **settings)


def _split(corpus: "Corpus", part: float, seed: int) -> tuple[Any, Any]:
    """Counts to learn from and counts to score on."""
    import numpy as np

    order = np.random.default_rng([seed, 1]).permutation(corpus.counts.shape[0])
    count = round(part * len(order))
    return corpus.counts[np.sort(order[count:])], corpus.counts[np.sort(order[:count])]


def _report(model: "TopicModel", corpus: "Corpus", held_out: Any, words: int, out: Path) -> None:
    import io

    import numpy as np

    from culet.core import atomic_write
    from culet.inference import save_topics, topic_figure

    tops, share = model.top_words(corpus.vocabulary, words), model.share
    lines = [f"{share[k]:6.1%}  {' '.join(tops[k])}" for k in np.argsort(-share, kind="stable")]
    print("\n".join(lines[: model.in_use()]))
    documents, vocabulary = corpus.counts.shape
    print(f"{documents} documents, {vocabulary} words; {model.in_use()} of {model.topics} topics in use")
    if held_out.nnz:
        print(f"held-out documents, second half given the first: {model.score(held_out):.4f} nats per word")
    save_topics(out, model, corpus.vocabulary)
    picture = io.BytesIO()
    topic_figure(model, corpus.vocabulary).savefig(picture, format="png")
    atomic_write(out / "topics.png", picture.getvalue())
    atomic_write(out / "topics.txt", "\n".join(lines) + "\n")
    print(f"{out}: the model, topics.txt and topics.png")


def _score(load: Path, paths: list[Path]) -> None:
    import numpy as np

    from culet.inference import load_topics, read_corpus

    model, vocabulary = load_topics(load)
    corpus = read_corpus(paths, vocabulary=vocabulary)
    tops = model.top_words(vocabulary, 4)
    for title, row in zip(corpus.titles, model.transform(corpus.counts), strict=True):
        largest = np.argsort(-row, kind="stable")[:3]
        print(f"{title}: " + ", ".join(f"{row[k]:.0%} {' '.join(tops[k])}" for k in largest if row[k] >= 0.05))
    print(f"second half of each document given the first: {model.score(corpus.counts):.4f} nats per word")
