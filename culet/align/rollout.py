"""A rollout: prompts, what a policy wrote after them, and how likely it was to write that.

One tree of parameters writes and learns, so that nothing has to be kept in step: `mismatch` compares what the loop of
`culet.lm.decode` found while writing with what a training pass finds for the same tokens.

Axis letters: B rows, P prompt slots, N new tokens, L = P + N, V vocabulary, D width, S stop tokens.
"""

from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from culet.core import Episode
from culet.lm import Decoder
from culet.lm.decode import PIECE, advance, begin, left_padded, seen_in
from culet.lm.sampling import Sampling
from culet.objectives import token_log_probabilities

TOLERANCE = 0.01  # nats; rounding is below a thousandth, a wrong temperature or position far above
MAX_MISMATCH_FRACTION = 0.01  # of the tokens


class Prompts(eqx.Module):
    """Token ids of prompts of different lengths, at the right of the slots."""

    tokens: Int[Array | np.ndarray, "B P"]
    padding: Int[Array | np.ndarray, "B"]  # slots on the left of each row that hold nothing


class Rollout(eqx.Module):
    """Prompts and completions. What follows a row's stop token is arbitrary, and `mask` is 0 there."""

    prompts: Prompts
    completions: Int[Array, "B N"]
    mask: Float[Array, "B N"]  # 1 for every token that was written, the stop token among them
    finished: Bool[Array, "B"]  # whether a stop token was written
    log_probabilities: Float[Array, "B N"]  # of the sampler, under the model itself: at temperature 1, without filters
    drawn: Float[Array, "B N"]  # of the sampler, under what it drew from: after penalty, temperature and filters

    @property
    def lengths(self) -> Int[Array, "B"]:
        """Tokens of each completion, its stop token among them."""
        return jnp.sum(self.mask, axis=1, dtype=jnp.int32)

    def episode(self, rewards: Float[Array | np.ndarray, "B"]) -> Episode:
        """The rollout as an episode with axes [B, N + 1], in which step t chooses token t of the completion.

        `observation` [B, N + 1] is the token that was read last before that choice: the prompt's last one, then those
        that were written. The state is the whole text up to there, which `prompts` and the observations so far spell.
        `action` is the token that was written, and the reward of the completion comes with its last one. The last step
        of a row observes that token. It is terminal where that is a stop token; where the limit on new tokens cut the
        completion off the row is truncated, and the value of its last state is not 0. `extras` holds the sampler's
        `log_probabilities`, under the model itself, and `drawn`, under what it drew from; 0 where nothing was chosen.
        """
        lengths, steps = self.lengths[:, None], jnp.arange(self.mask.shape[1] + 1)[None, :]
        last = steps == lengths

        def with_last_step(leaf: Array) -> Array:
            return jnp.pad(jnp.where(self.mask == 0, 0, leaf), ((0, 0), (0, 1)))

        tokens = with_last_step(self.completions)
        return Episode(
            observation=jnp.concatenate([self.prompts.tokens[:, -1:], tokens[:, :-1]], axis=1),
            action=tokens,
            reward=jnp.where(steps == lengths - 1, jnp.asarray(rewards)[:, None], 0.0),
            terminal=last & self.finished[:, None],
            last=last,
            mask=(steps <= lengths).astype(jnp.float32),
            extras={
                "log_probabilities": with_last_step(self.log_probabilities), "drawn": with_last_step(self.drawn)
            },
        )  # fmt: skip


def as_prompts(prompts: Sequence[Sequence[int]], slots: int | None = None) -> Prompts:
    """Pads prompts to `slots`, by default to the longest.

    Raises ValueError for no prompt, an empty prompt, one longer than `slots`, and more slots than are read at once that
    are no multiple of that.
    """
    if not prompts:
        raise ValueError("there are no prompts")
    lengths = [len(prompt) for prompt in prompts]
    slots = max(lengths) if slots is None else slots
    if min(lengths) == 0:
        raise ValueError(f"prompt {lengths.index(0)} is empty")
    if max(lengths) > slots:
        raise ValueError(f"prompt {int(np.argmax(lengths))} has {max(lengths)} tokens; at most {slots} fit")
    if slots > PIECE and slots % PIECE:
        raise ValueError(f"{slots} slots for prompts: more than {PIECE} must be a multiple of {PIECE}")
    tokens, padding = left_padded(prompts, slots)
    return Prompts(tokens, padding)


@eqx.filter_jit
def sample(
    model: Decoder,
    prompts: Prompts,
    sampling: Sampling,
    stop_ids: Int[Array, "S"],
    new_tokens: int,
    key: Key[Array, ""],
) -> Rollout:
    """Writes up to `new_tokens` tokens after each prompt. No gradient flows through what it returns."""
    model = jax.lax.stop_gradient(model)
    keys = jax.random.split(key, len(prompts.tokens))
    penalised = sampling.repetition_penalty is not None
    decoding = begin(model, prompts.tokens, prompts.padding, new_tokens, keys, track_seen=penalised, track_drawn=True)
    decoding = advance(model, decoding, sampling, stop_ids, new_tokens)
    assert decoding.drawn is not None
    written = decoding.lengths + decoding.done.astype(jnp.int32)  # `lengths` leaves the stop token out
    mask = jnp.arange(new_tokens)[None, :] < written[:, None]
    return Rollout(
        prompts, decoding.tokens, mask.astype(jnp.float32), decoding.done, decoding.log_probabilities, decoding.drawn
    )


def hidden(
    model: Decoder, rollout: Rollout, *, remat: bool = False, where: Literal["before", "after", "around"] = "before"
) -> Float[Array, "B _ D"]:
    """The decoder's hidden states at the completions.

    They are those of the text before each token [B N D], from which its log-probability comes; or those of the text
    up to and with each token, "after" it [B N D]; or both, "around" the tokens [B N+1 D]: before each and after the
    last.
    """
    tokens = jnp.concatenate([rollout.prompts.tokens, rollout.completions], axis=1)
    places = jnp.arange(tokens.shape[1])[None, :] - rollout.prompts.padding[:, None]
    run = jax.vmap(lambda row, positions: model.hidden(row, positions, remat=remat))
    slots, new_tokens = rollout.prompts.tokens.shape[1], rollout.completions.shape[1]
    first = slots if where == "after" else slots - 1
    span = slice(0, slots + new_tokens - (1 if where == "before" else 0))
    return run(tokens[:, span], jnp.maximum(places[:, span], -1))[:, first:]


def log_probabilities(model: Decoder, rollout: Rollout, *, remat: bool = False) -> Float[Array, "B N"]:
    """Those of the completions' tokens under a model, at temperature 1, as a training pass finds them.

    0 beyond the end. Differentiable in the model.
    """
    logs = token_log_probabilities(
        hidden(model, rollout, remat=remat), model.embedding, rollout.completions, cap=model.config.logit_cap
    )
    return jnp.where(rollout.mask == 0, 0, logs)


def drawn_log_probabilities(model: Decoder, rollout: Rollout, sampling: Sampling) -> Float[Array, "B N"]:
    """Those of the distribution that `sampling` makes of the model's, as a training pass finds them.

    0 beyond the end. All logits of a place are in memory at once, those of one place at a time.
    """
    tokens = rollout.prompts.tokens
    real = jnp.arange(tokens.shape[1])[None, :] >= rollout.prompts.padding[:, None]
    seen = seen_in(tokens, real, model.config.vocabulary)
    mark = jax.vmap(lambda row, token: row.at[token].set(True))

    def place(seen: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
        before, chosen = inputs
        logits = model.logits(before)
        return mark(seen, chosen), jax.vmap(sampling.log_probability)(logits, seen, chosen)

    columns = (jnp.moveaxis(hidden(model, rollout), 1, 0), rollout.completions.T)
    return jnp.where(rollout.mask == 0, 0, jax.lax.scan(place, seen, columns)[1].T)


def mismatch(rollout: Rollout, sampler: Float[Array, "B N"], trainer: Float[Array, "B N"]) -> Float[Array, "B N"]:
    """How far what sampler and trainer find for each token that was written lies apart, in nats; 0 beyond the end."""
    return jnp.where(rollout.mask == 0, 0, jnp.abs(trainer - sampler))


def check_sampler(model: Decoder, rollout: Rollout, sampling: Sampling) -> None:
    """Raises RuntimeError unless a training pass finds the sampler's log-probabilities, before and after every warp.

    As long as the same parameters wrote the rollout they differ by rounding alone, less than `TOLERANCE`. Rounding may
    also put a token on the other side of a filter's edge, so after a warp a few tokens (`MAX_MISMATCH_FRACTION`) may
    lie apart.
    """
    for distribution, sampler, trainer, allowed in (
        ("temperature 1", rollout.log_probabilities, _log_probabilities(model, rollout), 0.0),
        (
            "what was drawn from",
            rollout.drawn,
            _drawn_log_probabilities(model, rollout, sampling),
            MAX_MISMATCH_FRACTION,
        ),
    ):
        apart = np.asarray(_mismatch(rollout, sampler, trainer))
        if np.sum(~(apart <= TOLERANCE)) > allowed * np.sum(np.asarray(rollout.mask)):
            raise RuntimeError(
                f"sampler and trainer disagree by up to {apart.max():.2g} nats about a token ({distribution}): the "
                "rollout was not written by the parameters that are trained"
            )


_log_probabilities = eqx.filter_jit(log_probabilities)
_mismatch = eqx.filter_jit(mismatch)
_drawn_log_probabilities = eqx.filter_jit(drawn_log_probabilities)
