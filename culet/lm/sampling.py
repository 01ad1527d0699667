"""From logits to a token.

Axis letters: V vocabulary, K of them that may be drawn.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from culet.distributions import Categorical

NEVER = float("-inf")


class Sampling(eqx.Module):
    """How a token is chosen. A setting that is None is off and costs nothing; numbers can change without recompiling.

    Applied in this order: repetition penalty, temperature, top-k, top-p, min-p.
    """

    temperature: Float[Array, ""] | None  # None is greedy
    top_p: Float[Array, ""] | None  # keeps the fewest tokens whose mass reaches this (1904.09751)
    min_p: Float[Array, ""] | None  # keeps tokens at least this fraction as likely as the best (2407.01082)
    repetition_penalty: Float[Array, ""] | None  # divides positive and multiplies negative logits of seen tokens
    top_k: int | None = eqx.field(static=True)
    vocabulary: int | None = eqx.field(static=True)  # ids from here on only fill up the embedding: never chosen

    def __init__(
        self,
        temperature: float = 0.0,
        top_k: int | None = None,
        top_p: float | None = None,
        min_p: float | None = None,
        repetition_penalty: float | None = None,
        vocabulary: int | None = None,
    ):
        """Raises ValueError for a number out of its range. Temperature 0 is greedy and ignores the three filters."""
        if not 0.0 <= temperature < float("inf"):
            raise ValueError(f"temperature is {temperature}; it must be 0 (greedy) or positive")
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k is {top_k}; it must be at least 1, or None for no limit")
        for name, value in (("top_p", top_p), ("min_p", min_p)):
            if value is not None and not 0.0 < value <= 1.0:
                raise ValueError(f"{name} is {value}; it must lie above 0 and at most at 1, or be None")
        if repetition_penalty is not None and not 0.0 < repetition_penalty < float("inf"):
            raise ValueError(f"repetition_penalty is {repetition_penalty}; it must be positive (1 changes nothing)")
        self.vocabulary = vocabulary
        greedy = temperature == 0.0
        self.temperature = None if greedy else jnp.float32(temperature)
        self.top_k = None if greedy else top_k
        self.top_p = None if greedy or top_p is None else jnp.float32(top_p)
        self.min_p = None if greedy or min_p is None else jnp.float32(min_p)
        self.repetition_penalty = None if repetition_penalty is None else jnp.float32(repetition_penalty)

    def __call__(
        self, logits: Float[Array, "V"], seen: Bool[Array, "V"] | None, key: Key[Array, ""]
    ) -> tuple[Int[Array, ""], Float[Array, ""]]:
        """A token and its log-probability under the model itself, that is, before penalty, temperature and filters."""
        if self.temperature is None:
            token = jnp.argmax(self._allowed(logits, seen))
        else:
            kept, ids = self._kept(logits, seen, self.temperature)
            choice = Categorical(kept).sample(key)
            token = choice if ids is None else ids[choice]
        return token.astype(jnp.int32), logits[token] - jax.nn.logsumexp(logits)

    def log_probability(
        self, logits: Float[Array, "V"], seen: Bool[Array, "V"] | None, token: Int[Array, ""]
    ) -> Float[Array, ""]:
        """That of `token` under `distribution`, which is not built for it: -inf for what is filtered out."""
        if self.temperature is None:
            return jnp.where(jnp.argmax(self._allowed(logits, seen)) == token, 0.0, NEVER)
        kept, ids = self._kept(logits, seen, self.temperature)
        if ids is None:
            return Categorical(kept).log_prob(token)
        here = ids == token
        return jnp.where(jnp.any(here), Categorical(kept).log_prob(jnp.argmax(here)), NEVER)

    def distribution(self, logits: Float[Array, "V"], seen: Bool[Array, "V"] | None = None) -> Categorical:
        """The distribution that a call draws from, over the whole vocabulary; the greedy choice has probability 1."""
        if self.temperature is None:
            likeliest = jnp.argmax(self._allowed(logits, seen))
            return Categorical(jnp.where(jnp.arange(logits.shape[0]) == likeliest, 0.0, NEVER))
        kept, ids = self._kept(logits, seen, self.temperature)
        return Categorical(kept if ids is None else jnp.full(logits.shape, NEVER).at[ids].set(kept))

    def _allowed(self, logits: Float[Array, "V"], seen: Bool[Array, "V"] | None) -> Float[Array, "V"]:
        """The logits with the penalty, and without what only fills up the embedding."""
        if self.repetition_penalty is not None and seen is not None:
            penalised = jnp.where(logits > 0, logits / self.repetition_penalty, logits * self.repetition_penalty)
            logits = jnp.where(seen, penalised, logits)
        if self.vocabulary is not None and self.vocabulary < logits.shape[0]:
            logits = jnp.where(jnp.arange(logits.shape[0]) < self.vocabulary, logits, NEVER)
        return logits

    def _kept(
        self, logits: Float[Array, "V"], seen: Bool[Array, "V"] | None, temperature: Float[Array, ""]
    ) -> tuple[Float[Array, "K"], Int[Array, "K"] | None]:
        """Logits of what the filters leave, and whose they are unless it is all; sorts only if a filter needs it."""
        logits, ids = self._allowed(logits, seen) / temperature, None
        if self.top_k is not None or self.top_p is not None:
            logits, ids = jax.lax.top_k(logits, min(self.top_k or logits.shape[0], logits.shape[0]))
        if self.top_p is not None:  # logits are in falling order here
            mass = jax.nn.softmax(logits)
            logits = jnp.where(jnp.cumsum(mass) - mass < self.top_p, logits, NEVER)
        if self.min_p is not None:
            logits = jnp.where(logits >= jnp.max(logits) + jnp.log(self.min_p), logits, NEVER)
        return logits, ids
