"""What tests of this folder share."""

import jax
import pytest


@pytest.fixture
def quick_compilation():
    """Without most optimisations compiling, which is most of the time of some tests, takes half of it."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)
