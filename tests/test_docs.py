"""Every Python example of the documentation runs, page by page, and every link within it leads somewhere."""

import re
from pathlib import Path

import jax
import pytest

import culet

ROOT = Path(__file__).parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#:]+)(?:#[^)]*)?\)")


def read(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


@pytest.fixture
def compilation(page):
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", page != "docs/celeste.md")  # which computes more
    yield
    jax.config.update("jax_disable_most_optimizations", before)


@pytest.mark.parametrize("page", [page for page in PAGES if EXAMPLE.search(read(page))])
def test_examples_run(page, compilation, tmp_path, monkeypatch):
    """The examples of a page are one program: each goes on with the names of those before it."""
    monkeypatch.chdir(tmp_path)
    text, names = read(page), {"__name__": "__main__"}
    for example in EXAMPLE.finditer(text):
        above = text.count("\n", 0, example.start(1))  # so that a traceback names the line of the page
        exec(compile("\n" * above + example[1], ROOT / page, "exec"), names)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    folder = (ROOT / page).parent
    missing = [link for link in LINK.findall(read(page)) if not (folder / link).exists()]
    assert not missing


def test_the_map_of_the_packages_is_whole():
    """README has a line on every package."""
    table = read("README.md").partition("## The packages")[2]
    assert not {name for name in culet.__all__ if f"`culet.{name}`" not in table}


def test_the_pages_with_examples_are_those_meant():
    pages = {page for page in PAGES if EXAMPLE.search(read(page))}
    manual = (
        "models", "checkpoints", "tokenizers", "generation", "training", "tuning", "alignment", "rewards",
        "experiments", "distributions", "flows", "inference", "topics", "celeste", "textures", "music", "disentangling",
    )  # fmt: skip
    assert pages == {"README.md", *(f"docs/{name}.md" for name in manual)}
