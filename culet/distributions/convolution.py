"""Convolutions in which a pixel sees only pixels that come before it, in the order of reading.

Axis letters: H height, W width, I inputs, O outputs, N neighbours that a pixel sees.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key


class MaskedConvolution(eqx.Module):
    """A convolution over the pixels above, and those to the left in the same row, up to `reach` away.

    With `itself`, a pixel sees itself too: the mask B of the paper, else A. Weights that the mask would set to zero do
    not exist. (van den Oord and others, "Pixel Recurrent Neural Networks", 2016, section 3.4.)
    """

    weight: Float[Array, "O NI"]
    bias: Float[Array, "O"]
    reach: int = eqx.field(static=True)
    itself: bool = eqx.field(static=True)

    def __init__(self, inputs: int, outputs: int, reach: int, itself: bool, *, key: Key[Array, ""], scale: float = 1.0):
        """Draws weights of standard deviation `scale / sqrt(N I)`; the bias starts at 0."""
        self.reach, self.itself = reach, itself
        size = len(self.neighbours) * inputs
        self.weight = jax.random.normal(key, (outputs, size)) * (scale * size**-0.5)
        self.bias = jnp.zeros(outputs)

    @property
    def neighbours(self) -> list[tuple[int, int]]:
        """Rows down and columns right, both counted from the pixel, of what it sees."""
        reach = range(-self.reach, self.reach + 1)
        before = [(row, column) for row in range(-self.reach, 1) for column in reach if (row, column) < (0, 0)]
        return before + [(0, 0)] * self.itself

    def __call__(self, x: Float[Array, "H W I"]) -> Float[Array, "H W O"]:
        """Each pixel's map of its neighbours; zeros stand beyond the edges."""
        height, width, _ = x.shape
        padded = jnp.pad(x, ((self.reach, 0), (self.reach, self.reach), (0, 0)))
        corners = [(self.reach + row, self.reach + column) for row, column in self.neighbours]
        seen = jnp.concatenate([padded[top : top + height, left : left + width] for top, left in corners], -1)
        y = seen @ self.weight.T
        return y + jnp.broadcast_to(self.bias, y.shape)
