"""The published sizes by name, and small models of the same shape.

Sources: Gemma (2403.08295), Gemma 2 (2408.00118), Gemma 3 (2503.19786), Griffin (2402.19427, appendix C),
RecurrentGemma (2404.07839), VaultGemma (2501.18914); constants that the reports leave out are those of the released
checkpoints. `tests/lm/test_presets.py` holds the published parameter counts.
"""

import dataclasses

import ml_dtypes

from culet.lm.decoder import DecoderConfig


def _root(width: int, rounded: bool) -> float:
    """The square root of the width, rounded to bfloat16 where RecurrentGemma does."""
    return float(ml_dtypes.bfloat16(width**0.5)) if rounded else width**0.5


def _gemma(layers: int, width: int, heads: int, kv_heads: int, hidden: int) -> DecoderConfig:
    return DecoderConfig(
        family="gemma", layers=layers, width=width, heads=heads, kv_heads=kv_heads, head_dim=256, hidden=hidden,
        vocabulary=256_000, pattern="G", context=8192, query_scale=256**-0.5, embedding_scale=width**0.5,
    )  # fmt: skip


def _gemma_2(
    layers: int, width: int, heads: int, kv_heads: int, head_dim: int, hidden: int, query_width: int = 256
) -> DecoderConfig:
    return DecoderConfig(
        family="gemma2", layers=layers, width=width, heads=heads, kv_heads=kv_heads, head_dim=head_dim, hidden=hidden,
        vocabulary=256_000, pattern="LG", window=4096, context=8192, query_scale=query_width**-0.5, attention_cap=50.0,
        logit_cap=30.0, post_norms=True, embedding_scale=width**0.5,
    )  # fmt: skip


def _gemma_3(
    layers: int, width: int, heads: int, kv_heads: int, head_dim: int, hidden: int, *, window: int, context: int,
    rope_scale: float = 1.0, query_width: int = 256,
) -> DecoderConfig:  # fmt: skip
    return DecoderConfig(
        family="gemma3_text", layers=layers, width=width, heads=heads, kv_heads=kv_heads, head_dim=head_dim,
        hidden=hidden, vocabulary=262_144, pattern="LLLLLG", window=window, context=context, rope_local=10_000.0,
        rope_global=1_000_000.0, rope_scale=rope_scale, query_scale=query_width**-0.5, qk_norm=True, post_norms=True,
        embedding_scale=width**0.5,
    )  # fmt: skip


def _recurrent_gemma(layers: int, width: int, heads: int, hidden: int) -> DecoderConfig:
    return DecoderConfig(
        family="recurrent_gemma", layers=layers, width=width, heads=heads, kv_heads=1, head_dim=256, hidden=hidden,
        vocabulary=256_000, pattern="RRL", window=2048, context=8192, rope_fraction=0.5, query_scale=256**-0.5,
        logit_cap=30.0, biases=True, embedding_scale=_root(width, True),
        lru_width=width, lru_blocks=heads,
    )  # fmt: skip


def _griffin(pattern: str, layers: int, width: int, heads: int, lru_width: int) -> DecoderConfig:
    family = "griffin" if "L" in pattern else "hawk"
    return DecoderConfig(
        family=family, layers=layers, width=width, heads=heads, kv_heads=1, head_dim=128, hidden=3 * width,
        vocabulary=32_000, pattern=pattern, window=1024, context=2048, rope_fraction=0.5, query_scale=128**-0.5,
        biases=True, lru_width=lru_width, lru_blocks=16,
    )  # fmt: skip


VAULTGEMMA = DecoderConfig(
    family="vaultgemma", layers=26, width=1152, heads=4, kv_heads=4, head_dim=256, hidden=6912, vocabulary=256_000,
    pattern="G", context=1024, query_scale=256**-0.5, attention_cap=50.0, logit_cap=30.0, embedding_scale=1152**0.5,
)  # fmt: skip

# size: layers, width, heads, width of the recurrence (the paper's table of model sizes, the same for Hawk and Griffin)
GRIFFIN_SIZES = {
    "100m": (12, 768, 6, 1024),
    "200m": (12, 1024, 8, 1536),
    "400m": (12, 1536, 12, 2048),
    "1b": (24, 2048, 16, 2560),
    "3b": (24, 3072, 24, 4096),
    "7b": (32, 4096, 32, 5632),
    "14b": (40, 5120, 40, 8192),
}

PRESETS: dict[str, DecoderConfig] = {
    #                      layers width heads kv  hidden
    "gemma-2b": _gemma(18, 2048, 8, 1, 16_384),
    "gemma-7b": _gemma(28, 3072, 16, 16, 24_576),
    #                      layers width heads kv head_dim hidden
    "gemma-2-2b": _gemma_2(26, 2304, 8, 4, 256, 9216),
    "gemma-2-9b": _gemma_2(42, 3584, 16, 8, 256, 14_336),
    "gemma-2-27b": _gemma_2(46, 4608, 32, 16, 128, 36_864, query_width=4608 // 32),
    "gemma-3-270m": _gemma_3(18, 640, 4, 1, 256, 2048, window=512, context=32_768),
    "gemma-3-1b": _gemma_3(26, 1152, 4, 1, 256, 6912, window=512, context=32_768),
    "gemma-3-4b": _gemma_3(34, 2560, 8, 4, 256, 10_240, window=1024, context=131_072, rope_scale=8.0),
    "gemma-3-12b": _gemma_3(48, 3840, 16, 8, 256, 15_360, window=1024, context=131_072, rope_scale=8.0),
    "gemma-3-27b": _gemma_3(
        62, 5376, 32, 16, 128, 21_504, window=1024, context=131_072, rope_scale=8.0, query_width=5376 // 32
    ),
    "recurrent-gemma-2b": _recurrent_gemma(26, 2560, 10, 7680),
    "recurrent-gemma-9b": _recurrent_gemma(38, 4096, 16, 12_288),
    "vaultgemma-1b": VAULTGEMMA,
    **{f"griffin-{size}": _griffin("RRL", *numbers) for size, numbers in GRIFFIN_SIZES.items()},
    **{f"hawk-{size}": _griffin("R", *numbers) for size, numbers in GRIFFIN_SIZES.items()},
}


def presets() -> list[str]:
    """The names that `preset` takes."""
    return list(PRESETS)


def preset(name: str) -> DecoderConfig:
    """The configuration of a published size, such as "gemma-2-2b". Raises ValueError for an unknown name."""
    if name not in PRESETS:
        raise ValueError(f"no preset is called {name!r}; presets are {', '.join(PRESETS)}")
    return PRESETS[name]


SCALABLE = ("layers", "width", "heads", "kv_heads", "hidden", "vocabulary", "window", "context")


def scaled(
    name: str, *, layers: int = 4, width: int = 128, heads: int = 4, kv_heads: int = 2, hidden: int | None = None,
    vocabulary: int = 8192, window: int = 64, context: int = 512,
) -> DecoderConfig:  # fmt: skip
    """A small model of the shape of a preset: its pattern, norms and caps, with sizes that fit a laptop.

    Head dimension is width / heads, the MLP three times the width unless `hidden` says otherwise. Raises ValueError
    for an unknown preset, or sizes that do not divide.
    """
    base = preset(name)
    if width % (2 * heads):
        raise ValueError(f"width ({width}) must be a multiple of twice the heads ({heads})")
    recurrent = "R" in base.kinds
    head_dim = width // heads
    return dataclasses.replace(
        base, layers=layers, width=width, heads=heads, kv_heads=1 if recurrent else kv_heads, head_dim=head_dim,
        hidden=hidden or 3 * width, vocabulary=vocabulary, window=window if base.window else None, context=context,
        query_scale=head_dim**-0.5, embedding_scale=1.0 if base.embedding_scale == 1.0 else _root(width, recurrent),
        lru_width=width if recurrent else None, lru_blocks=heads if recurrent else None,
    )  # fmt: skip
