"""The gallery: one static page per system, and an index. Needs no server and no network."""

import shutil
from pathlib import Path
from typing import Any

import jinja2

from culet.core.files import atomic_folder
from culet.experiments.results import number, read_result, spread
from culet.papers import built, find_experiment, overview

TEMPLATES = Path(__file__).parent / "templates"
_SOUNDS, _PICTURES = (".wav",), (".png", ".jpg", ".gif")


def write_gallery(out: str | Path, results: Path | None) -> int:
    """Writes `index.html`, a page per system and what these show into the folder `out`, which it replaces.

    Returns how many systems have a result. Raises `ValueError` when `out` exists and is no gallery.
    """
    out = Path(out)
    if out.exists() and any(out.iterdir()) and not (out / "index.html").exists():
        raise ValueError(f"{out} holds something that is not a gallery; give another folder")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "spread": spread}
    rows = overview(results)
    there = set(built())
    with atomic_folder(out) as folder:
        for row in rows:
            page = _page(row, results, folder, row["slug"] in there)
            text = environment.get_template("system.html.jinja").render(row=row, **page)
            (folder / f"{row['slug']}.html").write_text(text, encoding="utf-8")
        facets = {facet: [row for row in rows if row["facet"] == facet] for facet in _in_order(rows, "facet")}
        states = {state: sum(row["state"] == state for row in rows) for state in _in_order(rows, "state")}
        index = environment.get_template("index.html.jinja").render(facets=facets, states=states, count=len(rows))
        (folder / "index.html").write_text(index, encoding="utf-8")
    return sum(bool(row["claims"]) for row in rows)


def _in_order(rows: list[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(row[key] for row in rows))


def _page(row: dict[str, Any], results: Path | None, folder: Path, is_built: bool) -> dict[str, Any]:
    """What the template of a system needs; its pictures and files are put into the folder."""
    slug = row["slug"]
    result, control = read_result(results, slug), read_result(results, slug, "control")
    experiment = find_experiment(slug) if is_built and result is None else None
    page: dict[str, Any] = {"result": result, "control": control, "experiment": experiment}
    page |= {"sounds": [], "pictures": [], "downloads": [], "figure": None, "control_figure": None}
    if result is None or results is None:
        return page
    place = folder / slug
    place.mkdir()
    for name, of in (("figure", result), ("control_figure", control)):
        if of is not None and (results / slug / of["figure"]).exists():
            page[name] = f"{slug}/{of['figure']}"
            shutil.copy(results / page[name], folder / page[name])
    for name in result["files"]:
        if not (results / slug / "files" / name).exists():  # an installed culet has the numbers alone
            continue
        shutil.copy(results / slug / "files" / name, place / name)
        suffix = Path(name).suffix.lower()
        kind = "sounds" if suffix in _SOUNDS else "pictures" if suffix in _PICTURES else "downloads"
        page[kind].append(name)
    return page
