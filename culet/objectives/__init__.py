"""Losses as pure functions of arrays. Each returns sums, not means, so that micro-batches add up exactly.

Names are loaded when first used. Losses of single sequences join to that of a batch by
`jax.tree.map(jnp.sum, jax.vmap(loss)(...))`, and different losses of one batch to a weighted sum by `mixture`.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.objectives.best_of_n import (
        best_of_n_kl_bound,
        best_of_n_log_probabilities,
        better_of_two,
        bond_return,
        bond_reward,
        j_bond,
        j_bond_return,
        jeffreys,
        quantiles,
    )  # fmt: skip
    from culet.objectives.inverse import (
        adversarial_reward,
        discriminator,
        inverse_q_learning,
        recovered_reward,
    )  # fmt: skip
    from culet.objectives.kl import exact_kl, kl_estimate, sampled_kl
    from culet.objectives.likelihood import (
        completion_weights,
        cross_entropy,
        soft_values,
        token_and_mean_log_probabilities,
        token_log_probabilities,
    )
    from culet.objectives.loss import Loss, Objective, Scalar, mixture
    from culet.objectives.policy_gradient import (
        clipped_value_loss,
        generalised_advantages,
        group_advantages,
        leave_one_out,
        ppo,
        reinforce,
        value_loss,
    )  # fmt: skip
    from culet.objectives.preference import bradley_terry, dpo, ipo, slic
    from culet.objectives.teacher import distillation, top_k_distillation, top_k_targets
    from culet.objectives.tokens import Per, sequence_sum, token_loss
    from culet.objectives.variational import bernoulli_cross_entropy, capacity_bound

_HOME = {
    "best_of_n": (
        "best_of_n_kl_bound", "best_of_n_log_probabilities", "better_of_two", "bond_return", "bond_reward", "j_bond",
        "j_bond_return", "jeffreys", "quantiles",
    ),
    "inverse": ("adversarial_reward", "discriminator", "inverse_q_learning", "recovered_reward"),
    "kl": ("exact_kl", "kl_estimate", "sampled_kl"),
    "likelihood": (
        "completion_weights", "cross_entropy", "soft_values", "token_and_mean_log_probabilities",
        "token_log_probabilities",
    ),
    "loss": ("Loss", "Objective", "Scalar", "mixture"),
    "policy_gradient": (
        "clipped_value_loss", "generalised_advantages", "group_advantages", "leave_one_out", "ppo", "reinforce",
        "value_loss",
    ),
    "preference": ("bradley_terry", "dpo", "ipo", "slic"),
    "teacher": ("distillation", "top_k_distillation", "top_k_targets"),
    "tokens": ("Per", "sequence_sum", "token_loss"),
    "variational": ("bernoulli_cross_entropy", "capacity_bound"),
}  # fmt: skip

__all__ = [
    "Loss", "Objective", "Per", "Scalar", "adversarial_reward", "bernoulli_cross_entropy", "best_of_n_kl_bound",
    "best_of_n_log_probabilities", "better_of_two", "bond_return", "bond_reward", "bradley_terry", "capacity_bound",
    "clipped_value_loss", "completion_weights", "cross_entropy", "discriminator", "distillation", "dpo", "exact_kl",
    "generalised_advantages", "group_advantages", "inverse_q_learning", "ipo", "j_bond",
    "j_bond_return", "jeffreys", "kl_estimate", "leave_one_out", "mixture", "ppo", "quantiles", "recovered_reward",
    "reinforce", "sampled_kl", "sequence_sum", "slic", "soft_values", "token_and_mean_log_probabilities",
    "token_log_probabilities", "token_loss", "top_k_distillation", "top_k_targets", "value_loss",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
