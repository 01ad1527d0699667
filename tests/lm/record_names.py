"""Records, in `names.json`, the config.json and the tensor shapes of one tiny transformers model of each family.

Run `python -m tests.lm.record_names` where torch and transformers are installed. `make parity` compares the record with
the transformers at hand.
"""

import json
from pathlib import Path

RECORD = Path(__file__).parent / "names.json"
SIZES = {"vocab_size": 40, "hidden_size": 24, "intermediate_size": 32, "num_attention_heads": 4, "head_dim": 8}
MODELS = {
    "gemma": {"num_hidden_layers": 2, "num_key_value_heads": 1},
    "gemma2": {"num_hidden_layers": 2, "num_key_value_heads": 2},
    "gemma3_text": {"num_hidden_layers": 2, "num_key_value_heads": 2, "layer_types": ["full_attention"] * 2},
    "vaultgemma": {"num_hidden_layers": 2, "num_key_value_heads": 4},
    "recurrent_gemma": {"num_hidden_layers": 3, "num_key_value_heads": 1, "lru_width": 16},
}


def build(family):
    """The transformers model, without storage, and its config.json."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(family, **SIZES, **MODELS[family])
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    return model, json.loads(config.to_json_string())


def record(family):
    """What stands in `names.json` for one family. The output head is left out: it is the embedding."""
    model, config = build(family)
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
    return {"config": config | {"transformers_version": None}, "shapes": shapes}


if __name__ == "__main__":
    RECORD.write_text(json.dumps({family: record(family) for family in MODELS}, indent=1) + "\n")
