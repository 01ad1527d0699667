"""Steps that need scratch memory do not fetch it from the system anew."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import culet, resource, jax, jax.numpy as jnp
step = jax.jit(lambda x: jnp.sum(jnp.linalg.matrix_power(jnp.outer(x, x), 3)))
x = jnp.ones(1000)
for _ in range(3):
    step(x).block_until_ready()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(4):
    step(x).block_until_ready()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
MATRIX_PAGES = 1000 * 1000 * 4 // 4096


def pages(**environment: str) -> int:
    """How many pages four calls fetch whose scratch memory is at least one matrix."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=inherited | environment, capture_output=True, text=True, check=True
    )
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="the memory policy is glibc's")
def test_scratch_memory_is_used_again():
    assert pages() < MATRIX_PAGES


@pytest.mark.skipif(sys.platform != "linux", reason="the memory policy is glibc's")
def test_the_environment_has_the_last_word():
    assert pages(MALLOC_TOP_PAD_="0") > 4 * MATRIX_PAGES
