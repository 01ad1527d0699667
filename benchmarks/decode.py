"""Reading prompts and writing tokens against transformers: `python -m benchmarks.decode`.

131M parameters of the Gemma 2 shape in float32, prompts of 128 tokens, 128 new ones, greedy, at batch 1 and 8. The
bars, as multiples of transformers: writing 1.2 at batch 1 and 2 at batch 8, reading 1. Every weight is read once for
each new token of a batch, so that memory bandwidth is the limit.
"""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models import GEMMA_2, pair, parameters, random_tokens
from benchmarks.timing import arguments, bandwidth, by_turns, ratio, report
from culet.lm import Decoder
from culet.lm.decode import advance, start
from culet.lm.sampling import Sampling

PROMPT, NEW = 128, 128
TRIALS = 3  # turns of each of the peer's caches, to find the faster
BARS = {("reading", 1): 1.0, ("reading", 8): 1.0, ("writing", 1): 1.2, ("writing", 8): 2.0}


def ours(model: Decoder, prompts: np.ndarray, new: int, written: list[np.ndarray]) -> Callable[[], Mapping[str, float]]:
    """Seconds of reading (with the first token's logits, which transformers' reading has too) and per new token."""
    first_logits = eqx.filter_jit(lambda model, hidden: jax.vmap(lambda h: model.logits(h[None]))(hidden))
    keys = jax.random.split(jax.random.key(0), len(prompts))

    def run() -> Mapping[str, float]:
        begin = time.perf_counter()
        decoding = start(model, prompts.tolist(), NEW, keys, track_seen=False)
        first_logits(model, decoding.hidden).block_until_ready()
        read = time.perf_counter()
        decoding = advance(model, decoding, Sampling(), jnp.full((1,), -1), new)
        written[:] = [np.asarray(decoding.tokens[:, :new])]
        return {"reading": read - begin, "writing": (time.perf_counter() - read) / new}

    return run


def theirs(model: Any, prompts: np.ndarray, new: int, written: list[np.ndarray], cache: str) -> Callable[[], Mapping]:
    """Seconds of reading, and per new token after the first, as `generate` delivers them."""
    import torch

    ids = torch.tensor(prompts, dtype=torch.long)

    @torch.inference_mode()
    def run() -> Mapping[str, float]:
        begin = time.perf_counter()
        model(ids, use_cache=True, logits_to_keep=1)
        read = time.perf_counter() - begin
        times = []

        def note(ids: Any, scores: Any, **rest: Any) -> Any:
            times.append(time.perf_counter())
            return torch.zeros(len(ids), dtype=torch.bool)

        out = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=new, min_new_tokens=new, do_sample=False,
            cache_implementation=cache, stopping_criteria=[note],
        )  # fmt: skip
        written[:] = [out[:, ids.shape[1] :].numpy()]
        return {"reading": read, "writing": (times[-1] - times[0]) / (new - 1)}

    return run


def main() -> None:
    """Both batch sizes, one table."""
    chosen = arguments(__doc__)
    new = 16 if chosen.quick else NEW
    rows, result = [], {}
    with pair(GEMMA_2) as (model, peer):
        limit = bandwidth() / (4 * parameters(model))
        for batch in (1, 8):
            prompts = random_tokens(GEMMA_2, batch, PROMPT)
            mine: list[np.ndarray] = []
            yours: list[np.ndarray] = []
            caches = {cache: theirs(peer, prompts, new, yours, cache) for cache in ("dynamic", "static")}
            tried, _ = by_turns(caches, TRIALS)
            cache = min(caches, key=lambda cache: min(tried[f"{cache} writing"]))
            found, first = by_turns({"ours": ours(model, prompts, new, mine), "theirs": caches[cache]}, chosen.repeats)
            agreed = float(np.mean(mine[0] == yours[0]))
            for name, tokens in (("reading", batch * PROMPT), ("writing", batch)):
                speed = {side: tokens / statistics.median(found[f"{side} {name}"]) for side in ("ours", "theirs")}
                times, bar = ratio(found, name), BARS[name, batch]
                cap = limit * batch if name == "writing" else "-"
                rows.append([name, batch, speed["ours"], speed["theirs"], times, bar, cap])
                result[f"{name}_{batch}"] = {**speed, "ratio": times, "bar": bar}
            result[f"batch_{batch}"] = {"first_seconds": first["ours"], "peer_cache": cache, "same_tokens": agreed}
    result["bandwidth_limit_per_row"] = limit
    columns = ["what", "batch", "ours tok/s", "theirs tok/s", "ratio", "bar", "bandwidth limit tok/s"]
    report("decode", columns, rows, result)


if __name__ == "__main__":
    main()
