"""A configuration that makes no sense is refused with the reason."""

import dataclasses

import pytest

from culet.lm import DecoderConfig

GOOD = DecoderConfig(
    family="griffin", layers=4, width=16, heads=4, kv_heads=2, head_dim=8, hidden=32, vocabulary=50, pattern="RLG",
    window=4, lru_width=12, lru_blocks=3,
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers is 0"),
        ({"conv_width": 0}, "conv_width is 0"),
        ({"kv_heads": 3}, r"heads \(4\) must be a multiple of kv_heads \(3\)"),
        ({"pattern": ""}, "pattern ''"),
        ({"pattern": "LX"}, "pattern 'LX'.*letters L, G, R"),
        ({"window": None}, "local layers, so window"),
        ({"window": 0}, "local layers, so window"),
        ({"lru_width": None}, "recurrent layers, so lru_width and lru_blocks"),
        ({"lru_blocks": None}, "recurrent layers, so lru_width and lru_blocks"),
        ({"lru_blocks": 5}, r"lru_width \(12\) must be a multiple of lru_blocks \(5\)"),
        ({"head_dim": 6, "rope_fraction": 0.5}, r"rotated part of head_dim \(3\) must be even"),
    ],
    ids=str,
)
def test_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(GOOD, **changes)


def test_only_the_layers_that_there_are_count():
    global_only = dataclasses.replace(GOOD, pattern="G", window=None, lru_width=None, lru_blocks=None)
    assert global_only.kinds == "GGGG"
    assert GOOD.kinds == "RLGR"
