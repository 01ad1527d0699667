"""The one decoder of the Gemma line: a pattern of attention and recurrent layers between tied embeddings.

Axis letters: T tokens, V vocabulary, D width.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from culet.lm.config import DecoderConfig
from culet.nn import Attention, GatedMLP, KeyValueCache, RecurrentBlock, RecurrentState, RMSNorm, Rope, project

State = KeyValueCache | RecurrentState


class Block(eqx.Module):
    """A mixer and an MLP, each in a residual branch: norm, map, and in Gemma 2 and 3 a second norm."""

    mixer_norm: RMSNorm
    mixer: Attention | RecurrentBlock
    mixer_post_norm: RMSNorm | None
    mlp_norm: RMSNorm
    mlp: GatedMLP
    mlp_post_norm: RMSNorm | None

    def __init__(self, config: DecoderConfig, kind: str, *, key: Key[Array, ""]):
        """`kind` is one letter of the pattern."""
        mixer_key, mlp_key = jax.random.split(key)
        out_scale = (2 * config.layers) ** -0.5
        self.mixer = _mixer(config, kind, out_scale, mixer_key)
        self.mlp = GatedMLP(config.width, config.hidden, bias=config.biases, out_scale=out_scale, key=mlp_key)
        self.mixer_norm, self.mlp_norm = (RMSNorm(config.width, config.epsilon) for _ in range(2))
        self.mixer_post_norm, self.mlp_post_norm = (
            RMSNorm(config.width, config.epsilon) if config.post_norms else None for _ in range(2)
        )

    def __call__(self, x: Float[Array, "T D"], positions: Int[Array, "T"]) -> Float[Array, "T D"]:
        """A whole sequence."""
        return self._feed_forward(x, self.mixer(self.mixer_norm(x), positions))

    def extend(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], state: Any, at: Int[Array, ""] | int
    ) -> tuple[Float[Array, "T D"], State]:
        """T further tokens of a sequence; the state is of the mixer's own kind."""
        mixed, state = self.mixer.extend(self.mixer_norm(x), positions, state, at)
        return self._feed_forward(x, mixed), state

    def _feed_forward(self, x: Float[Array, "T D"], mixed: Float[Array, "T D"]) -> Float[Array, "T D"]:
        x = x + (mixed if self.mixer_post_norm is None else self.mixer_post_norm(mixed))
        fed = self.mlp(self.mlp_norm(x))
        return x + (fed if self.mlp_post_norm is None else self.mlp_post_norm(fed))


def _mixer(config: DecoderConfig, kind: str, out_scale: float, key: Key[Array, ""]) -> Attention | RecurrentBlock:
    if kind == "R":
        assert config.lru_width is not None and config.lru_blocks is not None
        return RecurrentBlock(
            config.width, config.lru_width, config.lru_blocks, config.conv_width,
            bias=config.biases, out_scale=out_scale, key=key,
        )  # fmt: skip
    local = kind == "L"
    rope = Rope(
        dim=config.rotated_dim,
        base=config.rope_local if local else config.rope_global,
        scale=1.0 if local else config.rope_scale,
    )
    return Attention(
        config.width, config.heads, config.kv_heads, config.head_dim, rope=rope,
        window=config.window if local else None, scale=config.query_scale, cap=config.attention_cap,
        norm_epsilon=config.epsilon if config.qk_norm else None, bias=config.biases, out_scale=out_scale, key=key,
    )  # fmt: skip


class Decoder(eqx.Module):
    """Tokens to logits. Computes in the dtype of its weights; norms, softmax, recurrences and logits in float32.

    `positions` tell the documents of a packed row apart: they count up from 0 at each document's first token and are
    -1 for padding. Without them the row is one document.
    """

    embedding: Float[Array, "V D"]
    blocks: tuple[Block, ...]
    final_norm: RMSNorm
    config: DecoderConfig = eqx.field(static=True)

    def __init__(self, config: DecoderConfig, *, key: Key[Array, ""]):
        """Random float32 weights."""
        embedding_key, *block_keys = jax.random.split(key, config.layers + 1)
        self.embedding = jax.random.normal(embedding_key, (config.vocabulary, config.width)) * config.width**-0.5
        self.blocks = tuple(
            Block(config, kind, key=block_key) for kind, block_key in zip(config.kinds, block_keys, strict=True)
        )
        self.final_norm = RMSNorm(config.width, config.epsilon)
        self.config = config

    def __call__(self, tokens: Int[Array, "T"], positions: Int[Array, "T"] | None = None) -> Float[Array, "T V"]:
        """Next-token logits at every place of one sequence, in float32."""
        return self.logits(self.hidden(tokens, positions))

    def hidden(
        self, tokens: Int[Array, "T"], positions: Int[Array, "T"] | None = None, *, remat: bool = False,
        scan: bool = False,
    ) -> Float[Array, "T D"]:  # fmt: skip
        """What `logits` maps to the vocabulary.

        `remat` keeps only the blocks' inputs for the backward pass. `scan` compiles one period of the layer pattern
        instead of every layer: much quicker to compile when deep, at the price of stacking the weights at each call.
        """
        if positions is None:
            positions = jnp.arange(tokens.shape[0])

        def run(x: Float[Array, "T D"], blocks: tuple[Block, ...]) -> Float[Array, "T D"]:
            for block in blocks:
                x = eqx.filter_checkpoint(block)(x, positions) if remat else block(x, positions)
            return x

        x, blocks = self._embed(tokens), self.blocks
        period = len(self.config.pattern)
        whole = len(blocks) // period * period
        if scan and whole > period:
            phases = [blocks[phase:whole:period] for phase in range(period)]
            stacked = tuple(jax.tree.map(lambda *leaves: jnp.stack(leaves), *phase) for phase in phases)
            x, _ = jax.lax.scan(lambda x, group: (run(x, group), None), x, stacked)
            blocks = blocks[whole:]
        return self.final_norm(run(x, blocks))

    def extend(
        self, tokens: Int[Array, "T"], positions: Int[Array, "T"], states: tuple[State, ...], at: Int[Array, ""] | int
    ) -> tuple[Float[Array, "T D"], tuple[State, ...]]:
        """Runs T further tokens from the states that `init_states` began; see `Attention.extend` for `at`."""
        x = self._embed(tokens)
        new = []
        for block, state in zip(self.blocks, states, strict=True):
            x, state = block.extend(x, positions, state, at)
            new.append(state)
        return self.final_norm(x), tuple(new)

    def init_states(self, capacity: int, piece: int) -> tuple[State, ...]:
        """Empty states for one sequence of at most `capacity` tokens, fed in pieces of `piece` tokens or of one."""
        dtype = self.embedding.dtype
        return tuple(
            block.mixer.init_cache(dtype)
            if isinstance(block.mixer, RecurrentBlock)
            else block.mixer.init_cache(capacity, piece, dtype)
            for block in self.blocks
        )

    def logits(self, hidden: Float[Array, "T D"]) -> Float[Array, "T V"]:
        """The product with the embeddings and the soft cap, in float32."""
        logits = project(self.embedding, hidden, jnp.float32)
        cap = self.config.logit_cap
        return logits if cap is None else cap * jnp.tanh(logits / cap)

    def _embed(self, tokens: Int[Array, "T"]) -> Float[Array, "T D"]:
        """Scaled embeddings; the scale is rounded to the weights' dtype first, as the checkpoints were trained."""
        return self.embedding[tokens] * jnp.asarray(self.config.embedding_scale, self.embedding.dtype)
