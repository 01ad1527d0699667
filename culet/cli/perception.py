"""`culet texture`, `culet disentangle`: new sound of a kind; what varies in a set of images."""

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from culet.audio.textures.settings import TextureSettings
from culet.cli.options import with_options
from culet.generative.recipe import CapacityRecipe


def register(app: typer.Typer) -> None:
    """Adds this file's commands."""
    app.command("texture")(with_options(texture))
    app.command("disentangle")(with_options(disentangle))


def texture(
    source: Annotated[Path, typer.Argument(help="A WAV file: PCM or float, any rate.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The WAV file to write; a picture goes beside it.", show_default=False)],
    seconds: Annotated[float | None, typer.Option(help="How long. Default: as the source.", min=0.6)] = None,
    *,
    settings: TextureSettings,
) -> None:
    """Makes new sound of the same texture as a recording: rain from rain, birds from birds.

    It copies what random networks see in the spectrogram. Each of the three terms goes away with a weight of 0. A file
    of a lower rate is worked at its own. Three seconds of sound take about a minute on two cores.

    [dim]culet texture rain.wav --out more_rain.wav --seconds 10[/]
    [dim]culet texture clock.wav --out noise.wav --rhythm 0 --diversity 0[/]
    """
    import io
    import os

    from culet.audio.textures import spectrogram_picture, synthesise_texture
    from culet.audio.wav import read_wav, write_wav
    from culet.core import atomic_write

    if out.suffix.lower() != ".wav":
        raise ValueError(f"--out {out} must be the name of a .wav file")
    picture_file = out.with_suffix(".png")
    if out.exists() and out.samefile(source):
        raise ValueError(f"--out {out} is the source itself; it would be lost")
    samples, rate = read_wav(source)
    if rate < settings.rate:  # above half its rate a file holds nothing to copy
        settings = dataclasses.replace(settings, rate=rate, window=settings.window * rate // settings.rate // 4 * 4)
    samples, rate = read_wav(source, settings.rate)
    out.parent.mkdir(parents=True, exist_ok=True)  # now, not after minutes
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise ValueError(f"--out {out} cannot be written")
    made = synthesise_texture(samples, settings, seconds=seconds)
    write_wav(out, made.samples, rate)
    spectrograms = {source.name: made.source_spectrogram, out.name: made.spectrogram}
    picture = io.BytesIO()
    spectrogram_picture(spectrograms, rate, settings.window).savefig(picture, format="png")
    atomic_write(picture_file, picture.getvalue())
    terms = ", ".join(f"{name} {value:.4f}" for name, value in made.terms.items() if getattr(settings, name))
    print(f"{out}: {len(made.samples) / rate:.1f} s; {terms}\n{picture_file}: both spectrograms")


def disentangle(
    images: Annotated[Path, typer.Argument(help="A folder of images, or an .npz.", show_default=False)],
    out: Annotated[Path, typer.Option(help="Folder for the run and its pictures.", show_default=False)],
    size: Annotated[int, typer.Option(help="Pixels a side; a multiple of 8.", min=16)] = 32,
    *,
    recipe: CapacityRecipe,
) -> None:
    """Learns what varies in a set of images: a few numbers per image, each of which should mean one thing.

    Writes traversals.png (what each number does), latents.png (the order in which they came in) and codes.npz (the
    numbers of each image). Stopped, the same command goes on where it was.

    [dim]culet disentangle faces/ --out runs/faces --steps 20000[/]
    """
    from culet.generative.study import study_images

    divergence = study_images(images, out, recipe, size)
    used = int((divergence > 0.1).sum())
    print(f"{out}: {used} of {len(divergence)} latents are in use; see traversals.png, latents.png, codes.npz")
