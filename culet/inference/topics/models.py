"""LDA, HDP and sampled LDA with scikit-learn's verbs, thin over `svi.update` and the models' functions.

Axis letters: D documents, V vocabulary, K topics.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from culet.inference.topics import hdp, lda, sparse_lda
from culet.inference.topics.counts import Block, Counts, as_counts, blocks, token_blocks
from culet.inference.topics.fitting import Fitting, robbins_monro
from culet.inference.topics.held_out import document_completion, topic_proportions
from culet.inference.topics.passes import run
from culet.inference.topics.svi import Conjugate, update

_SAMPLED_ROWS = 128  # of a block: a sweep goes token by token, so it wants many documents at a time


class TopicModel(ABC):
    """What the three have in common. `counts` are documents by words [D, V], sparse or dense, whole numbers."""

    kind: ClassVar[str]

    def __init__(self, topics: int, fitting: Fitting, document_prior: float | None, word_prior: float | None):
        if topics < 2:
            raise ValueError(f"a topic model needs at least 2 topics, not {topics}")
        document_prior = 1 / topics if document_prior is None else document_prior
        word_prior = 1 / topics if word_prior is None else word_prior
        for name, value in (("document_prior", document_prior), ("word_prior", word_prior)):
            if not 0 < value < float("inf"):
                raise ValueError(f"{name} must be a positive number, not {value}")
        self.topics, self.fitting = topics, fitting
        self.document_prior, self.word_prior = document_prior, word_prior
        self.steps = 0
        self.seen = 0  # documents, those of every pass counted
        self.parameters: Any = None  # of the global posterior; None before the first fit

    def fit(self, counts: Any, *, progress: bool = False) -> "TopicModel":
        """Learns the topics of a corpus from the beginning, in `fitting.passes` passes.

        Raises `ValueError` for bad counts (`as_counts`) and for fewer documents than topics.
        """
        corpus = as_counts(counts)
        self.parameters, self.steps, self.seen = None, 0, 0
        documents = corpus.shape[0]
        self._begin(corpus, documents)
        run(corpus, self.fitting, lambda batch: self._step(batch, documents), f"{self.kind} topics", progress)
        return self

    def partial_fit(self, counts: Any, *, documents: int | None = None) -> "TopicModel":
        """One step on the next minibatch of a stream.

        `documents` is the size of the corpus that the stream is taken to be; by default what has been seen so far.
        Raises as `fit` does.
        """
        batch = as_counts(counts, self._vocabulary)
        self._begin(batch, documents or max(batch.shape[0], self.topics))
        self._step(batch, documents or max(self.seen + batch.shape[0], self.topics))
        return self

    def transform(self, counts: Any) -> Float[np.ndarray, "D K"]:
        """The proportions of topics in each document, E[theta]; rows sum to 1."""
        self._check_fitted()
        return topic_proportions(self.beta, self.alpha, as_counts(counts, self._vocabulary))

    def score(self, counts: Any, seed: int = 0) -> float:
        """Document completion of held-out documents, in nats per token; higher is better (`document_completion`)."""
        self._check_fitted()
        return document_completion(self.beta, self.alpha, counts, seed)

    @property
    def beta(self) -> Float[np.ndarray, "K V"]:
        """E[beta]: the probabilities of words in each topic."""
        self._check_fitted()
        return np.asarray(lda.topic_words(self._concentrations())).T

    @property
    def alpha(self) -> Float[np.ndarray, "K"]:
        """The Dirichlet prior of a document over topics."""
        return np.full(self.topics, self.document_prior, np.float32)

    @property
    def share(self) -> Float[np.ndarray, "K"]:
        """The part of all tokens that each topic explains."""
        self._check_fitted()
        return np.asarray(lda.share_of_tokens(self._concentrations(), self.word_prior))

    def in_use(self, least: float = 1e-3) -> int:
        """How many topics explain at least this part of all tokens."""
        return int((self.share >= least).sum())

    def top_words(self, vocabulary: Sequence[str], count: int = 10) -> list[list[str]]:
        """The most probable words of each topic."""
        return [[vocabulary[int(i)] for i in np.argsort(-row, kind="stable")[:count]] for row in self.beta]

    def settings(self) -> dict[str, Any]:
        """What the model was made with, beside `fitting`."""
        return {"topics": self.topics, "document_prior": self.document_prior, "word_prior": self.word_prior}

    def _begin(self, counts: Counts, documents: int) -> None:
        if documents < self._fewest_documents:
            raise ValueError(f"{self.topics} topics need at least as many documents; this corpus has {documents}")
        if self.parameters is None:
            self.parameters = self.initial(jax.random.key(self.fitting.seed), counts.shape[1])

    def _step(self, batch: Counts, documents: int) -> None:
        rate = robbins_monro(self.steps, self.fitting.delay, self.fitting.forgetting)
        key = jax.random.fold_in(jax.random.key(self.fitting.seed), self.steps)
        scale = documents / batch.shape[0]
        self.parameters = update(self._model(), self.parameters, self._blocks(batch), rate=rate, scale=scale, key=key)
        self.steps += 1
        self.seen += batch.shape[0]

    def _blocks(self, batch: Counts) -> list[Block]:
        return blocks(batch)[0]

    @property
    def _vocabulary(self) -> int | None:
        return None if self.parameters is None else self._concentrations().shape[0]

    def _check_fitted(self) -> None:
        if self.parameters is None:
            raise ValueError(f"this {type(self).__name__} has not been fitted yet; call fit or partial_fit first")

    @property
    def _fewest_documents(self) -> int:
        return self.topics

    @abstractmethod
    def _model(self) -> Conjugate: ...

    def initial(self, key: jax.Array, vocabulary: int) -> Any:
        """The parameters before anything was seen."""
        return lda.initial(key, vocabulary, self.topics)

    def _concentrations(self) -> Float[Array, "V K"]:
        return self.parameters


class LDA(TopicModel):
    """Latent Dirichlet allocation by stochastic variational inference (Hoffman, Blei and Bach 2010).

    `document_prior` (alpha) and `word_prior` (eta) are the concentrations of the two Dirichlet priors; by default 1 /
    topics. Raises `ValueError` for fewer than 2 topics and priors that are not positive.
    """

    kind = "lda"

    def __init__(
        self,
        topics: int = 50,
        *,
        document_prior: float | None = None,
        word_prior: float | None = None,
        fitting: Fitting = Fitting(),
    ):
        super().__init__(topics, fitting, document_prior, word_prior)

    def _model(self) -> lda.LatentDirichlet:
        fitting = self.fitting
        return lda.LatentDirichlet(jnp.asarray(self.alpha), self.word_prior, fitting.tolerance, fitting.iterations)


class SparseLDA(TopicModel):
    """LDA by sparse stochastic inference: Gibbs sampling within documents (Mimno, Hoffman and Blei 2012).

    Each document is swept `burn_in` + `samples` times, of which the last count. `beta` is what weighs a topic's words:
    "mean" or "exp_log" (`sparse_lda.SampledLDA`). Sampling wants larger priors than `LDA`: with 1 / topics a word that
    a topic has not met hardly gets in.
    """

    kind = "sparse-lda"

    def __init__(
        self,
        topics: int = 50,
        *,
        document_prior: float = 0.1,
        word_prior: float = 0.1,
        beta: sparse_lda.Beta = "mean",
        burn_in: int = 5,
        samples: int = 5,
        fitting: Fitting = Fitting(),
    ):
        super().__init__(topics, fitting, document_prior, word_prior)
        if beta not in ("mean", "exp_log"):
            raise ValueError(f'beta is "mean" or "exp_log", not {beta!r}')
        if burn_in < 0 or samples < 1:
            raise ValueError(f"sampling needs burn_in >= 0 and samples >= 1, not {burn_in} and {samples}")
        self.weights: sparse_lda.Beta = beta
        self.burn_in, self.samples = burn_in, samples

    def settings(self) -> dict[str, Any]:
        """What the model was made with, beside `fitting`."""
        return super().settings() | {"beta": self.weights, "burn_in": self.burn_in, "samples": self.samples}

    def _model(self) -> sparse_lda.SampledLDA:
        return sparse_lda.SampledLDA(jnp.asarray(self.alpha), self.word_prior, self.weights, self.burn_in, self.samples)

    def _blocks(self, batch: Counts) -> list[Block]:
        return token_blocks(batch, _SAMPLED_ROWS)[0]

    def initial(self, key: jax.Array, vocabulary: int) -> sparse_lda.SparseTopics:
        """Nothing sampled yet."""
        return sparse_lda.empty_topics(vocabulary, self.topics)

    def _concentrations(self) -> Float[Array, "V K"]:
        return sparse_lda.dense(self.parameters, self.word_prior)


class HDP(TopicModel):
    """The hierarchical Dirichlet process (Wang, Paisley and Blei 2011): `in_use` says how many topics it found.

    `topics` is the most there can be and `tables` the most in one document. `document_prior` (alpha) and `corpus_prior`
    (gamma) are the concentrations of their sticks, `word_prior` (eta) that of the topics.
    """

    kind = "hdp"

    def __init__(
        self,
        topics: int = 150,
        *,
        tables: int = 10,
        document_prior: float = 1.0,
        corpus_prior: float = 1.0,
        word_prior: float = 0.01,
        fitting: Fitting = Fitting(),
    ):
        super().__init__(topics, fitting, document_prior, word_prior)
        if not 2 <= tables <= topics:
            raise ValueError(f"a document needs from 2 to {topics} tables, the number of topics, not {tables}")
        if not 0 < corpus_prior < float("inf"):
            raise ValueError(f"corpus_prior must be a positive number, not {corpus_prior}")
        self.tables, self.corpus_prior = tables, corpus_prior

    @property
    def _fewest_documents(self) -> int:
        return 2  # `topics` is only the most there can be

    @property
    def alpha(self) -> Float[np.ndarray, "K"]:
        """Alpha E[sigma(v)]: a document's process over the topics as they are, as a Dirichlet prior."""
        self._check_fitted()
        return self.document_prior * np.asarray(hdp.proportions(self.parameters.tables, self.corpus_prior))

    def settings(self) -> dict[str, Any]:
        """What the model was made with, beside `fitting`."""
        return super().settings() | {"tables": self.tables, "corpus_prior": self.corpus_prior}

    def _model(self) -> hdp.HierarchicalDirichlet:
        fitting = self.fitting
        return hdp.HierarchicalDirichlet(
            self.document_prior, self.corpus_prior, self.word_prior, fitting.tolerance, fitting.iterations, self.tables
        )

    def initial(self, key: jax.Array, vocabulary: int) -> hdp.HDPParameters:
        """Topics that differ a little, a table for each."""
        return hdp.HDPParameters(lda.initial(key, vocabulary, self.topics), jnp.ones(self.topics))

    def _concentrations(self) -> Float[Array, "V K"]:
        return self.parameters.words
