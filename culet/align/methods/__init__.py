"""Algorithms of post-training: each says which models write, which completions get rewards, and the loss."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.align.methods.best_of_n import BestOfN, Bond, JBond
    from culet.align.methods.imitation import Adversarial, InverseQLearning, token_rewards
    from culet.align.methods.policy_gradient import GroupRelative, ProximalPolicy, Reinforce
    from culet.align.methods.preferences import Preferences
    from culet.align.methods.teachers import Distil, Likelihood

_HOME = {
    "best_of_n": ("BestOfN", "Bond", "JBond"),
    "imitation": ("Adversarial", "InverseQLearning", "token_rewards"),
    "preferences": ("Preferences",),
    "policy_gradient": ("GroupRelative", "ProximalPolicy", "Reinforce"),
    "teachers": ("Distil", "Likelihood"),
}

__all__ = [
    "Adversarial",
    "BestOfN",
    "Bond",
    "Distil",
    "GroupRelative",
    "InverseQLearning",
    "JBond",
    "Likelihood",
    "Preferences",
    "ProximalPolicy",
    "Reinforce",
    "token_rewards",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
