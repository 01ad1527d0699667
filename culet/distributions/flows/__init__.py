"""Flows, their layers, PixelCNN, and fitting to data or to a density. Names are loaded when first used."""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.distributions.flows.flows import (
        coupling_flow,
        inverse_autoregressive_flow,
        masked_autoregressive_flow,
        residual_flow,
    )
    from culet.distributions.flows.layers import (
        AffineMap,
        Coupling,
        MaskedAutoregressive,
        MaskedNetwork,
        Residual,
        ShiftMap,
        SplineMap,
    )
    from culet.distributions.flows.pixel_cnn import CategoricalPixels, LogisticPixels, MaskedConvolution, PixelCNN
    from culet.distributions.flows.training import fit_to_data, fit_to_density

_HOME = {
    "flows": ("coupling_flow", "inverse_autoregressive_flow", "masked_autoregressive_flow", "residual_flow"),
    "layers": (
        "AffineMap", "Coupling", "MaskedAutoregressive", "MaskedNetwork", "Residual", "ShiftMap", "SplineMap",
    ),
    "pixel_cnn": ("CategoricalPixels", "LogisticPixels", "MaskedConvolution", "PixelCNN"),
    "training": ("fit_to_data", "fit_to_density"),
}  # fmt: skip

__all__ = [
    "AffineMap", "CategoricalPixels", "Coupling", "LogisticPixels", "MaskedAutoregressive", "MaskedConvolution",
    "MaskedNetwork", "PixelCNN", "Residual", "ShiftMap", "SplineMap", "coupling_flow", "fit_to_data",
    "fit_to_density", "inverse_autoregressive_flow", "masked_autoregressive_flow", "residual_flow",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
