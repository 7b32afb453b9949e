"""The pages for users of other libraries: whatever they name in the column of skcnn exists."""

import re
from pathlib import Path

import pytest

import skcnn
import skcnn.datasets
from skcnn import augmentation, layers, optimizers, schedules

PAGES = Path(__file__).parents[1] / "docs" / "coming_from"
MODULES = (skcnn, skcnn.datasets, layers, optimizers, schedules, augmentation)
CLASSIFIER = skcnn.NumpyCNNClassifier(layers=[layers.Dense(5)] * 6, solver=optimizers.SGD())
PARAMETERS = set(CLASSIFIER.get_params()) | {name.split("__")[-1] for name in CLASSIFIER.get_params()}
# methods that only the newest scikit-learn gives, and other libraries
ELSEWHERE = {"set_callbacks", "pickle", "joblib"}


def column(page, header):
    """Return the cells below `header`, in all tables of a page."""
    cells, index = [], None
    for line in (PAGES / page).read_text(encoding="utf-8").splitlines():
        row = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not row:
            index = None
        elif header in row:
            index = row.index(header)
        elif index is not None and not row[index].startswith("-"):
            cells.append(row[index])
    return cells


def exists(name):
    owner, _, attribute = name.rpartition(".")
    if owner == "network_":
        return attribute in skcnn.Network.__annotations__ or hasattr(skcnn.Network, attribute)
    return attribute in PARAMETERS or any(hasattr(thing, attribute) for thing in (*MODULES, type(CLASSIFIER)))


@pytest.mark.parametrize(("page", "least"), [("keras.md", 50), ("skorch.md", 30)])
def test_names_exist(page, least):
    code = [code for cell in column(page, "skcnn") for code in re.findall(r"`([^`]+)`", cell)]
    names = {re.match(r"[\w.]*", piece).group() for piece in code} - ELSEWHERE - {""}
    assert len(names) >= least
    assert {name for name in names if not exists(name)} == set()
