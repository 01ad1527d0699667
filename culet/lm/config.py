"""What distinguishes one decoder of the Gemma line from another: numbers only.

Axis letters used throughout `culet.lm`: T tokens, V vocabulary, D width, F MLP width, K key/value heads, G query heads
per key/value head, H head dimension, C recurrent width, S cache slots.
"""

import dataclasses
from typing import TYPE_CHECKING

from jaxtyping import Array, Key

if TYPE_CHECKING:
    from culet.lm.decoder import Decoder

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
    rope_fraction: float = 1.0  # share of the head dimension that is rotated
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

    def init(self, key: Key[Array, ""]) -> "Decoder":
        """A model with random float32 weights."""
        from culet.lm.decoder import Decoder

        return Decoder(self, key=key)
