"""Linear recurrences: `python -m benchmarks.recurrent`.

The RecurrentGemma shape at the size of `benchmarks.models` against transformers, a forward pass and reading a prompt
of 2,048 tokens (bar 5, twice). Then Griffin alone: what a token costs with 16K tokens before it, compared with 1K
(bar: 5% more). The limit of the first two is the arithmetic of their matrices at the speed of a large product, that of
the last the reading of all weights from memory.
"""

import statistics
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models import RECURRENT_GEMMA, pair, parameters, random_tokens
from benchmarks.timing import arguments, arithmetic, bandwidth, by_turns, report, seconds
from culet.lm import Decoder, preset
from culet.lm.decode import Decoding, advance, start
from culet.lm.sampling import Sampling

NEW = 64


def ours(model: Decoder, tokens: np.ndarray) -> Callable[[], Mapping[str, float]]:
    """Seconds of all logits of the rows, and of reading them as prompts."""
    forward = eqx.filter_jit(lambda model, tokens: jax.vmap(model)(tokens))

    def run() -> Mapping[str, float]:
        return {
            "forward": seconds(lambda: forward(model, tokens).block_until_ready()),
            "reading": seconds(lambda: _read(model, tokens).hidden.block_until_ready()),
        }

    return run


def theirs(model: Any, tokens: np.ndarray) -> Callable[[], Mapping[str, float]]:
    """The same with transformers; a cache holds what reading leaves behind."""
    import torch

    ids = torch.tensor(tokens, dtype=torch.long)

    @torch.inference_mode()
    def run() -> Mapping[str, float]:
        return {
            "forward": seconds(lambda: model(ids, use_cache=False)),
            "reading": seconds(lambda: model(ids, use_cache=True, logits_to_keep=1)),
        }

    return run


def griffin(model: Decoder, context: int, new: int) -> Callable[[], Mapping[str, float]]:
    """Seconds per token written after `context` tokens, which are read once."""
    kept = _read(model, random_tokens(model.config, 1, context), new)

    def run() -> Mapping[str, float]:
        decoding: Decoding = jax.tree.map(jnp.copy, kept)  # writing donates its states
        jax.block_until_ready(decoding)
        stop = jnp.full((1,), -1)
        return {"token": seconds(lambda: jax.block_until_ready(advance(model, decoding, Sampling(), stop, new))) / new}

    return run


def _read(model: Decoder, tokens: np.ndarray, new: int = 1) -> Decoding:
    keys = jax.random.split(jax.random.key(0), len(tokens))
    return start(model, tokens.tolist(), new, keys, track_seen=False)


def main() -> None:
    """One table."""
    chosen = arguments(__doc__)
    length, new = (512, 16) if chosen.quick else (2048, NEW)
    rows, result = [], {}
    with pair(RECURRENT_GEMMA) as (model, peer):
        tokens = random_tokens(RECURRENT_GEMMA, 1, length)
        found, first = by_turns({"ours": ours(model, tokens), "theirs": theirs(peer, tokens)}, chosen.repeats)
        size, embeddings = parameters(model), model.embedding.size
    rate = arithmetic()
    for name, used in (("forward", size), ("reading", size - embeddings)):  # reading needs no logits
        speed = {side: length / statistics.median(found[f"{side} {name}"]) for side in ("ours", "theirs")}
        times = speed["ours"] / speed["theirs"]
        rows.append([f"{name} {length} tokens", speed["ours"], speed["theirs"], times, 5.0, rate / (2 * used)])
        result[name] = {**speed, "ratio": times, "bar": 5.0, "limit": rate / (2 * used)}
    result |= {"first_seconds": first["ours"], "parameters": size}
    model = preset("griffin-100m").init(jax.random.key(0))
    limit = bandwidth() / (4 * parameters(model))
    make = partial(griffin, model, new=new)
    found, _ = by_turns({"1K": make(1024), "16K": make(16 * 1024)}, chosen.repeats)
    short, long = (statistics.median(found[f"{side} token"]) for side in ("1K", "16K"))
    cost = statistics.median(b / a for a, b in zip(found["1K token"], found["16K token"], strict=True))
    rows.append(["Griffin after 16K (theirs: after 1K)", 1 / long, 1 / short, 1 / cost, 1 / 1.05, limit])
    result["griffin"] = {"after_1K": 1 / short, "after_16K": 1 / long, "cost": cost, "bar": 1.05, "limit": limit}
    columns = ["what", "ours tok/s", "theirs tok/s", "ratio", "bar", "limit tok/s"]
    report("recurrent", columns, rows, result)


if __name__ == "__main__":
    main()
