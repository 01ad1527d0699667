"""Raw logits equal those that transformers computed for the same folders (tests/goldens/record_parity.py)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.lm.goldens import BAR, FAMILIES, FOLDER, error, loaded, recorded, run

GOLDEN_BYTES = 1_500_000


@pytest.mark.parametrize("family", FAMILIES)
def test_float32_logits(family):
    logits = run(loaded(family), family)
    assert logits.dtype == jnp.float32
    assert error(logits, family) < BAR


@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_logits(family):
    """Both are off from the float32 truth by rounding; ours by at most 1.5 times what theirs is (root mean square)."""
    model = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), loaded(family))
    golden = recorded(family)
    ours, theirs = (np.asarray(logits) - golden["float32"] for logits in (run(model, family), golden["bfloat16"]))
    assert np.sqrt(np.mean(ours**2)) < 1.5 * np.sqrt(np.mean(theirs**2))


@pytest.mark.parametrize("family", FAMILIES)
def test_goldens_have_every_constant_off_its_default(family):
    config, tokens = loaded(family).config, recorded(family)["tokens"]
    assert config.layers % len(config.pattern) != 0 or config.pattern == "G"
    assert config.epsilon != 1e-6 and config.query_scale not in (256**-0.5, 128**-0.5)
    assert config.heads > config.kv_heads
    if "L" in config.kinds:
        assert config.window is not None and 2 * config.window < len(tokens) and config.rope_local != 10_000.0
    if "G" in config.kinds:
        assert config.rope_global not in (10_000.0, 1_000_000.0)
    if family == "gemma3_text":
        assert config.rope_scale == 8.0 and config.rope_local != config.rope_global
    if family not in ("gemma", "recurrent_gemma"):
        assert config.query_scale != config.head_dim**-0.5  # as in the 27B models
    if config.attention_cap is not None:
        assert config.attention_cap < 5.0
    if family in ("gemma2", "vaultgemma", "recurrent_gemma"):
        logits = np.abs(recorded(family)["float32"])
        assert config.logit_cap is not None and logits.max() > 0.9 * config.logit_cap  # the cap bites
    if "R" in config.kinds:
        assert config.lru_width != config.width and config.conv_width != 4


def test_goldens_are_small():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()) < GOLDEN_BYTES
