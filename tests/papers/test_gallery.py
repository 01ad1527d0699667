"""The pages of the gallery: well-formed, links that lead somewhere, and as a browser shows them."""

import shutil
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import unquote

import pytest

from culet.experiments import keep_result, run_experiment
from culet.papers import SYSTEMS
from culet.papers.gallery import write_gallery
from tests.experiments.tiny_experiment import Calls, tiny

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
# What a page looks like to its reader: how wide it is beside its window, and which pictures are missing.
PROBE = """<script>addEventListener("load", () => { document.title = [
    document.documentElement.scrollWidth - innerWidth, [...document.images].filter(i => !i.naturalWidth).length,
    getComputedStyle(document.body).backgroundColor].join("|") })</script>"""


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    """A gallery with one result that is full of what HTML would trip over."""
    folder = tmp_path_factory.mktemp("gallery")
    experiment = tiny(Calls())
    made, results = folder / "made", folder / "results"
    for control in (False, True):
        run_experiment(experiment, seeds=3, scale="laptop", folder=made, control=control, progress=False)
    keep_result(made, results, "gemma-2")
    write_gallery(folder / "pages", results)
    write_gallery(folder / "pages", results)  # in place of the first
    return folder / "pages"


def page(path: Path) -> ElementTree.Element:
    head, _, body = path.read_text(encoding="utf-8").partition("\n")
    assert head == "<!doctype html>"
    return ElementTree.fromstring(body)


def test_pages_are_well_formed_and_whole(gallery):
    pages = sorted(gallery.glob("*.html"))
    assert {path.stem for path in pages} == {"index", *SYSTEMS}
    for path in pages:
        tree = page(path)
        assert tree.find("head/title") is not None and tree.find("body/h1") is not None
        assert tree.find(".//script") is None
        for element in tree.iter():
            for link in (element.get("href"), element.get("src")):
                assert link is None or (gallery / unquote(link)).exists(), f"{path.name}: {link}"


def test_index_leads_to_every_system(gallery):
    links = [link.get("href") for link in page(gallery / "index.html").iter("a")]
    assert links == [f"{slug}.html" for slug in SYSTEMS]


def test_page_of_a_result_says_all(gallery):
    tree = page(gallery / "gemma-2.html")
    text = " ".join("".join(tree.itertext()).split())
    for words in (
        "Reproduced", "Is it <better>?", "The error is at least 0.1 nats lower.", "0.51 [0.5, 0.52]", "base/line",
        "culet <nothing>", "culet reproduce gemma-2", "Everything.", "not reproduced, as it must be.", "Commit",
    ):  # fmt: skip
        assert words in text, words
    assert [audio.get("src") for audio in tree.iter("audio")] == ["gemma-2/a%20tone.wav"]
    assert "gemma-2/notes.txt" in [link.get("href") for link in tree.iter("a")]


def test_pages_without_a_result(gallery):
    assert "Planned; not built yet." in "".join(page(gallery / "brax.html").itertext())
    assert "but has no experiment yet" in "".join(page(gallery / "gemma.html").itertext())
    built = " ".join("".join(page(gallery / "griffin.html").itertext()).split())
    assert "Built" in built and "culet reproduce griffin" in built and "Deviations from the paper" in built


def test_results_without_their_pictures(gallery, tmp_path):
    """As an installed package has them."""
    kept = tmp_path / "results" / "gemma-2"
    kept.mkdir(parents=True)
    for name in ("result.json", "control.json"):
        shutil.copy(gallery.parent / "results" / "gemma-2" / name, kept / name)
    assert write_gallery(tmp_path / "pages", tmp_path / "results") == 1
    tree = page(tmp_path / "pages" / "gemma-2.html")
    assert "The error is at least 0.1 nats lower." in "".join(tree.itertext())
    assert list(tree.iter("img")) == [] and list(tree.iter("audio")) == []


@pytest.mark.skipif(BROWSER is None, reason="no Chromium or Chrome on this machine")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["index", "gemma-2"])
def test_in_a_browser(gallery, name, dark):
    """Nothing is cut off in a narrow window, pictures load from the disk, colours follow the system."""
    probe = gallery / f"probe-{name}-{dark}.html"
    probe.write_text((gallery / f"{name}.html").read_text().replace("</head>", PROBE + "</head>"))
    command = [
        BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=500,900", "--virtual-time-budget=3000",
        *["--blink-settings=preferredColorScheme=0"] * dark, "--dump-dom", probe.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    probe.unlink()
    title = done.stdout.partition("<title>")[2].partition("</title>")[0]
    overflow, missing, colour = title.split("|")
    assert int(overflow) <= 0 and missing == "0"
    assert colour == ("rgb(24, 26, 28)" if dark else "rgb(253, 253, 251)")
