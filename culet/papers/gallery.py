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
        raise ValueError(f"{out} holds files that are not a gallery; give another folder with --out")
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"number": number, "spread": spread}
    systems = overview(results)
    slugs = set(built())
    with atomic_folder(out) as folder:
        for system in systems:
            page = _page(system, results, folder, system["slug"] in slugs)
            text = environment.get_template("system.html.jinja").render(system=system, **page)
            (folder / f"{system['slug']}.html").write_text(text, encoding="utf-8")
        facets = {name: [one for one in systems if one["facet"] == name] for name in _in_order(systems, "facet")}
        states = {state: sum(one["state"] == state for one in systems) for state in _in_order(systems, "state")}
        index = environment.get_template("index.html.jinja").render(facets=facets, states=states, count=len(systems))
        (folder / "index.html").write_text(index, encoding="utf-8")
    return sum(bool(system["claims"]) for system in systems)


def _in_order(systems: list[dict[str, Any]], key: str) -> list[str]:
    return list(dict.fromkeys(system[key] for system in systems))


def _page(system: dict[str, Any], results: Path | None, folder: Path, is_built: bool) -> dict[str, Any]:
    """What the template of a system needs; its pictures and files are put into the folder."""
    slug = system["slug"]
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
