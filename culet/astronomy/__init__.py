"""Celeste: a generative model of telescope images; a catalogue of stars and galaxies, with uncertainty.

Regier, Miller, McAuliffe, Adams, Hoffman, Lang, Schlegel and Prabhat, "Celeste: Variational inference for a generative
model of astronomical images" (2015). Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.astronomy.catalogue import match, read_catalogue, write_catalogue
    from culet.astronomy.detection import Detections, detect, measure_fwhm
    from culet.astronomy.field import Field, field_from_images
    from culet.astronomy.fitting import Solution, infer, survey
    from culet.astronomy.images import Image, read_image, write_image
    from culet.astronomy.mixtures import Mixture, gaussian_psf
    from culet.astronomy.picture import draw_field
    from culet.astronomy.prior import Prior, broad_prior, sky_prior
    from culet.astronomy.scenes import Scene, make_scene

_HOME = {
    "catalogue": ("match", "read_catalogue", "write_catalogue"),
    "detection": ("Detections", "detect", "measure_fwhm"),
    "field": ("Field", "field_from_images"),
    "fitting": ("Solution", "infer", "survey"),
    "images": ("Image", "read_image", "write_image"),
    "mixtures": ("Mixture", "gaussian_psf"),
    "picture": ("draw_field",),
    "prior": ("Prior", "broad_prior", "sky_prior"),
    "scenes": ("Scene", "make_scene"),
}

__all__ = [
    "Detections",
    "Field",
    "Image",
    "Mixture",
    "Prior",
    "Scene",
    "Solution",
    "broad_prior",
    "detect",
    "draw_field",
    "field_from_images",
    "gaussian_psf",
    "infer",
    "make_scene",
    "match",
    "measure_fwhm",
    "read_catalogue",
    "read_image",
    "sky_prior",
    "survey",
    "write_catalogue",
    "write_image",
]

__getattr__, __dir__ = lazy(__name__, _HOME)
