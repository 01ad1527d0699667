"""Runs an experiment: every variant for every seed, then the claims, the figure and the verdict.

Axis letters: N seeds.
"""

import contextlib
import io
import json
import time
import urllib.parse
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from culet.core.files import atomic_folder, atomic_write
from culet.experiments import provenance
from culet.experiments.experiment import Claim, Experiment, Findings, Measurements, Scale, Variant
from culet.experiments.verdict import bootstrap_interval, claim_verdict, overall_verdict

BUDGET_TOLERANCE = 0.01
_PREFIX = "measured/"  # of the arrays of a kept call


def run_experiment(
    experiment: Experiment, *, seeds: int, scale: Scale, folder: str | Path, control: bool = False,
    progress: bool = True,
) -> dict[str, Any]:  # fmt: skip
    """Runs seeds 0 to `seeds - 1` of all variants and returns what it writes to `folder/result.json`.

    With `control`, the variants of `experiment.control` stand in for those of the same name, and the names of what is
    written are `control.json` and `control.png` instead of `result.json` and `figure.png`; `files/` is for the method.

    Each finished call of a variant is kept in `folder/calls`, also for the control, which shares the variants that are
    not broken. The same call goes on from there, unless code, versions or machine have changed.

    Raises `ValueError` for variants that report no or unequal budgets (more than 1% apart) or arrays of a wrong shape,
    and `ArithmeticError` for measurements and margins that are not finite; each names the variant or claim.
    """
    folder = Path(folder)
    if seeds < 1:
        raise ValueError(f"an experiment needs at least one seed, not {seeds}")
    variants, broken = _variants(experiment, control)
    with _compilation(quick=not experiment.computes_at_smoke) if scale == "smoke" else contextlib.nullcontext():
        findings, seconds = _measure(experiment, variants, broken, seeds, scale, folder / "calls", progress)
    claims = [_judge(claim, findings, seeds) for claim in experiment.claims]
    name = "control" if control else "result"
    picture = "control.png" if control else "figure.png"
    _draw(experiment, findings, folder / picture)
    files = [] if control or experiment.files is None else _write_files(experiment.files(findings), folder / "files")
    result = {
        "slug": experiment.slug,
        "question": experiment.question,
        "verdict": overall_verdict(claim["verdict"] for claim in claims),
        "claims": claims,
        "control": control,
        "scale": scale,
        "seeds": list(range(seeds)),
        "budget_unit": experiment.budget_unit,
        "metrics": [{"name": one.name, "unit": one.unit, "better": one.better} for one in experiment.metrics],
        "variants": {
            key: _summary(experiment, variant, findings[key], seconds[key], key in broken)
            for key, variant in variants.items()
        },
        "deviations": experiment.deviations,
        "usage": experiment.usage,
        "figure": picture,
        "files": files,
        "commit": provenance.commit(),
        "versions": provenance.versions(),
        "machine": provenance.machine(),
        "wall_seconds": round(sum(seconds.values()), 1),
    }
    atomic_write(folder / f"{name}.json", json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    return result


def _variants(experiment: Experiment, control: bool) -> tuple[Mapping[str, Variant], frozenset[str]]:
    """The variants to run, and the names of those that are broken."""
    if unknown := experiment.control.keys() - experiment.variants.keys():
        raise ValueError(f"{experiment.slug}: the control breaks {', '.join(sorted(unknown))}, which is no variant")
    if not experiment.claims or not experiment.control:
        raise ValueError(f"{experiment.slug}: an experiment needs a claim, and a control in which it fails")
    if not control:
        return experiment.variants, frozenset()
    return {**experiment.variants, **experiment.control}, frozenset(experiment.control)


def _measure(
    experiment: Experiment, variants: Mapping[str, Variant], broken: frozenset[str], seeds: int, scale: Scale,
    kept: Path, progress: bool,
) -> tuple[dict[str, Measurements], dict[str, float]]:  # fmt: skip
    """All measurements by variant, and the seconds they took when they were made."""
    findings: dict[str, Measurements] = {}
    seconds: dict[str, float] = {}
    calls = {
        name: [range(seeds)] if variant.vmapped else [[seed] for seed in range(seeds)]
        for name, variant in variants.items()
    }
    with _progress(experiment.slug, sum(map(len, calls.values())), progress) as announce:
        for name, variant in variants.items():
            parts = []
            for chosen in calls[name]:
                announce(f"{name}, seed {chosen[0]}" if len(chosen) == 1 else f"{name}, {len(chosen)} seeds")
                stem = f"{scale}-{'broken-' * (name in broken)}{urllib.parse.quote(name, safe=' ')}"
                file = kept / f"{stem}-{f'all{seeds}' if variant.vmapped else chosen[0]}.npz"
                parts.append(_restore(file) or _call(name, variant, chosen, scale, file))
            seconds[name] = sum(took for _, took in parts)
            findings[name] = {key: np.concatenate([part[key] for part, _ in parts]) for key in parts[0][0]}
            _check_budgets(experiment, variants, findings)
    return findings, seconds


@contextlib.contextmanager
def _compilation(*, quick: bool) -> Iterator[None]:
    """At smoke scale compilation is mostly what takes long; without most optimisations it takes half the time."""
    import jax

    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", quick)
    try:
        yield
    finally:
        jax.config.update("jax_disable_most_optimizations", before)


def _call(
    name: str, variant: Variant, seeds: Sequence[int], scale: Scale, file: Path
) -> tuple[dict[str, np.ndarray], float]:
    """Runs a variant, checks its measurements and keeps them."""
    begun = time.perf_counter()
    measured = {key: np.asarray(value) for key, value in variant.run(list(seeds), scale).items()}
    took = time.perf_counter() - begun
    for key, array in measured.items():
        if array.dtype.kind not in "biufc" or array.shape[:1] != (len(seeds),):
            raise ValueError(
                f"variant {name!r}: {key!r} is {array.dtype}{list(array.shape)}; measurements are arrays of numbers "
                f"with a first axis of {len(seeds)}, the seeds"
            )
        if not np.isfinite(array).all():
            raise ArithmeticError(f"variant {name!r}: {key!r} is not finite for all of the seeds {list(seeds)}")
    image = io.BytesIO()
    arrays: dict[str, Any] = {_PREFIX + key: array for key, array in measured.items()}
    np.savez(image, seconds=np.float64(took), fingerprint=np.array(provenance.fingerprint()), **arrays)
    atomic_write(file, image.getvalue())
    return measured, took


def _restore(file: Path) -> tuple[dict[str, np.ndarray], float] | None:
    """The measurements of a finished call, and its seconds; None where none is kept that this code made."""
    try:
        with np.load(file, allow_pickle=False) as kept:
            if kept["fingerprint"].item() != provenance.fingerprint():
                return None
            measured = {key.removeprefix(_PREFIX): kept[key] for key in kept.files if key.startswith(_PREFIX)}
            return measured, float(kept["seconds"])
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        return None


def _check_budgets(experiment: Experiment, variants: Mapping[str, Variant], findings: Findings) -> None:
    """Raises unless what compared variants spent is equal, seed by seed, among those that have run."""
    spent = {}
    for name in findings:
        if variants[name].equal_budget:
            if "budget" not in findings[name]:
                raise ValueError(f"variant {name!r} reports no 'budget', in {experiment.budget_unit}")
            spent[name] = findings[name]["budget"].astype(np.float64)
    if not spent:
        return
    budgets = np.stack(list(spent.values()))
    least, most = budgets.min(axis=0), budgets.max(axis=0)
    if np.any(most - least > BUDGET_TOLERANCE * np.abs(most)):
        seed = int(np.argmax(most - least))
        budgets_text = ", ".join(f"{name!r} {values[seed]:g}" for name, values in spent.items())
        raise ValueError(
            f"compared variants must spend equally, but at seed {seed}: {budgets_text} {experiment.budget_unit}"
        )


def _judge(claim: Claim, findings: Findings, seeds: int) -> dict[str, Any]:
    margins = np.asarray(claim.margin(findings), np.float64)
    if margins.shape != (seeds,):
        raise ValueError(f"the margin of {claim.text!r} has shape {list(margins.shape)}, not one number per seed")
    if not np.isfinite(margins).all():
        raise ArithmeticError(f"the margin of {claim.text!r} is not finite: {margins.tolist()}")
    return {
        "text": claim.text,
        "at_least": claim.at_least,
        "verdict": claim_verdict(margins, claim.at_least),
        **_numbers(margins),
    }


def _summary(
    experiment: Experiment, variant: Variant, measured: Measurements, seconds: float, broken: bool
) -> dict[str, Any]:
    """What the result says of a variant. Raises ValueError for a metric that is not a number per seed."""
    metrics = {}
    for metric in experiment.metrics:
        if metric.name in measured:
            if measured[metric.name].ndim != 1:
                raise ValueError(
                    f"the metric {metric.name!r} has shape {list(measured[metric.name].shape)}, not [seeds]"
                )
            metrics[metric.name] = _numbers(measured[metric.name].astype(np.float64))
    return {
        "description": variant.description,
        "broken": broken,
        "equal_budget": variant.equal_budget,
        "budget": measured["budget"].tolist() if "budget" in measured else None,
        "metrics": metrics,
        "wall_seconds": round(seconds, 1),
    }


def _numbers(values: np.ndarray) -> dict[str, Any]:
    """One number per seed, their mean and its interval."""
    return {"values": values.tolist(), "mean": float(values.mean()), "interval": bootstrap_interval(values)}


def _write_files(files: Mapping[str, bytes], folder: Path) -> list[str]:
    """Writes what an experiment keeps, in place of what it kept before; returns the names."""
    with atomic_folder(folder) as place:
        for name, content in files.items():
            if Path(name).name != name:
                raise ValueError(f"a file to keep must have a plain name without a folder, not {name!r}")
            (place / name).write_bytes(content)
    return sorted(files)


def _draw(experiment: Experiment, findings: Findings, path: Path) -> None:
    image = io.BytesIO()
    experiment.figure(findings).savefig(image, format="png")
    atomic_write(path, image.getvalue())


@contextlib.contextmanager
def _progress(slug: str, calls: int, shown: bool) -> Iterator[Any]:
    """Gives `announce(call)`, to be called before each call of a variant."""
    text = TextColumn("{task.description}")
    columns = (SpinnerColumn(), text, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Bar(*columns, console=Console(stderr=True), disable=not shown, transient=True) as bar:
        task = bar.add_task(slug, total=calls)
        begun = 0

        def announce(call: str) -> None:
            nonlocal begun
            bar.update(task, description=f"{slug}: {call}", completed=begun)
            begun += 1

        yield announce
