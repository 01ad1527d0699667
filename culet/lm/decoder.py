"""The one decoder of the Gemma line: a pattern of attention and recurrent layers between tied embeddings.

Its numbers (`DecoderConfig`), its layers (`Block`) and the whole (`Decoder`).

Axis letters: T tokens, V vocabulary, D width. In `culet.lm` also B rows of a batch, F width of the MLP; those of the
layers are in `culet.nn.attention` and `culet.nn.recurrent`.
"""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from culet.core.keys import as_key
from culet.nn import Attention, GatedMLP, KeyValueCache, RecurrentBlock, RecurrentState, RMSNorm, Rope, project

KINDS = {"L": "local attention", "G": "global attention", "R": "recurrent"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoderConfig:
    """The numbers of one decoder. `culet.lm.presets()` names the published ones.

    `pattern` is repeated and cut to `layers`: "L" attends to the last `window` tokens, "G" to all, "R" is a gated
    linear recurrence. It is kept as the shortest pattern that gives the same layers. The `family` decides only the
    names in a checkpoint, never the mathematics.
    """

    family: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_dim: int
    hidden: int  # width of the gated MLP
    vocabulary: int
    pattern: str = "G"
    window: int | None = None  # keys that a local layer sees, the token's own among them
    context: int = 8192  # longest sequence seen in training; nothing breaks past it
    rope_local: float = 10_000.0  # base wavelengths of the rotary embedding
    rope_global: float = 10_000.0
    rope_scale: float = 1.0  # positions are divided by this in global layers
    rope_fraction: float = 1.0  # fraction of the head dimension that is rotated
    query_scale: float = 0.0625  # multiplies queries
    attention_cap: float | None = None  # cap * tanh(score / cap)
    logit_cap: float | None = None
    qk_norm: bool = False
    post_norms: bool = False  # a norm after the mixer and after the MLP, before the residual sum
    biases: bool = False  # in the MLP, the recurrent block and the attention's output
    embedding_scale: float = 1.0
    lru_width: int | None = None
    lru_blocks: int | None = None  # blocks of the recurrence's gate matrices; transformers takes `heads`
    conv_width: int = 4
    epsilon: float = 1e-6
    causal: bool = True  # False: an encoder, in which a token sees what follows it too (see `culet.nn.attention`)

    def __post_init__(self):
        counts = ("layers", "width", "heads", "kv_heads", "head_dim", "hidden", "vocabulary", "context", "conv_width")
        for name in counts:
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if self.heads % self.kv_heads:
            raise ValueError(f"heads ({self.heads}) must be a multiple of kv_heads ({self.kv_heads})")
        if not self.pattern or set(self.pattern) - KINDS.keys():
            raise ValueError(f"pattern {self.pattern!r} must be a non-empty string of the letters {', '.join(KINDS)}")
        kinds = self.kinds
        shortest = next(kinds[:n] for n in range(1, self.layers + 1) if (kinds[:n] * self.layers).startswith(kinds))
        object.__setattr__(self, "pattern", shortest)  # so that configurations of the same layers are equal
        if "L" in self.kinds and (self.window is None or self.window < 1):
            raise ValueError(f"pattern {self.pattern!r} has local layers, so window must be at least 1")
        if "R" in self.kinds and ((self.lru_width or 0) < 1 or (self.lru_blocks or 0) < 1):
            raise ValueError(
                f"pattern {self.pattern!r} has recurrent layers, so lru_width and lru_blocks must be given"
            )
        if self.lru_width and self.lru_blocks and self.lru_width % self.lru_blocks:
            raise ValueError(f"lru_width ({self.lru_width}) must be a multiple of lru_blocks ({self.lru_blocks})")
        if "R" in self.kinds and not self.causal:
            raise ValueError(
                f"pattern {self.pattern!r} has recurrent layers, which run forward only, so causal=False cannot be"
            )
        if self.rotated_dim % 2:
            raise ValueError(f"the rotated part of head_dim ({self.rotated_dim}) must be even")

    @property
    def kinds(self) -> str:
        """The kind of each layer, one letter each."""
        return (self.pattern * self.layers)[: self.layers]

    @property
    def rotated_dim(self) -> int:
        """How many of the `head_dim` channels the rotary embedding turns."""
        return int(self.head_dim * self.rope_fraction)

    def init(self, key: int | Key[Array, ""]) -> "Decoder":
        """A model with random float32 weights. `key` is a seed or a JAX key."""
        return Decoder(self, key=as_key(key))


State = KeyValueCache | RecurrentState
Inputs = Int[Array, "T"] | Float[Array, "T D"]  # token ids, or embeddings in their place


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

    def __call__(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], spans: Int[Array, "T"] | None = None
    ) -> Float[Array, "T D"]:
        """A whole sequence."""
        return self._feed_forward(x, self.mixer(self.mixer_norm(x), positions, spans))

    def extend(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], state: Any, at: Int[Array, ""] | int,
        spans: Int[Array, "T"] | None = None,
    ) -> tuple[Float[Array, "T D"], State]:  # fmt: skip
        """T further tokens of a sequence; the state is of the mixer's own kind."""
        mixed, state = self.mixer.extend(self.mixer_norm(x), positions, state, at, spans)
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
        norm_epsilon=config.epsilon if config.qk_norm else None, bias=config.biases, out_scale=out_scale,
        causal=config.causal, key=key,
    )  # fmt: skip


class Decoder(eqx.Module):
    """Tokens to logits. Computes in the dtype of its weights; norms, softmax, recurrences and logits in float32.

    Three arguments recur:

    - `inputs` are token ids `[T]`, or embeddings `[T, D]` that take the place of `embed(tokens)`, for instance with the
      vectors of an image in some of its rows. They enter the first layer as they are: `embed` has already multiplied
      its vectors by `config.embedding_scale`, and nothing is multiplied again.
    - `positions` tell the documents of a packed row apart: they count up from 0 at each document's first token and are
      -1 for padding. Without them the row is one document.
    - `spans` give the same number, from 0 on, to tokens that see each other in both directions, and -1 to the others;
      `culet.nn.attention` has the rule and a table of the masks it makes.
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

    def __call__(
        self, inputs: Inputs, positions: Int[Array, "T"] | None = None, spans: Int[Array, "T"] | None = None
    ) -> Float[Array, "T V"]:
        """Next-token logits at every place of one sequence, in float32."""
        return self.logits(self.hidden(inputs, positions, spans))

    def hidden(
        self, inputs: Inputs, positions: Int[Array, "T"] | None = None, spans: Int[Array, "T"] | None = None, *,
        remat: bool = False, scan: bool = False,
    ) -> Float[Array, "T D"]:  # fmt: skip
        """The last hidden vectors, after the final norm: `logits` maps them to the vocabulary.

        `remat` keeps only the blocks' inputs for the backward pass. `scan` compiles one period of the layer pattern
        instead of every layer: much quicker to compile when deep, at the price of stacking the weights at each call.

        Raises ValueError for `spans` in a model with recurrent layers, which run forward only.
        """
        x, blocks = self._first(inputs), self.blocks
        if positions is None:
            positions = jnp.arange(x.shape[0])

        def run(x: Float[Array, "T D"], blocks: tuple[Block, ...]) -> Float[Array, "T D"]:
            for block in blocks:
                x = eqx.filter_checkpoint(block)(x, positions, spans) if remat else block(x, positions, spans)
            return x

        period = len(self.config.pattern)
        whole = len(blocks) // period * period
        if scan and whole > period:
            phases = [blocks[phase:whole:period] for phase in range(period)]
            stacked = tuple(jax.tree.map(lambda *leaves: jnp.stack(leaves), *phase) for phase in phases)
            x, _ = jax.lax.scan(lambda x, group: (run(x, group), None), x, stacked)
            blocks = blocks[whole:]
        return self.final_norm(run(x, blocks))

    def extend(
        self, inputs: Inputs, positions: Int[Array, "T"], states: tuple[State, ...], at: Int[Array, ""] | int,
        spans: Int[Array, "T"] | None = None,
    ) -> tuple[Float[Array, "T D"], tuple[State, ...]]:  # fmt: skip
        """Runs T further tokens from the states that `init_states` began.

        See `Attention.extend` for `at` and for what may not be split between two calls, and for the errors raised.
        """
        x = self._first(inputs)
        new = []
        for block, state in zip(self.blocks, states, strict=True):
            x, state = block.extend(x, positions, state, at, spans)
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

    def embed(self, tokens: Int[Array, "T"]) -> Float[Array, "T D"]:
        """Embeddings times `config.embedding_scale`, which is rounded to the weights' dtype first, as in training."""
        return self.embedding[tokens] * jnp.asarray(self.config.embedding_scale, self.embedding.dtype)

    def _first(self, inputs: Inputs) -> Float[Array, "T D"]:
        """The vectors that the first layer reads."""
        return self.embed(inputs) if inputs.ndim == 1 else inputs.astype(self.embedding.dtype)
