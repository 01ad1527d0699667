"""Celeste: a generative model of telescope images; a catalogue of stars and galaxies, with uncertainty.

Regier, Miller, McAuliffe, Adams, Hoffman, Lang, Schlegel and Prabhat, "Celeste: Variational inference for a generative
model of astronomical images" (2015). Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from culet.core.lazy import lazy

if TYPE_CHECKING:
    from culet.astronomy.catalogue import catalogue_columns, match, read_catalogue, write_catalogue
    from culet.astronomy.detection import Detections, detect, measure_fwhm
    from culet.astronomy.field import Field, Image, field_from_images, read_image, stack_psfs, write_image
    from culet.astronomy.fitting import Solution, draw_field, field_figure, infer, survey
    from culet.astronomy.mixtures import Mixture, describe_shape, galaxy_shape, gaussian_psf
    from culet.astronomy.prior import Prior, Scene, TypePrior, broad_prior, make_scene, render, sky_prior

_HOME = {
    "catalogue": ("catalogue_columns", "match", "read_catalogue", "write_catalogue"),
    "detection": ("Detections", "detect", "measure_fwhm"),
    "field": ("Field", "Image", "field_from_images", "read_image", "stack_psfs", "write_image"),
    "fitting": ("Solution", "draw_field", "field_figure", "infer", "survey"),
    "mixtures": ("Mixture", "describe_shape", "galaxy_shape", "gaussian_psf"),
    "prior": ("Prior", "Scene", "TypePrior", "broad_prior", "make_scene", "render", "sky_prior"),
}

__all__ = [
    "Detections", "Field", "Image", "Mixture", "Prior", "Scene", "Solution", "TypePrior", "broad_prior",
    "catalogue_columns", "describe_shape", "detect", "draw_field", "field_figure", "field_from_images", "galaxy_shape",
    "gaussian_psf", "infer", "make_scene", "match", "measure_fwhm", "read_catalogue", "read_image", "render",
    "sky_prior", "stack_psfs", "survey", "write_catalogue", "write_image",
]  # fmt: skip

__getattr__, __dir__ = lazy(__name__, _HOME)
