"""Losses as pure functions of arrays. Each returns sums over tokens, so that micro-batches add up exactly."""

from culet.objectives.distillation import distillation, top_k_distillation, top_k_targets
from culet.objectives.likelihood import completion_weights, cross_entropy, token_log_probabilities
from culet.objectives.loss import Loss, Objective, mixture

__all__ = [
    "Loss",
    "Objective",
    "completion_weights",
    "cross_entropy",
    "distillation",
    "mixture",
    "token_log_probabilities",
    "top_k_distillation",
    "top_k_targets",
]
