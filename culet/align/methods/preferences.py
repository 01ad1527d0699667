"""Direct alignment from preferences: DPO, IPO and SLiC, on pairs of the data or of the policy itself.

Axis letters: B prompts.
"""

import dataclasses
from collections.abc import Mapping
from typing import Literal, get_args

import jax.numpy as jnp
from jaxtyping import Array, Key

from culet.align.experience import Experience, Method, Models, RolloutSource, sequence_log_probs
from culet.objectives import Loss, dpo, ipo, slic

Form = Literal["dpo", "ipo", "slic"]
_LOSS = {"dpo": dpo, "ipo": ipo, "slic": slic}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preferences(Method):
    """Learns from which of two completions was preferred.

    Offline the pairs are those of the data. Online the policy writes both and the judge says which is better, at every
    step (Guo and others 2024, 2402.04792); pairs that it finds equally good have no weight. The losses use
    log-probabilities at temperature 1, whatever the completions were drawn at.
    """

    form: Form = "dpo"
    beta: float = 0.1
    online: bool = True

    def __post_init__(self):
        if self.form not in get_args(Form):
            raise ValueError(f"form is {self.form!r}; it is one of {', '.join(map(repr, get_args(Form)))}")
        if not self.beta > 0:
            raise ValueError(f"beta is {self.beta}; it must be positive")
        object.__setattr__(self, "judged", ("policy",) if self.online else ())  # the data's first is preferred already

    def sources(self, step: int) -> Mapping[RolloutSource, int]:
        """Two completions of each prompt."""
        return {"policy" if self.online else "data": 2}

    def compute_targets(self, models: Models, experience: Experience) -> Mapping[str, Array]:
        """The reference's log-probabilities [B, 2]; the sign of the preference and its weight, 0 for ties, [B] both."""
        (rollout,) = experience.rollouts.values()
        first = jnp.ones(len(rollout.mask)) if not self.online else jnp.subtract(*experience.rewards["policy"].T)
        return {
            "reference": sequence_log_probs(models.reference, rollout),
            "sign": jnp.where(first > 0, 1.0, -1.0),
            "weights": (first != 0).astype(jnp.float32),
        }

    def loss(self, models: Models, batch: Experience, key: Key[Array, ""]) -> Loss:
        """The loss of the form, of the margin of the preferred completion over the other."""
        (rollout,) = batch.rollouts.values()
        gains = sequence_log_probs(models.policy, rollout) - batch.targets["reference"]
        margins = batch.targets["sign"] * (gains[:, 0] - gains[:, 1])
        return _LOSS[self.form](margins, batch.targets["weights"], beta=self.beta)
