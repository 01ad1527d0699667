"""Strict arithmetic for every test: no silent dtype promotion, no silent broadcasting of ranks, eight fake devices.

Tests compile more than they compute, so they take the code generator that compiles faster, without most optimisations;
`make parity` compiles as users' programs do, and so do tests that use the fixture `optimised`.
"""

import os
from pathlib import Path

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")
os.environ["XLA_FLAGS"] += " --xla_force_host_platform_device_count=8"
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # also for the programs that tests start
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["HF_HUB_OFFLINE"] = "1"

import hypothesis
import jax
import pytest

# How long it takes to make an example says how busy the machine is, not what is wrong.
hypothesis.settings.register_profile("culet", suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("culet")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Every compiled function holds some memory maps, of which Linux gives a process 65,530; past them compiling aborts it.
MAPS = Path("/proc/self/maps")
MOST_MAPS = 20_000


@pytest.fixture(autouse=True, scope="module")
def few_memory_maps():
    """Lets go of what earlier files compiled once it is much."""
    if MAPS.exists() and MAPS.read_bytes().count(b"\n") > MOST_MAPS:
        jax.clear_caches()


@pytest.fixture(scope="module")
def optimised():
    """For tests that compute more than they compile."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", False)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.fixture
def getkey():
    """A function that returns a new random key at each call, the same ones in every run."""
    state = [jax.random.key(0)]

    def next_key():
        state[0], key = jax.random.split(state[0])
        return key

    return next_key
