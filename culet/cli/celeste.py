"""`culet celeste`: from telescope images to a catalogue of stars and galaxies."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("celeste")(celeste)


def celeste(
    images: Annotated[
        list[Path], typer.Argument(help="FITS images of one field, one per band, on one grid.", show_default=False)
    ],
    out: Annotated[Path, typer.Option(help="The catalogue: .csv or .fits.", show_default=False)],
    fwhm: Annotated[
        list[float] | None,
        typer.Option(
            help="Width of a star at half its peak, in pixels; once, or per image. Default: measured.", min=0.5
        ),
    ] = None,
    gain: Annotated[
        list[float] | None,
        typer.Option(help="Electrons per unit of the pixels; once, or per image. Default: header or sky noise.", min=0),
    ] = None,
    threshold: Annotated[float, typer.Option(help="Standard deviations at which a source counts.", min=3)] = 5.0,
    picture: Annotated[Path | None, typer.Option(help="Draw image, model and residual here (.png).")] = None,
) -> None:
    r"""Stars and galaxies in FITS images, with the uncertainty of every number. FITS needs 'culet\[celeste]'.

    Fits a generative model (Celeste, 2015): every source a star or a galaxy, photons by Poisson's law. Columns: place,
    probability of a star, fluxes with the bounds of their central 90%, colours in magnitudes, shapes of galaxies.

    [dim]culet celeste g.fits r.fits i.fits --fwhm 3.2 --out catalogue.csv --picture field.png[/]
    """
    from rich.console import Console

    from culet.astronomy import (
        draw_field,
        field_from_images,
        gaussian_psf,
        measure_fwhm,
        read_image,
        survey,
        write_catalogue,
    )
    from culet.astronomy.catalogue import catalogue_columns, check_ending

    check_ending(out)  # before minutes of work
    read = [read_image(path) for path in images]
    gains = _each(gain, len(read), "--gain")
    widths = _each(fwhm, len(read), "--fwhm")
    widths = [measure_fwhm(image.pixels) if width is None else width for image, width in zip(read, widths, strict=True)]
    field = field_from_images(read, [gaussian_psf(width) for width in widths], gains)
    described = ", ".join(f"{band} {width:.2f} px" for band, width in zip(field.bands, widths, strict=True))
    Console(stderr=True).print(f"width of stars at half their peak: {described}", highlight=False)
    solution = survey(field, threshold=threshold)
    write_catalogue(out, catalogue_columns(solution, field, read[0].header))
    stars = int((solution.star_probability > 0.5).sum())
    print(f"{out}: {stars} stars and {len(solution.star_probability) - stars} galaxies")
    if picture is not None:
        draw_field(picture, field, solution)
        print(f"{picture}: image, model and residual")


def _each(given: list[float] | None, count: int, option: str) -> list[float | None]:
    """One value per image."""
    if given is None:
        return [None] * count
    if len(given) not in (1, count):
        raise ValueError(f"{option} is given {len(given)} times for {count} images; give it once, or once per image")
    return [*given] * (count if len(given) == 1 else 1)
