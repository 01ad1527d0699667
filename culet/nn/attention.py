"""Grouped-query attention, whole sequences at once or piece by piece with a cache.

Which key a query sees is said by two integers for each token and two settings of the layer:

    sees(q, k) = same document  and  (k <= q or same span)  and  q - k < window        in a causal layer
    sees(q, k) = same document  and  abs(q - k) < window                               in a bidirectional layer

A document starts where `positions` is 0 or less, so that each padding token is one of its own. A span is a number from
0 on that several tokens share: an image, or a prefix that is read in both directions. -1 is no span. So

    causal           no spans                     blocks (Gemma 3's images)   a number for each image, else -1
    prefix-LM        0 in the prefix, else -1     encoder (EmbeddingGemma)    `causal=False`
    packed rows      positions restart at 0       bidirectional, no window    0 everywhere, or `causal=False`

The window of a causal layer bounds only what lies before a token, as in transformers: a span longer than the window is
still seen to its end. That of a bidirectional layer bounds both sides.

Axis letters: T queries, S keys, K key/value heads, G query heads per key/value head, H head dimension,
R rows of queries (G T), D width.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key, UInt16

from culet.nn.linear import Linear
from culet.nn.norm import RMSNorm
from culet.nn.rope import Rope

MASKED = -2.3819763e38  # finite in bfloat16 too, so that a row with nothing to see stays finite
QUERY_BLOCK = 512  # queries per block once a sequence is longer than two blocks


class KeyValueCache(eqx.Module):
    """Rotated keys and values of one sequence: a ring of the last S slots, or all of them when S is the capacity.

    On a CPU bfloat16 is kept as its bits: XLA has no update of bfloat16 in place there, and would turn the whole cache
    into float32 and back for every token.
    """

    keys: Float[Array, "K S H"] | UInt16[Array, "K S H"]
    values: Float[Array, "K S H"] | UInt16[Array, "K S H"]

    @staticmethod
    def empty(kv_heads: int, slots: int, head_dim: int, dtype: jnp.dtype) -> "KeyValueCache":
        """Zeros in the form in which `dtype` is kept."""
        bits = dtype == jnp.bfloat16 and jax.default_backend() == "cpu"
        zeros = jnp.zeros((kv_heads, slots, head_dim), jnp.uint16 if bits else dtype)
        return KeyValueCache(zeros, zeros)

    def of(self, keys: Float[Array, "K T H"], values: Float[Array, "K T H"]) -> "KeyValueCache":
        """These in the form of this cache."""
        return KeyValueCache(_stored(keys, self.keys.dtype), _stored(values, self.values.dtype))

    def write(self, new: "KeyValueCache", slot: Int[Array, ""]) -> "KeyValueCache":
        """The cache with `new` in the slots from `slot` on.

        In place where the old cache is not used again, as within a loop, even if `vmap` gives each row a slot of its
        own and makes this a scatter: tests/lm/test_decode.py looks for copies in the compiled program.
        """
        return jax.tree.map(lambda old, new: jax.lax.dynamic_update_slice_in_dim(old, new, slot, axis=1), self, new)


class Attention(eqx.Module):
    """Multi-head attention with shared key/value heads (2305.13245), an optional window, norm and soft cap.

    Order of operations: norm of queries and keys, rotation, scale, product, cap, mask, softmax in float32. The top of
    this file says which keys are masked.
    """

    query: Linear
    key: Linear
    value: Linear
    output: Linear
    query_norm: RMSNorm | None
    key_norm: RMSNorm | None
    rope: Rope = eqx.field(static=True)
    kv_heads: int = eqx.field(static=True)
    head_dim: int = eqx.field(static=True)
    window: int | None = eqx.field(static=True)
    causal: bool = eqx.field(static=True)
    scale: float = eqx.field(static=True)
    cap: float | None = eqx.field(static=True)

    def __init__(
        self, width: int, heads: int, kv_heads: int, head_dim: int, *, rope: Rope, window: int | None, scale: float,
        cap: float | None, norm_epsilon: float | None, bias: bool, out_scale: float, causal: bool = True,
        key: Key[Array, ""],
    ):  # fmt: skip
        """`norm_epsilon` switches the norm of queries and keys on; `bias` is the output's, the others have none."""
        query_key, key_key, value_key, output_key = jax.random.split(key, 4)
        self.query = Linear(width, heads * head_dim, key=query_key)
        self.key = Linear(width, kv_heads * head_dim, key=key_key)
        self.value = Linear(width, kv_heads * head_dim, key=value_key)
        self.output = Linear(heads * head_dim, width, bias=bias, scale=out_scale, key=output_key)
        self.query_norm = None if norm_epsilon is None else RMSNorm(head_dim, norm_epsilon)
        self.key_norm = None if norm_epsilon is None else RMSNorm(head_dim, norm_epsilon)
        self.rope, self.kv_heads, self.head_dim = rope, kv_heads, head_dim
        self.window, self.causal, self.scale, self.cap = window, causal, scale, cap

    def __call__(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], spans: Int[Array, "T"] | None = None
    ) -> Float[Array, "T D"]:
        """Attends within a whole sequence, as `positions` and `spans` allow."""
        queries, keys, values = self._project(x, positions)
        documents = jnp.cumsum(positions <= 0)
        return self.output(self._attend_blocks(queries, keys, values, documents, spans))

    def extend(
        self, x: Float[Array, "T D"], positions: Int[Array, "T"], cache: KeyValueCache, at: Int[Array, ""] | int,
        spans: Int[Array, "T"] | None = None,
    ) -> tuple[Float[Array, "T D"], KeyValueCache]:  # fmt: skip
        """Attends from T further tokens, which take slots `at .. at + T - 1`, to themselves and to the cache.

        Slot minus position is the left padding of the row, the same for all its tokens. Pieces of more than one token
        must start at a multiple of T, and T must divide the size of a ring, so that no piece wraps around.
        `at` is the Python integer 0 for the first piece, which then does not read the cache at all. A span must lie
        within one piece: the cache does not keep spans, so a later piece with the same number begins another span.

        Raises ValueError in a bidirectional layer, whose tokens would have to see some that are still to come.
        """
        if not self.causal:
            raise ValueError("a bidirectional layer has no cache: give it the whole sequence at once")
        queries, keys, values = self._project(x, positions)
        piece = cache.of(keys.swapaxes(0, 1), values.swapaxes(0, 1))
        tokens, slots = x.shape[0], cache.keys.shape[1]
        slot = jnp.asarray(at % slots, jnp.int32)
        written = cache.write(piece, slot)
        padding = at - positions[0]
        seen_spans = spans
        if isinstance(at, int) and at == 0 and tokens > 1:
            seen, seen_positions = piece, positions
        elif tokens == 1 or self.window is None:
            seen, seen_positions = written, slot_positions(slots, at + tokens) - padding
            if spans is not None:
                seen_spans = jax.lax.dynamic_update_slice_in_dim(jnp.full(slots, -1), spans.astype(int), slot, axis=0)
        else:  # the piece may overwrite ring slots that its first tokens still see
            seen = jax.tree.map(lambda old, new: jnp.concatenate([old, new], axis=1), cache, piece)
            seen_positions = jnp.concatenate([slot_positions(slots, at) - padding, positions])
            if spans is not None:
                seen_spans = jnp.concatenate([jnp.full(slots, -1), spans])
        mask = (seen_positions >= 0)[None, :] & self._reach(positions, seen_positions, spans, seen_spans)
        return self.output(self._attend(queries, seen.keys, seen.values, mask)), written

    def init_cache(self, capacity: int, piece: int, dtype: jnp.dtype) -> KeyValueCache:
        """An empty cache for `capacity` tokens given in pieces of `piece`, no larger than the window needs."""
        slots = capacity if self.window is None else min(capacity, -(-self.window // piece) * piece)
        return KeyValueCache.empty(self.kv_heads, slots, self.head_dim, dtype)

    def _project(self, x, positions):
        """Rotated queries [T K G H] and keys [T K H], values [T K H]."""
        tokens = x.shape[0]
        queries = self.query(x).reshape(tokens, -1, self.head_dim)
        keys = self.key(x).reshape(tokens, self.kv_heads, self.head_dim)
        values = self.value(x).reshape(tokens, self.kv_heads, self.head_dim)
        if self.query_norm is not None and self.key_norm is not None:
            queries, keys = self.query_norm(queries), self.key_norm(keys)
        queries, keys = self.rope(queries, positions), self.rope(keys, positions)
        return queries.reshape(tokens, self.kv_heads, -1, self.head_dim), keys, values

    def _reach(
        self, queries: Int[Array, "T"], keys: Int[Array, "S"], query_spans: Int[Array, "T"] | None,
        key_spans: Int[Array, "S"] | None,
    ) -> Bool[Array, "T S"]:  # fmt: skip
        """Which places the rules at the top of this file let see which, documents aside."""
        distance = queries[:, None] - keys[None, :]
        if not self.causal:
            return jnp.ones_like(distance, bool) if self.window is None else jnp.abs(distance) < self.window
        seen = distance >= 0
        if query_spans is not None and key_spans is not None:
            seen |= (query_spans[:, None] == key_spans[None, :]) & (query_spans >= 0)[:, None]
        return seen if self.window is None else seen & (distance < self.window)

    def _attend(self, queries, keys, values, mask: Bool[Array, "T S"]) -> Float[Array, "T N"]:
        """Softmax attention of queries [T K G H] over keys and values [K S H], which may come from a cache."""
        if queries.shape[0] == 1:
            return self._attend_one(queries[0], keys, values, mask[0])[None]
        keys, values = _loaded(keys), _loaded(values)
        tokens, kv_heads, heads, size = queries.shape
        # The heads of a group stand one below the other, R = G T rows: a CPU takes a third of the time for fewer,
        # larger products.
        rows = queries.transpose(1, 2, 0, 3).reshape(kv_heads, -1, size)
        scores = jnp.einsum("krh,ksh->krs", rows, keys, preferred_element_type=jnp.float32)
        weights = self._weights(scores.reshape(kv_heads, heads, tokens, -1), mask[None, None])
        out = jnp.einsum("krs,ksh->krh", weights.reshape(scores.shape).astype(values.dtype), values)
        return out.reshape(kv_heads, heads, tokens, size).transpose(2, 0, 1, 3).reshape(tokens, -1)

    def _attend_one(self, queries, keys, values, mask: Bool[Array, "S"]) -> Float[Array, "N"]:
        """The same for a single token's queries [K G H].

        A CPU has no fast kernel for batched products as narrow as G: it takes a product per query head for the scores,
        and a multiply and sum for the values, which reads the cache where it lies (benchmarks/decode.py).
        """
        dtype, keys, values = queries.dtype, _loaded(keys, wide=True), _loaded(values, wide=True)
        queries = queries.astype(keys.dtype)
        scores = jnp.stack(
            [jnp.einsum("kh,ksh->ks", queries[:, head], keys, preferred_element_type=jnp.float32)
             for head in range(queries.shape[1])], axis=1,
        )  # fmt: skip
        weights = self._weights(scores, mask[None, None]).astype(dtype).astype(jnp.float32)
        out = jnp.sum(weights[..., None] * values[:, None].astype(jnp.float32), axis=2)
        return out.astype(dtype).reshape(-1)

    def _weights(
        self, scores: Float[Array, "K G *tokens S"], mask: Bool[Array, "1 1 *tokens S"]
    ) -> Float[Array, "K G *tokens S"]:
        """Scale, cap, mask and softmax, in float32."""
        scores = scores * self.scale
        if self.cap is not None:
            scores = self.cap * jnp.tanh(scores / self.cap)
        return jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=-1)

    def _attend_blocks(self, queries, keys, values, documents: Int[Array, "T"], spans: Int[Array, "T"] | None):
        """Whole-sequence attention; a long one goes block by block, so that scores are never `T x T` in memory."""
        tokens, keys, values = queries.shape[0], keys.swapaxes(0, 1), values.swapaxes(0, 1)

        def mask(query_at: Int[Array, "T"], key_at: Int[Array, "S"]) -> Bool[Array, "T S"]:
            of_queries, of_keys = (None, None) if spans is None else (spans[query_at], spans[key_at])
            same_document = documents[query_at][:, None] == documents[key_at][None, :]
            return self._reach(query_at, key_at, of_queries, of_keys) & same_document

        if tokens <= 2 * QUERY_BLOCK:
            return self._attend(queries, keys, values, mask(jnp.arange(tokens), jnp.arange(tokens)))
        blocks = -(-tokens // QUERY_BLOCK)
        if self.window is None or (spans is not None and self.causal):  # how far a span reaches ahead is not known
            before, near = tokens, tokens
        else:
            before = self.window - 1
            near = min(tokens, QUERY_BLOCK + before * (1 if self.causal else 2))

        @jax.checkpoint
        def block(start):
            query_at = jnp.minimum(start + jnp.arange(QUERY_BLOCK), tokens - 1)
            first = jnp.clip(start - before, 0, tokens - near)
            near_keys, near_values = (jax.lax.dynamic_slice_in_dim(x, first, near, axis=1) for x in (keys, values))
            return self._attend(queries[query_at], near_keys, near_values, mask(query_at, first + jnp.arange(near)))

        out = jax.lax.map(block, jnp.arange(blocks) * QUERY_BLOCK)
        return out.reshape(blocks * QUERY_BLOCK, -1)[:tokens]


def _stored(x: Array, dtype: jnp.dtype) -> Array:
    return jax.lax.bitcast_convert_type(x.astype(jnp.bfloat16), dtype) if dtype == jnp.uint16 else x.astype(dtype)


def _loaded(x: Array, wide: bool = False) -> Array:
    """What was stored, as numbers; with `wide`, bits become float32: exact, and what a CPU computes in anyway."""
    if x.dtype != jnp.uint16:
        return x
    if wide:  # bfloat16 is the upper half of float32
        return jax.lax.bitcast_convert_type(x.astype(jnp.uint32) << 16, jnp.float32)
    return jax.lax.bitcast_convert_type(x, jnp.bfloat16)


def slot_positions(slots: int, filled: Int[Array, ""] | int) -> Int[Array, "S"]:
    """Which token each slot of a ring holds after `filled` tokens: the latest one that fits; negative if none."""
    last = filled - 1
    return last - (last - jnp.arange(slots)) % slots
