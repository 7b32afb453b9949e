"""The API page of the documentation lists all public names."""

from importlib import import_module
from pathlib import Path

import pytest

API = Path(__file__).parents[1] / "docs" / "api.md"
# an alias of a type, and the contexts and names that other entries explain
ELSEWHERE = {"Augmentation", "Initializer", "INITIALIZERS", "Schedule", "PREDICT", "TRAIN"}
WHOLE_MODULES = ["optimizers", "losses", "datasets"]


@pytest.mark.parametrize("name", ["layers", "schedules", "augmentation", "inspection", "presets", *WHOLE_MODULES])
def test_public_names_are_on_the_api_page(name):
    text = API.read_text()
    public = set(import_module(f"skcnn.{name}").__all__) - ELSEWHERE
    assert f"skcnn.{name}" in text
    if name not in WHOLE_MODULES:
        words = set(text.replace(",", " ").replace("skcnn.layers.", "").split())
        assert public <= words, public - words
