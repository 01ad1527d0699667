"""Records what transformers computes for one small random model of each family.

    python -m tests.goldens.record_parity        (with the `parity` extra installed)

Each folder `tests/goldens/parity/<family>` is what `save_pretrained` writes, and in `logits.npz` the tokens, the
float32 logits, and the logits of the same model in bfloat16. Every constant differs from its default, the window is
shorter than the sequence, and the layers are no multiple of the pattern.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.goldens.transformers_models import FAMILIES, load, random_model, raw_logits

FOLDER = Path(__file__).parent / "parity"
TOKENS, VOCABULARY = 24, 61

# sqrt(40) loses 0.2% when rounded to bfloat16, so that it shows where the rounding happens
SIZES: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 40, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512,
}  # fmt: skip
RECURRENT_SIZES = SIZES | {"num_attention_heads": 5, "num_key_value_heads": 1, "lru_width": 30, "intermediate_size": 96}
del RECURRENT_SIZES["head_dim"], RECURRENT_SIZES["max_position_embeddings"]

MODELS: dict[str, dict[str, Any]] = {
    "gemma": SIZES | {"num_hidden_layers": 3, "epsilon": 0.02, "rope": 300.0},
    "gemma2": SIZES
    | {"num_hidden_layers": 3, "epsilon": 0.02, "rope": 300.0, "window": 5, "scalar": 10, "caps": (2.0, 3.0)},
    "gemma3_text": SIZES
    | {"num_hidden_layers": 8, "epsilon": 0.02, "rope_local": 300.0, "rope_global": 4000.0, "factor": 8.0}
    | {"window": 5, "scalar": 10},
    "vaultgemma": SIZES | {"num_hidden_layers": 3, "epsilon": 0.02, "rope": 300.0, "scalar": 10, "caps": (2.0, 3.0)},
    "recurrent_gemma": RECURRENT_SIZES
    | {"num_hidden_layers": 5, "epsilon": 0.02, "rope": 300.0, "fraction": 0.5, "window": 5, "cap": 3.0, "taps": 3},
}


# At spread 2, transformers' own float32 logits of RecurrentGemma are 2e-3 off from its float64 ones: it computes
# 1 - exp(2 log a) where a is nearly 1.
SPREADS = dict.fromkeys(MODELS, 2.0) | {"recurrent_gemma": 1.5}


def record(family: str) -> None:
    model = random_model(FAMILIES[family](**MODELS[family]), seed=len(family), spread=SPREADS[family])
    folder = FOLDER / family
    model.save_pretrained(folder)
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, TOKENS).astype(np.int32)
    logits = raw_logits(model, tokens)
    rounded = raw_logits(load(folder, torch.bfloat16), tokens)
    np.savez(folder / "logits.npz", tokens=tokens, float32=logits, bfloat16=rounded)
    print(family, "spread", logits.std(), "bfloat16 off by", (rounded - logits).std() / logits.std())


if __name__ == "__main__":
    for family in MODELS:
        record(family)
