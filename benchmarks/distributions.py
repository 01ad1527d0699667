"""Distributions beside numpyro, TFP on JAX and distrax: `python -m benchmarks.distributions`.

One process, sides by turns, the median of the turns; the first turn, which compiles, apart. Bars: eager scoring of one
number and tracing of 30 normals no slower than distrax; a multivariate normal (D = 8, 20k rows) 3 times numpyro;
100k gamma draws at shape 0.3 within twice the time of TFP; import within 1.1 s. Needs numpyro, distrax and
tensorflow-probability beside Culet.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.timing import report, seconds
from culet import distributions

Call = Callable[[], object]
Sides = dict[str, Call]
ROWS, SIZE, DRAWS, CHAIN = 20_000, 8, 100_000, 30
CALLS = 20  # in a turn of the normal, so that it is not the waking of idle threads that is timed
IMPORTS = {
    "culet": "import culet.distributions as d; d.Normal",
    "numpyro": "import numpyro.distributions as d; d.Normal",
    "tfp": "import tensorflow_probability.substrates.jax as t; t.distributions.Normal",
    "distrax": "import distrax; distrax.Normal",
}


def normals() -> dict[str, Callable]:
    """Makes a normal, by library."""
    import distrax
    import numpyro.distributions as numpyro
    import tensorflow_probability.substrates.jax as tfp

    sides = {"culet": distributions, "numpyro": numpyro, "tfp": tfp.distributions, "distrax": distrax}
    return {side: library.Normal for side, library in sides.items()}


def scoring(made: bool) -> Sides:
    """Scores one number 200 times without `jit`; `made` before, or anew each time."""
    value = jnp.float32(0.3)

    def side(normal: Callable) -> Call:
        if made:
            one = normal(0.0, 1.0)
            return lambda: [one.log_prob(value) for _ in range(200)][-1].block_until_ready()
        return lambda: [normal(0.0, 1.0).log_prob(value) for _ in range(200)][-1].block_until_ready()

    return {name: side(normal) for name, normal in normals().items()}


def tracing() -> Sides:
    """Traces a chain of normals, each around a function of the one before."""

    def side(normal: Callable) -> Call:
        def chain(values):
            total, loc = jnp.zeros(()), jnp.zeros(())
            for i in range(CHAIN):
                total += normal(loc, 1.0).log_prob(values[i])
                loc = 0.5 * values[i]
            return total

        return lambda: jax.jit(lambda values: chain(values)).trace(jnp.zeros(CHAIN))

    return {name: side(normal) for name, normal in normals().items()}


def multivariate() -> Sides:
    """Scores rows under one multivariate normal, compiled."""
    import distrax
    import numpyro.distributions as numpyro
    import tensorflow_probability.substrates.jax as tfp

    random = np.random.default_rng(0)
    tril = jnp.asarray(np.tril(0.3 * random.normal(size=(SIZE, SIZE))) + 2 * np.eye(SIZE), jnp.float32)
    rows, loc = jnp.asarray(random.normal(size=(ROWS, SIZE)), jnp.float32), jnp.ones(SIZE)
    makers = {
        "culet": distributions.MultivariateNormal,
        "numpyro": lambda loc, tril: numpyro.MultivariateNormal(loc, scale_tril=tril),
        "tfp": tfp.distributions.MultivariateNormalTriL,
        "distrax": distrax.MultivariateNormalTri,
    }

    def side(make: Callable) -> Call:
        score = jax.jit(lambda loc, tril, rows: make(loc, tril).log_prob(rows))
        return lambda: [score(loc, tril, rows).block_until_ready() for _ in range(CALLS)]

    return {name: side(make) for name, make in makers.items()}


def gamma_draws() -> Sides:
    """Draws gamma variates at shape 0.3, compiled; distrax's are those of jax.random."""
    import distrax
    import numpyro.distributions as numpyro
    import tensorflow_probability.substrates.jax as tfp

    draws = {
        "culet": lambda key: distributions.Gamma(0.3, 1.0).sample(key, (DRAWS,)),
        "numpyro": lambda key: numpyro.Gamma(0.3, 1.0).sample(key, (DRAWS,)),
        "tfp": lambda key: tfp.distributions.Gamma(0.3, 1.0).sample(DRAWS, seed=key),
        "distrax": lambda key: distrax.Gamma(0.3, 1.0).sample(seed=key, sample_shape=(DRAWS,)),
    }

    def side(draw: Callable) -> Call:
        compiled, key = jax.jit(draw), jax.random.PRNGKey(0)
        return lambda: compiled(key).block_until_ready()

    return {name: side(draw) for name, draw in draws.items()}


def importing() -> Sides:
    """Starts Python and imports the library."""

    def side(code: str) -> Call:
        return lambda: subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

    return {name: side(code) for name, code in IMPORTS.items()}


def by_turns(sides: Sides, repeats: int) -> tuple[dict[str, float], dict[str, float]]:
    """Median seconds of each side, and those of its first turn."""
    first = {name: seconds(call) for name, call in sides.items()}
    found: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, call in sides.items():
            time.sleep(0.01)
            found[name].append(seconds(call))
    return {name: statistics.median(times) for name, times in found.items()}, first


def main() -> None:
    """One table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9, help="turns of each side (default 9)")
    repeats = parser.parse_args().repeats
    tasks: Mapping[str, tuple[Callable[[], Sides], float]] = {
        "eager score, us": (lambda: scoring(made=True), 1e6 / 200),
        "eager making and score, us": (lambda: scoring(made=False), 1e6 / 200),
        "trace of 30, ms": (tracing, 1e3),
        "MVN 20k rows, us": (multivariate, 1e6 / CALLS),
        "gamma 100k draws, ms": (gamma_draws, 1e3),
        "import, s": (importing, 1.0),
    }
    rows, result = [], {}
    for task, (sides, unit) in tasks.items():
        found, first = by_turns(sides(), repeats)
        rows.append([task, *(found[name] * unit for name in IMPORTS)])
        result[task] = {name: value * unit for name, value in found.items()}
        result[task]["first_seconds"] = first["culet"]
    result["load"] = os.getloadavg()[0]
    report("distributions", ["what", *IMPORTS], rows, result)


if __name__ == "__main__":
    main()
