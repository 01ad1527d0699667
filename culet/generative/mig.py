"""The mutual information gap: whether one latent stands for one factor.

Chen, Li, Grosse and Duvenaud (2018, 1802.04942, section 4).

Axis letters: N examples, Z latents, F factors.
"""

import numpy as np
from jaxtyping import Float, Int

BINS = 20


def mutual_information(
    codes: Float[np.ndarray, "N Z"], factors: Int[np.ndarray, "_ F"], bins: int = BINS
) -> tuple[Float[np.ndarray, "Z F"], Float[np.ndarray, "F"]]:
    """The mutual information of each latent and each factor, and the entropy of each factor, in nats, from counts.

    Latents are cut into `bins` of equal width between their least and greatest value; factors are classes.

    Raises ValueError for codes that are not finite, for rows that do not match, and for a factor with one value only.
    """
    if len(codes) != len(factors) or not len(codes):
        raise ValueError(f"{len(codes)} codes do not go with {len(factors)} rows of factors")
    if not np.isfinite(codes).all():
        raise ValueError("codes must be finite")
    binned = np.stack([_binned(column, bins) for column in codes.T], axis=1)
    classes = np.stack([np.unique(column, return_inverse=True)[1] for column in factors.T], axis=1)
    if (classes.max(axis=0) == 0).any():
        raise ValueError(f"factor {int(np.argmin(classes.max(axis=0)))} has one value only (entropy 0); leave it out")
    information = [[_information(z, f) for f in classes.T] for z in binned.T]
    return np.array(information), np.array([_information(f, f) for f in classes.T])


def mutual_information_gap(
    codes: Float[np.ndarray, "N Z"], factors: Int[np.ndarray, "_ F"], bins: int = BINS
) -> Float[np.ndarray, "F"]:
    """For each factor, the mutual information of the best latent less that of the next, as a part of the entropy.

    The score usually quoted is the mean over the factors. Raises as `mutual_information`, and for fewer than two
    latents.
    """
    if codes.shape[1] < 2:
        raise ValueError("a gap needs two latents at least")
    information, entropy = mutual_information(codes, factors, bins)
    ordered = np.sort(information, axis=0)
    return (ordered[-1] - ordered[-2]) / entropy


def _binned(column: np.ndarray, bins: int) -> np.ndarray:
    low, high = float(column.min()), float(column.max())
    if high <= low:
        return np.zeros(len(column), np.int64)
    return np.minimum((bins * ((column.astype(np.float64) - low) / (high - low))).astype(np.int64), bins - 1)


def _information(ones: np.ndarray, others: np.ndarray) -> float:
    """Mutual information of two columns of classes 0, 1, 2, ..., in nats."""
    joint = np.zeros((ones.max() + 1, others.max() + 1))
    np.add.at(joint, (ones, others), 1 / len(ones))
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    return float(np.sum(joint[there] * np.log(joint[there] / apart[there])))
