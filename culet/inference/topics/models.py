"""LDA, HDP and sampled LDA with scikit-learn's verbs, thin over `svi.update` and the models' functions.

Axis letters: D documents, V vocabulary, K topics.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from culet.core import fit
from culet.core.checkpoint import claim_folder
from culet.distributions import Dirichlet
from culet.inference.topics import hdp, lda, sparse_lda
from culet.inference.topics.corpus import Block, Counts, as_counts, blocks, token_blocks
from culet.inference.topics.fitting import Fitting, Minibatches, robbins_monro
from culet.inference.topics.held_out import document_completion, topic_proportions
from culet.inference.topics.svi import Conjugate, update

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SAMPLED_ROWS = 128  # of a block: a sweep goes token by token, so it wants many documents at a time
_DEFAULT = Fitting()
_COLUMNS, _MOST_PANELS, _WORDS = 4, 16, 8  # of the figure


class TopicState(NamedTuple):
    """What a step changes: the parameters of the global posterior, and the number of steps done."""

    parameters: Any
    steps: Int[Array, ""]


class TopicModel(ABC):
    """What the three have in common. `counts` are documents by words [D, V], sparse or dense, whole numbers."""

    kind: ClassVar[str]
    arguments: ClassVar[tuple[str, ...]]  # of the constructor, each an attribute of the same name

    def __init__(self, topics: int, alpha: float | None, eta: float | None, fitting: Fitting):
        if topics < 2:
            raise ValueError(f"a topic model needs at least 2 topics, not {topics}")
        self.topics = topics
        self.alpha = _positive("alpha", 1 / topics if alpha is None else alpha)
        self.eta = _positive("eta", 1 / topics if eta is None else eta)
        self.passes, self.batch_size, self.seed = fitting.passes, fitting.batch_size, fitting.seed
        self.delay, self.forgetting = fitting.delay, fitting.forgetting
        self.steps = 0
        self.seen = 0  # documents, those of every pass counted
        self.parameters: Any = None  # of the global posterior; None before the first fit
        self.history: list[dict[str, Any]] = []

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The arguments of the constructor by name, as scikit-learn asks for them; `deep` has no effect."""
        return {name: getattr(self, name) for name in self.arguments}

    def set_params(self, **changed: Any) -> "TopicModel":
        """Sets arguments of the constructor and forgets what was fitted. Raises as the constructor does."""
        type(self).__init__(self, **{**self.get_params(), **changed})
        return self

    def fit(
        self, counts: Any, *, held_out: Any = None, folder: str | Path | None = None, progress: bool = False
    ) -> "TopicModel":
        """Learns the topics of a corpus from the beginning, in `passes` passes. `history` then has the logged steps.

        With `held_out` documents, the loss `-document_completion(...)` on them, in nats per token, is logged some
        twenty times as `evaluation/loss`. With a `folder`, the run keeps its log, the picture of the loss and
        checkpoints there (`culet.core.fit`); stopped, it goes on from the last pass or the signal that stopped it, and
        ends with the same topics.

        Raises `ValueError` for bad counts (`as_counts`), for fewer documents than topics, and for a folder with a run
        of other settings or another corpus; `culet.core.Interrupted` after SIGTERM or SIGINT.
        """
        corpus = as_counts(counts)
        documents = corpus.shape[0]
        self._check_size(documents)
        test = None if held_out is None else as_counts(held_out, corpus.shape[1])
        self.parameters, self.steps, self.seen = None, 0, 0
        if folder is not None:
            settings = {"kind": self.kind, "corpus": _digest(corpus), **self.get_params()}
            del settings["passes"]  # a run may go on to more of them
            claim_folder(folder, settings, private=("corpus",))
        batches = Minibatches(corpus, passes=self.passes, batch_size=self.batch_size, seed=self.seed)

        def step(state: TopicState, batch: Counts) -> tuple[TopicState, dict[str, Any]]:
            done = int(state.steps)
            parameters = self._updated(state.parameters, batch, done, documents)
            rate = robbins_monro(done, self.delay, self.forgetting)
            return TopicState(parameters, state.steps + 1), {"documents": batch.shape[0], "learning_rate": rate}

        def evaluate(state: TopicState) -> dict[str, float]:
            beta = self._posterior(state.parameters).mean()
            return {"loss": -document_completion(beta, self._document_prior(state.parameters), test)}

        start = self.initial(jax.random.key(self.seed), corpus.shape[1])
        state, self.history = fit(
            step, TopicState(start, jnp.zeros((), jnp.int32)), batches, steps=len(batches), jit=False, folder=folder,
            checkpoint_every=batches.per_pass, keep=1, log_every=max(1, len(batches) // 200),
            evaluate=None if test is None else evaluate, evaluate_every=max(1, len(batches) // 20),
            progress=progress, name=f"{self.kind} topics", unit="documents",
        )  # fmt: skip
        self.parameters, self.steps, self.seen = state.parameters, len(batches), self.passes * documents
        return self

    def partial_fit(self, counts: Any, *, documents: int | None = None) -> "TopicModel":
        """One step on the next minibatch of a stream.

        `documents` is the size of the corpus that the stream is taken to be; by default what has been seen so far.
        Raises as `fit` does.
        """
        batch = as_counts(counts, self._vocabulary)
        self._check_size(documents or max(batch.shape[0], self.topics))
        if self.parameters is None:
            self.parameters = self.initial(jax.random.key(self.seed), batch.shape[1])
        size = documents or max(self.seen + batch.shape[0], self.topics)
        self.parameters = self._updated(self.parameters, batch, self.steps, size)
        self.steps += 1
        self.seen += batch.shape[0]
        return self

    def transform(self, counts: Any) -> Float[np.ndarray, "D K"]:
        """The proportions of topics in each document, E[theta]; rows sum to 1."""
        return topic_proportions(self.beta, self.document_prior, as_counts(counts, self._vocabulary))

    def score(self, counts: Any, seed: int = 0) -> float:
        """Document completion of held-out documents, in nats per token; higher is better (`document_completion`)."""
        return document_completion(self.beta, self.document_prior, counts, seed)

    @property
    def posterior(self) -> Dirichlet:
        """q(beta), the posterior of each topic [K] over the words of the vocabulary [V]."""
        return self._posterior(self._fitted())

    @property
    def beta(self) -> Float[np.ndarray, "K V"]:
        """E[beta]: the probabilities of words in each topic."""
        return np.asarray(self.posterior.mean())

    @property
    def document_prior(self) -> Float[np.ndarray, "K"]:
        """The concentrations of a document's Dirichlet prior over topics."""
        return self._document_prior(self._fitted())

    @property
    def share(self) -> Float[np.ndarray, "K"]:
        """The part of all tokens that each topic explains."""
        return np.asarray(lda.share_of_tokens(self._concentrations(self._fitted()), self.eta))

    def in_use(self, least: float = 1e-3) -> int:
        """How many topics explain at least this part of all tokens."""
        return int((self.share >= least).sum())

    def top_words(self, vocabulary: Sequence[str], count: int = 10) -> list[list[str]]:
        """The most probable words of each topic."""
        return [[vocabulary[int(i)] for i in np.argsort(-row, kind="stable")[:count]] for row in self.beta]

    def initial(self, key: jax.Array, vocabulary: int) -> Any:
        """The parameters before anything was seen."""
        return lda.initial(key, vocabulary, self.topics)

    def _updated(self, parameters: Any, batch: Counts, step: int, documents: int) -> Any:
        """The parameters after one step on a minibatch; the memory of the old ones is used again."""
        rate = robbins_monro(step, self.delay, self.forgetting)
        key = jax.random.fold_in(jax.random.key(self.seed), step)
        scale = documents / batch.shape[0]
        return update(self._model(), parameters, self._blocks(batch), rate=rate, scale=scale, key=key)

    def _blocks(self, batch: Counts) -> list[Block]:
        return blocks(batch)[0]

    @property
    def _vocabulary(self) -> int | None:
        return None if self.parameters is None else self._concentrations(self.parameters).shape[0]

    def _fitted(self) -> Any:
        if self.parameters is None:
            raise ValueError(f"this {type(self).__name__} has not been fitted yet; call fit or partial_fit first")
        return self.parameters

    def _check_size(self, documents: int) -> None:
        if documents < self._fewest_documents:
            raise ValueError(f"{self.topics} topics need at least as many documents; this corpus has {documents}")

    @property
    def _fewest_documents(self) -> int:
        return self.topics

    @abstractmethod
    def _model(self) -> Conjugate: ...

    def _posterior(self, parameters: Any) -> Dirichlet:
        return Dirichlet(self._concentrations(parameters).T)

    def _document_prior(self, parameters: Any) -> Float[np.ndarray, "K"]:
        return np.full(self.topics, self.alpha, np.float32)

    def _concentrations(self, parameters: Any) -> Float[Array, "V K"]:
        return parameters


class LDA(TopicModel):
    """Latent Dirichlet allocation by stochastic variational inference (Hoffman, Blei and Bach 2010).

    `alpha` and `eta` are the concentrations of the Dirichlet priors of a document over topics and of a topic over
    words; by default 1 / topics. A step on `batch_size` documents moves the topics at the rate (delay + step) **
    -forgetting. A document has converged when it moves less than `tolerance`, at the latest after `iterations`.

    Raises `ValueError` for fewer than 2 topics, priors that are not positive, and numbers with which no step works.
    """

    kind = "lda"
    arguments = (
        "topics", "alpha", "eta", "passes", "batch_size", "delay", "forgetting", "tolerance", "iterations", "seed",
    )  # fmt: skip

    def __init__(
        self, topics: int = 50, *, alpha: float | None = None, eta: float | None = None,
        passes: int = _DEFAULT.passes, batch_size: int = _DEFAULT.batch_size,
        delay: float = _DEFAULT.delay, forgetting: float = _DEFAULT.forgetting,
        tolerance: float = _DEFAULT.tolerance, iterations: int = _DEFAULT.iterations, seed: int = _DEFAULT.seed,
    ):  # fmt: skip
        fitting = Fitting(
            passes=passes, batch_size=batch_size, delay=delay, forgetting=forgetting, tolerance=tolerance,
            iterations=iterations, seed=seed,
        )  # fmt: skip
        super().__init__(topics, alpha, eta, fitting)
        self.tolerance, self.iterations = tolerance, iterations

    def _model(self) -> lda.LatentDirichlet:
        alpha = jnp.full(self.topics, self.alpha, jnp.float32)
        return lda.LatentDirichlet(alpha, self.eta, self.tolerance, self.iterations)


class SparseLDA(TopicModel):
    """LDA by sparse stochastic inference: Gibbs sampling within documents (Mimno, Hoffman and Blei 2012).

    Each document is swept `burn_in` + `samples` times, of which the last count. `word_weight` is what a word weighs in
    a topic, "mean" or "exp_log" (`sparse_lda.SampledLDA`). Sampling wants larger priors than `LDA`: with 1 / topics a
    word that a topic has not met hardly gets in. The other arguments and errors are those of `LDA`.
    """

    kind = "sparse-lda"
    arguments = (
        "topics", "alpha", "eta", "word_weight", "burn_in", "samples", "passes", "batch_size", "delay", "forgetting",
        "seed",
    )  # fmt: skip

    def __init__(
        self, topics: int = 50, *, alpha: float = 0.1, eta: float = 0.1,
        word_weight: sparse_lda.WordWeight = "mean", burn_in: int = 5, samples: int = 5,
        passes: int = _DEFAULT.passes, batch_size: int = _DEFAULT.batch_size,
        delay: float = _DEFAULT.delay, forgetting: float = _DEFAULT.forgetting, seed: int = _DEFAULT.seed,
    ):  # fmt: skip
        fitting = Fitting(passes=passes, batch_size=batch_size, delay=delay, forgetting=forgetting, seed=seed)
        super().__init__(topics, alpha, eta, fitting)
        if word_weight not in ("mean", "exp_log"):
            raise ValueError(f'word_weight must be "mean" or "exp_log", not {word_weight!r}')
        if burn_in < 0 or samples < 1:
            raise ValueError(f"sampling needs burn_in >= 0 and samples >= 1, not {burn_in} and {samples}")
        self.word_weight: sparse_lda.WordWeight = word_weight
        self.burn_in, self.samples = burn_in, samples

    def _model(self) -> sparse_lda.SampledLDA:
        alpha = jnp.full(self.topics, self.alpha, jnp.float32)
        return sparse_lda.SampledLDA(alpha, self.eta, self.word_weight, self.burn_in, self.samples)

    def _blocks(self, batch: Counts) -> list[Block]:
        return token_blocks(batch, _SAMPLED_ROWS)[0]

    def initial(self, key: jax.Array, vocabulary: int) -> sparse_lda.SparseTopics:
        """Nothing sampled yet."""
        return sparse_lda.empty_topics(vocabulary, self.topics)

    def _concentrations(self, parameters: sparse_lda.SparseTopics) -> Float[Array, "V K"]:
        return sparse_lda.dense(parameters, self.eta)


class HDP(TopicModel):
    """The hierarchical Dirichlet process (Wang, Paisley and Blei 2011): `in_use` says how many topics it uses.

    `topics` is the most there can be and `tables` the most in one document. `alpha` and `gamma` are the concentrations
    of the sticks of a document and of the corpus, `eta` that of a topic over words. The other arguments and errors are
    those of `LDA`.
    """

    kind = "hdp"
    arguments = (
        "topics", "tables", "alpha", "gamma", "eta", "passes", "batch_size", "delay", "forgetting", "tolerance",
        "iterations", "seed",
    )  # fmt: skip

    def __init__(
        self, topics: int = 150, *, tables: int = 10, alpha: float = 1.0, gamma: float = 1.0, eta: float = 0.01,
        passes: int = _DEFAULT.passes, batch_size: int = _DEFAULT.batch_size,
        delay: float = _DEFAULT.delay, forgetting: float = _DEFAULT.forgetting,
        tolerance: float = _DEFAULT.tolerance, iterations: int = _DEFAULT.iterations, seed: int = _DEFAULT.seed,
    ):  # fmt: skip
        fitting = Fitting(
            passes=passes, batch_size=batch_size, delay=delay, forgetting=forgetting, tolerance=tolerance,
            iterations=iterations, seed=seed,
        )  # fmt: skip
        super().__init__(topics, alpha, eta, fitting)
        if not 2 <= tables <= topics:
            raise ValueError(f"a document needs from 2 to {topics} tables, the number of topics, not {tables}")
        self.tables, self.gamma = tables, _positive("gamma", gamma)
        self.tolerance, self.iterations = tolerance, iterations

    @property
    def _fewest_documents(self) -> int:
        return 2  # `topics` is only the most there can be

    def _document_prior(self, parameters: hdp.HDPParameters) -> Float[np.ndarray, "K"]:
        """Alpha E[sigma(v)]: a document's process over the topics as they are, as a Dirichlet prior."""
        return self.alpha * np.asarray(hdp.proportions(parameters.tables, self.gamma))

    def _model(self) -> hdp.HierarchicalDirichlet:
        return hdp.HierarchicalDirichlet(self.alpha, self.gamma, self.eta, self.tolerance, self.iterations, self.tables)

    def initial(self, key: jax.Array, vocabulary: int) -> hdp.HDPParameters:
        """Topics that differ a little, a table for each."""
        return hdp.HDPParameters(lda.initial(key, vocabulary, self.topics), jnp.ones(self.topics))

    def _concentrations(self, parameters: hdp.HDPParameters) -> Float[Array, "V K"]:
        return parameters.words


def topic_figure(model: TopicModel, vocabulary: Sequence[str]) -> "Figure":
    """Bars of the eight most probable words of up to sixteen topics, those that explain most tokens first."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    share, beta = model.share, model.beta
    largest = np.argsort(-share, kind="stable")[:_MOST_PANELS]
    rows = -(-len(largest) // _COLUMNS)
    figure = Figure(figsize=(3 * _COLUMNS, 2.1 * rows), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    for place, topic in enumerate(largest):
        axes = figure.add_subplot(rows, _COLUMNS, place + 1)
        words = np.argsort(-beta[topic], kind="stable")[:_WORDS][::-1].tolist()
        axes.barh(range(len(words)), beta[topic][words], color="#1f5a99")
        axes.set_yticks(range(len(words)), [vocabulary[int(word)] for word in words], fontsize=8)
        axes.tick_params(axis="x", labelsize=6)
        axes.set_title(f"topic {topic}: {share[topic]:.1%} of tokens", loc="left", fontsize=9)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _positive(name: str, value: float) -> float:
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} must be a positive number, not {value}")
    return value


def _digest(counts: Counts) -> str:
    digest = hashlib.sha256(repr(counts.shape).encode())
    for part in (counts.indptr, counts.indices, counts.data):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()
