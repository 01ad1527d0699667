"""The layers: linear maps, norms, attention, recurrences. Each acts on one sequence; batches come from `vmap`."""

from culet.nn.attention import Attention, KeyValueCache
from culet.nn.linear import Linear, project
from culet.nn.lora import LoRA, LoRALinear, add_lora, lora_filter, merge_lora
from culet.nn.mlp import GatedMLP
from culet.nn.norm import RMSNorm
from culet.nn.recurrent import GatedRecurrence, RecurrentBlock, RecurrentState
from culet.nn.rope import Rope
from culet.nn.scan import linear_scan

__all__ = [
    "Attention",
    "GatedMLP",
    "GatedRecurrence",
    "KeyValueCache",
    "Linear",
    "LoRA",
    "LoRALinear",
    "RMSNorm",
    "RecurrentBlock",
    "RecurrentState",
    "Rope",
    "add_lora",
    "linear_scan",
    "lora_filter",
    "merge_lora",
    "project",
]
