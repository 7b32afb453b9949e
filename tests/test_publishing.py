"""What is written in more than one place, for those who publish the package."""

import re
import tomllib
from pathlib import Path

import pytest

import skcnn

ROOT = Path(__file__).parents[1]


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_citation_names_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.search(r"^version: (.*)$", citation, flags=re.MULTILINE).group(1) == skcnn.__version__


def test_the_changelog_begins_with_this_version():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(r"^## (\S+)", changelog, flags=re.MULTILINE).group(1) == skcnn.__version__


@pytest.mark.parametrize("file", ["README.md", "docs/versions.md"])
def test_the_oldest_python_and_scikit_learn_are_the_ones_that_are_required(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    python = project()["requires-python"].removeprefix(">=")
    sklearn = next(line for line in project()["dependencies"] if line.startswith("scikit-learn")).split(">=")[1]
    assert f"Python {python}" in text
    assert f"scikit-learn {sklearn}" in text


def test_the_oldest_versions_that_are_tested_are_the_ones_that_are_required():
    tested = dict(line.split("==") for line in (ROOT / ".ci/oldest.txt").read_text().split() if "==" in line)
    for requirement in project()["dependencies"]:
        name, version = requirement.split(">=")
        assert tested[name].startswith(version)
