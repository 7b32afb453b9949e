"""The page for users of MLPClassifier names everything that it has, and says rightly what this classifier has of it."""

from __future__ import annotations

import inspect
import re
import warnings
from pathlib import Path

import pandas as pd
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier

from skcnn import NumpyCNNClassifier
from skcnn.optimizers import SGD, Adam

PAGE = Path(__file__).parents[2] / "docs" / "coming_from" / "mlpclassifier.md"
KINDS = ["Parameters", "Attributes", "Methods"]


def rows(kind):
    """Read the table below a heading: the second column by the name in the first."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {kind}\n")[1].split("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", section.split("|---|---|---|")[1], flags=re.MULTILINE))


def additions(kind):
    """Return the names in the paragraph on a kind, below the heading "Additions"."""
    section = PAGE.read_text(encoding="utf-8").split("\n## Additions\n")[1]
    paragraph = next(text for text in section.split("\n\n") if text.startswith(f"{kind}: "))
    return set(re.findall(r"`(\w+)`", paragraph))


def names(estimator):
    """Return the public names of a fitted estimator by kind."""
    parameters = set(inspect.signature(type(estimator)).parameters)
    others = {name for name in dir(estimator) if not name.startswith("_") and hasattr(estimator, name)} - parameters
    methods = {name for name in others if callable(getattr(estimator, name))}
    return {"Parameters": parameters, "Attributes": others - methods, "Methods": methods}


@pytest.fixture(scope="module")
def table(data):
    """`data` with named columns."""
    X, y = data
    return pd.DataFrame(X).add_prefix("pixel"), y


@pytest.fixture(scope="module", params=[("adam", False), ("adam", True), ("sgd", False), ("sgd", True)])
def theirs(request, table):
    solver, early_stopping = request.param
    mlp = MLPClassifier(4, solver=solver, early_stopping=early_stopping, max_iter=1, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return names(mlp.fit(*table))


@pytest.mark.parametrize("kind", KINDS)
def test_every_name_is_documented(theirs, kind):
    assert theirs[kind] <= set(rows(kind))


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_table_is_right_about_ours(make, table, kind, early_stopping):
    ours = names(make(early_stopping=early_stopping).fit(*table))[kind]
    here = {name for name, cell in rows(kind).items() if cell == "yes"}
    absent = set(rows(kind)) - here
    assert here
    assert here <= ours
    assert not absent & ours


@pytest.mark.parametrize("kind", KINDS)
def test_additions_are_complete(make, table, kind):
    ours = names(make(early_stopping=True).fit(*table))[kind]
    newest = {"set_callbacks"}  # only with scikit-learn 1.9
    assert additions(kind) - newest == ours - set(rows(kind)) - newest


def test_other_names_are_parameters_of_an_optimizer():
    reached = {name for solver in (SGD(), Adam()) for name in NumpyCNNClassifier(solver=solver).get_params()}
    others = {cell for cell in rows("Parameters").values() if cell not in ("yes", "no")}
    assert others
    assert others <= {f"`{name}`" for name in reached}
