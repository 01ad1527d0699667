"""A training step against transformers: `python -m benchmarks.train_step`.

131M parameters of the Gemma 2 shape in float32, 4 rows of 256 tokens: forward, backward and AdamW. The bar is 1.0 of
transformers with `torch.optim.AdamW`, fused or not, whichever is faster.
"""

import statistics
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.models import GEMMA_2, pair, parameters, random_tokens
from benchmarks.timing import arguments, by_turns, ratio, report, seconds
from culet.core import TrainState, adamw, training_step
from culet.lm import Decoder
from culet.lm.losses import next_token

ROWS, TOKENS = 4, 256
RATE, DECAY, BETAS = 1e-4, 0.1, (0.9, 0.95)


def ours(model: Decoder, tokens: np.ndarray, losses: list[float]) -> Callable[[], Mapping[str, float]]:
    """Seconds of one step, its state donated as in `culet.core.fit`."""
    optimizer = adamw(RATE, weight_decay=DECAY, b1=BETAS[0], b2=BETAS[1])
    step = jax.jit(training_step(next_token(), optimizer), donate_argnums=0)
    state = TrainState.create(jax.tree.map(jnp.copy, model), optimizer, jax.random.key(0))
    positions = np.broadcast_to(np.arange(TOKENS, dtype=np.int32), (ROWS, TOKENS))
    batch = {
        "inputs": tokens[:, :-1], "targets": tokens[:, 1:], "positions": positions,
        "weights": np.ones((ROWS, TOKENS), np.float32),
    }  # fmt: skip

    def run() -> Mapping[str, float]:
        def one() -> None:
            nonlocal state
            state, metrics = step(state, batch)
            losses.append(float(jax.block_until_ready((state, metrics))[1]["loss"]))

        return {"step": seconds(one)}

    return run


def theirs(model: Any, tokens: np.ndarray, losses: list[float], fused: bool) -> Callable[[], Mapping[str, float]]:
    """Seconds of one step on the same rows, the loss computed from the logits as transformers does."""
    import torch

    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=BETAS, fused=fused)
    inputs, targets = (torch.tensor(part, dtype=torch.long) for part in (tokens[:, :-1], tokens[:, 1:]))

    def run() -> Mapping[str, float]:
        def one() -> None:
            logits = model(inputs, use_cache=False).logits
            loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
            loss.backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            losses.append(loss.item())

        return {"step": seconds(one)}

    return run


def main() -> None:
    """One table; the losses of the first steps must agree."""
    chosen = arguments(__doc__)
    tokens = random_tokens(GEMMA_2, ROWS, TOKENS + 1)
    with pair(GEMMA_2) as (model, peer):
        mine: list[float] = []
        yours: list[float] = []
        sides = {"ours": ours(model, tokens, mine), "theirs": theirs(peer.train(), tokens, yours, True)}
        found, first = by_turns(sides, chosen.repeats)
        plain, _ = by_turns({"theirs": theirs(peer, tokens, [], False)}, 2)
    speed = {side: ROWS * TOKENS / statistics.median(found[f"{side} step"]) for side in sides}
    unfused = ROWS * TOKENS / statistics.median(plain["theirs step"])
    times = ratio(found, "step") * min(1.0, speed["theirs"] / unfused)
    flops = 6 * parameters(model) * speed["ours"] / 1e9
    rows = [["training step", speed["ours"], speed["theirs"], unfused, times, 1.0, flops]]
    columns = ["what", "ours tok/s", "theirs tok/s, fused", "theirs tok/s, not fused", "ratio", "bar", "ours GFLOP/s"]
    result = {**speed, "theirs_not_fused": unfused, "ratio": times, "bar": 1.0, "gflops": flops}
    result |= {"first_seconds": first["ours"], "losses": mine[:2], "peer_losses": yours[:2]}
    report("train_step", columns, rows, result)


if __name__ == "__main__":
    main()
