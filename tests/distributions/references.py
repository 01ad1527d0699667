"""What the members of `members.py` are compared with where scipy has no such distribution."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Formula:
    """A log-density or mass in float64 numpy, and where there is one a distribution function."""

    logpdf: Callable
    cdf: Callable | None = None
    mean: Callable | None = None
    var: Callable | None = None


@dataclass
class Mapped:
    """A rising map of a scipy distribution, by the change of variables."""

    base: object
    inverse: Callable
    log_slope: Callable
    """Log of the derivative of the inverse."""

    def logpdf(self, y):
        return self.base.logpdf(self.inverse(y)) + self.log_slope(y)

    def cdf(self, y):
        return self.base.cdf(self.inverse(y))


@dataclass
class Each:
    """A log-density of one event under one set of parameters, over a batch of them, draw by draw."""

    densities: list[Callable]

    def logpdf(self, x):
        return np.array([[density(one) for density, one in zip(self.densities, row, strict=True)] for row in x])


def line(low: float, high: float, points: int = 511):
    """Points and weights of a double exponential rule on an interval, either end of which may be infinite."""
    t = np.linspace(-4.0 if np.isfinite(low) and not np.isfinite(high) else -3.0, 3.0, points)  # gamma's end is sharp
    step, u, du = t[1] - t[0], 0.5 * np.pi * np.sinh(t), 0.5 * np.pi * np.cosh(t)
    if np.isfinite(low) and np.isfinite(high):
        half = 0.5 * (high - low)
        return low + half * 2 / (1 + np.exp(-2 * u)), step * half * du / np.cosh(u) ** 2
    if np.isfinite(low):
        return low + np.exp(u), step * du * np.exp(u)
    assert not np.isfinite(high), "no member lives below a bound only"
    return np.sinh(u), step * du * np.cosh(u)


def plane(points: int = 61):
    """The same on the plane: points [N, 2] and weights [N]."""
    x, w = line(-np.inf, np.inf, points)
    return np.stack([a.ravel() for a in np.meshgrid(x, x)], -1), np.outer(w, w).ravel()


def segment(points: int = 511):
    """The same on the probabilities of two classes: points [N, 2] and weights [N]."""
    x, w = line(0.0, 1.0, points)
    return np.stack([x, 1 - x], -1), w


def sphere(points: int = 60):
    """Points [N, 3] and weights [N] on the sphere."""
    height, weight = np.polynomial.legendre.leggauss(points)
    angle = np.arange(points) * 2 * np.pi / points
    z, a = (grid.ravel() for grid in np.meshgrid(height, angle, indexing="ij"))
    ring = np.sqrt(1 - z**2)
    return np.stack([ring * np.cos(a), ring * np.sin(a), z], -1), np.repeat(weight, points) * 2 * np.pi / points


def correlations(points: int = 511):
    """Cholesky factors [N, 2, 2] of correlations of two, and weights [N]."""
    r, w = line(-1.0, 1.0, points)
    rows = np.stack([np.stack([np.ones_like(r), 0 * r], -1), np.stack([r, np.sqrt(1 - r**2)], -1)], -2)
    return rows, w


def matrices(points: int = 41):
    """Matrices [N, 1, 2] and weights [N]."""
    x, w = plane(points)
    return x[:, None, :], w
