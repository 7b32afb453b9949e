"""The chapter "How it works": all pages can be reached, and every figure is used and can be drawn.

Its code runs as doctests, like that of all other pages.
"""

import re
import sys
from importlib import import_module
from inspect import getmembers, isfunction
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

CHAPTER = Path(__file__).parents[1] / "docs" / "how_it_works"
PAGES = sorted(path.stem for path in CHAPTER.glob("*.md") if path.stem != "index")
NOT_OF_A_PAGE = {"__init__", "drawing", "models"}
MODULES = sorted(path.stem for path in (CHAPTER / "figures").glob("*.py") if path.stem not in NOT_OF_A_PAGE)
DIRECTIVE = re.compile(r"^```\{drawn\} (\S+)\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


def text(page):
    return (CHAPTER / f"{page}.md").read_text(encoding="utf-8")


def used(page):
    """Return the figures on a page: their functions' names, and the text of each directive."""
    return DIRECTIVE.findall(text(page))


@pytest.fixture
def figures(monkeypatch):
    """Return a function that imports a module of figures and gives its functions by name."""
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(str(CHAPTER))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def functions(module_name):
        module = import_module(f"figures.{module_name}")
        own = getmembers(module, lambda member: isfunction(member) and member.__module__ == module.__name__)
        return {name: function for name, function in own if not name.startswith("_")}

    return functions


def test_the_index_lists_every_page():
    toctree = re.search(r"```\{toctree\}.*?```", text("index"), flags=re.DOTALL).group()
    assert sorted(set(re.findall(r"^\w+$", toctree, flags=re.MULTILINE))) == PAGES
    for page in PAGES:
        assert f"]({page}.md)" in text("index"), page


def test_the_figures_of_a_page_are_in_a_module_of_its_name():
    assert sorted(["index", *PAGES]) == MODULES
    for page in MODULES:
        assert {name.split(".")[0] for name, _ in used(page)} == {page}


@pytest.mark.parametrize("page", MODULES)
def test_every_figure_has_an_alternative_text_and_a_caption(page):
    for name, directive in used(page):
        _, options, caption = directive.split("---\n")
        assert re.fullmatch(r"alt: >-\n  .*\.\n", options, flags=re.DOTALL), name
        assert caption.strip().endswith("."), name


@pytest.mark.parametrize("page", MODULES)
def test_every_figure_is_used_once_and_drawn_without_a_warning(page, figures, tmp_path):
    functions = figures(page)
    assert sorted(name.split(".")[1] for name, _ in used(page)) == sorted(functions)
    with threadpool_limits(1):  # products are small
        for name, function in functions.items():
            function().savefig(tmp_path / f"{name}.svg")  # warnings are errors in all tests


def test_references_to_equations_exist():
    chapter = "".join(text(page) for page in MODULES)
    labels = re.findall(r"^\$\$ \(([\w-]+)\)$", chapter, flags=re.MULTILINE)
    assert len(labels) == len(set(labels))
    assert set(re.findall(r"\{eq\}`([\w-]+)`", chapter)) <= set(labels)
