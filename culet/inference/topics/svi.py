"""Stochastic variational inference, written once for every conditionally conjugate model.

Hoffman, Blei, Wang and Paisley, "Stochastic Variational Inference", JMLR 2013, section 2. The posterior of the global
variables is in an exponential family with natural parameters lambda. Given the whole corpus, coordinate ascent would
set lambda = prior + (sum over documents of expected sufficient statistics); a minibatch of B of D documents estimates
that sum as D / B times its own, and the natural gradient step is a weighted average with the old value:

    lambda <- (1 - rate) lambda + rate (prior + D/B statistics),    rate_t = (delay + t) ** -forgetting

With all documents and rate 1 this is classical variational Bayes.
"""

import abc
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any, Generic, TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

Parameters = TypeVar("Parameters")
Scalar = Float[Array, ""] | float


class Conjugate(eqx.Module, Generic[Parameters]):
    """A model as `update` needs it: what is global, what is local to a block of examples, and how they meet.

    `Parameters` is any pytree that holds lambda; sizes and known numbers are fields of the model.
    """

    @abc.abstractmethod
    def prior(self) -> Any:
        """The natural parameters of the prior: a tree as `Parameters`, with scalars for arrays of equal entries."""

    @abc.abstractmethod
    def expectations(self, parameters: Parameters) -> Any:
        """What local steps need to know of q(global); computed once for all blocks of a minibatch."""

    @abc.abstractmethod
    def local(self, expectations: Any, block: Any, key: Key[Array, ""]) -> Any:
        """The local step: the posterior of what belongs to each example of a block."""

    @abc.abstractmethod
    def add(self, parameters: Parameters, block: Any, expectations: Any, local: Any, weight: Scalar) -> Parameters:
        """The parameters with `weight` times the expected sufficient statistics of a block added."""

    def towards_prior(self, parameters: Parameters, rate: Scalar) -> Parameters:
        """(1 - rate) parameters + rate prior."""
        return jax.tree.map(lambda old, prior: (1.0 - rate) * old + rate * prior, parameters, self.prior())


def update(
    model: Conjugate[Parameters],
    parameters: Parameters,
    blocks: Sequence[Any],
    *,
    rate: float,
    scale: float,
    key: Key[Array, ""],
) -> Parameters:
    """One natural gradient step on a minibatch, given as blocks of equal or different shapes.

    `scale` is D / B, examples in the corpus per example in the minibatch. The memory of `parameters` is used again: do
    not use them afterwards. Each shape of a block is compiled once; blocks are worked on by as many threads as there
    are cores, and added in their order, so that a key gives the same result each time.
    """
    expectations = _expectations(model, parameters)
    keys = jax.random.split(key, len(blocks))
    local = partial(_local, model, expectations)
    posteriors = list(_threads().map(local, blocks, keys))  # all of them first: expectations may be the parameters
    parameters = _towards_prior(model, parameters, rate)
    for block, posterior in zip(blocks, posteriors, strict=True):
        parameters = _add(parameters, model, block, expectations, posterior, rate * scale)
    return parameters


@cache
def _threads() -> ThreadPoolExecutor:
    """XLA runs a small program on one core; several of them, called from several threads, use several."""
    return ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="culet-svi")


_expectations = jax.jit(lambda model, parameters: model.expectations(parameters))
_local = jax.jit(lambda model, expectations, block, key: model.local(expectations, block, key))
_towards_prior = jax.jit(lambda model, parameters, rate: model.towards_prior(parameters, rate), donate_argnums=1)
_add = jax.jit(lambda parameters, model, *rest: model.add(parameters, *rest), donate_argnums=0)
