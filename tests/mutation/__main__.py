"""Counts the mutants that the tests catch: `python -m tests.mutation --minutes 10 culet/objectives`.

A process imports what is slow to import once and is forked for each mutant, whose tests run in a folder that looks like
the checkout with one file changed. Outcomes are kept in `runs/mutants.json`, by the content of the mutant and of its
tests. `survivors.toml` explains mutants that change nothing a test could see: a table for each file, and in it the
mutant's name and the reason.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.mutate import Mutant, mutants

ROOT = Path(__file__).parents[2]
TARGETS = ("align", "objectives", "inference", "distributions", "core", "lm/decoder.py")
KEPT = ROOT / "runs" / "mutants.json"
EXPLAINED = Path(__file__).with_name("survivors.toml")
BAR = 0.95
LIMIT = 150  # seconds for the tests of one mutant; one that makes them hang is noticed


def tests_of(file: Path) -> list[Path]:
    """The tests that mirror a file, or those of its package where none does."""
    mirror = ROOT / "tests" / file.relative_to(ROOT / "culet").parent / f"test_{file.stem.lstrip('_')}.py"
    if mirror.exists():
        return [mirror]
    folder = mirror.parent
    while not any(folder.glob("test_*.py")):
        folder = folder.parent
    return sorted(folder.glob("test_*.py"))


def files_of(places: Sequence[str]) -> list[Path]:
    """The Python files of these files and folders, without those that only list names."""
    found = [ROOT / place if place.startswith("culet") else ROOT / "culet" / place for place in places]
    if missing := [place for place in found if not place.exists()]:
        raise SystemExit(f"error: {missing[0]}: no such file or folder")
    files = [file for place in found for file in ([place] if place.is_file() else sorted(place.rglob("*.py")))]
    return [file for file in files if file.name != "__init__.py"]


def overlay(folder: Path, file: Path, source: str) -> None:
    """A folder that looks like the checkout, but for one file."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for entry in ROOT.iterdir():
        if entry.name not in ("culet", "runs", ".git"):
            (folder / entry.name).symlink_to(entry)
    place, original = folder / "culet", ROOT / "culet"
    for part in file.relative_to(original).parts:
        place.mkdir()
        for entry in original.iterdir():
            if entry.name not in (part, "__pycache__"):
                (place / entry.name).symlink_to(entry)
        place, original = place / part, original / part
    place.write_text(source)


def caught(file: Path, mutant: Mutant, tests: Sequence[Path], folder: Path) -> bool:
    """Whether a test fails. Runs them in a fork of this process, which has imported much but started nothing."""
    overlay(folder, file, mutant.source)
    child = os.fork()
    if child == 0:
        signal.alarm(LIMIT)
        os.setsid()
        os.chdir(folder)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        sys.path.insert(0, str(folder))
        for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "culet")]:
            del sys.modules[name]
        import pytest

        names = [str(test.relative_to(ROOT)) for test in tests]
        os._exit(int(pytest.main(["-x", "-q", "-p", "no:cacheprovider", "-m", "not parity", *names])))
    status = os.waitpid(child, 0)[1]
    return status != 0


def prepare() -> None:
    """Imports what all tests need, set up as `tests/conftest.py` does."""
    import equinox  # noqa: F401

    import tests.conftest  # noqa: F401


def digest(*parts: str | bytes) -> str:
    """A name for content."""
    return hashlib.sha256(b"".join(part.encode() if isinstance(part, str) else part for part in parts)).hexdigest()[:24]


def main() -> int:
    """Draws mutants evenly over the files, runs their tests until the time is over, and says what survived."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("places", nargs="*", default=TARGETS, help=f"files or folders; default: {', '.join(TARGETS)}")
    parser.add_argument("--minutes", type=float, default=20, help="stop after so long (default 20)")
    parser.add_argument("--per-file", type=int, default=8, help="mutants drawn of each file (default 8)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawing")
    options = parser.parse_args()

    drawn: list[tuple[Path, Mutant]] = []
    for file in files_of(options.places):
        every = list(mutants(file.read_text()))
        generator = random.Random(f"{options.seed} {file.relative_to(ROOT)}")
        drawn += [(file, mutant) for mutant in generator.sample(every, min(options.per_file, len(every)))]
    random.Random(options.seed).shuffle(drawn)

    known: dict[str, bool] = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    explained: dict[str, dict[str, str]] = tomllib.loads(EXPLAINED.read_text()) if EXPLAINED.exists() else {}
    prepare()
    folder, begun = ROOT / "runs" / "mutant", time.monotonic()
    counts: dict[str, list[int]] = {}
    survivors, left = [], 0
    for number, (file, mutant) in enumerate(drawn, 1):
        name, tests = str(file.relative_to(ROOT)), tests_of(file)
        key = digest(name, mutant.source, *(test.read_bytes() for test in tests))
        if key not in known:
            if time.monotonic() - begun > 60 * options.minutes:
                left += 1
                continue
            known[key] = caught(file, mutant, tests, folder)
            KEPT.parent.mkdir(exist_ok=True)
            KEPT.write_text(json.dumps(known))
        reason = explained.get(name, {}).get(mutant.name)
        count = counts.setdefault(str(file.relative_to(ROOT / "culet")).split("/")[0], [0, 0, 0])
        count[0] += known[key]
        count[1] += not known[key] and reason is not None
        count[2] += 1
        if not known[key]:
            survivors.append(f"{name}:{mutant.line} {mutant.kind}: {mutant.name}  # {reason or 'not explained'}")
            print(f"[{number}/{len(drawn)}] survived  {survivors[-1]}", flush=True)
    shutil.rmtree(folder, ignore_errors=True)

    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    for package, (seen, why, of) in sorted(counts.items()):
        print(f"{package:15} {seen:4} of {of:4} caught" + (f", {why} explained" if why else ""))
    fraction = (total[0] + total[1]) / total[2]
    print(
        f"all: {total[0]} of {total[2]} caught, {total[1]} more explained: {fraction:.1%}"
        + (f"; {left} not run" if left else "")
    )
    print(
        json.dumps(
            {"caught": total[0], "explained": total[1], "mutants": total[2], "not_run": left, "seed": options.seed}
        )
    )
    return 0 if fraction >= BAR else 1


if __name__ == "__main__":
    sys.exit(main())
