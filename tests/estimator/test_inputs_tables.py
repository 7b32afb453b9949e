"""Images that are the rows of a pandas table."""

import pandas as pd
import pytest

from tests.estimator.helpers import PREDICTIONS, same_bits


@pytest.fixture(scope="module")
def table(data):
    return pd.DataFrame(data[0], columns=[f"pixel{i}" for i in range(36)])


def test_a_table_is_its_numbers(make, data, table):
    X, y = data
    clf = make().fit(table, y)
    assert clf.feature_names_in_.tolist() == table.columns.tolist()
    assert same_bits(clf.predict_proba(table), make().fit(X, y).predict_proba(X))


def test_numeric_categories(make, data, table):
    X = table.round(1)
    in_categories = X.astype("category")
    proba = make().fit(X, data[1]).predict_proba(X)
    assert same_bits(make().fit(in_categories, data[1]).predict_proba(in_categories), proba)


def test_missing_values_of_pandas(make, data, table):
    missing = table.astype("Float64").mask(table > 2)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make().fit(missing, data[1])
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make().fit(table, data[1]).predict(missing)


def test_a_column_is_not_a_table(make, data, table):
    clf = make().fit(*data)
    with pytest.raises(ValueError, match=r"Expected 2D array .* got Series of shape \(40,\)"):
        clf.predict(table["pixel0"])


@pytest.mark.parametrize("name", PREDICTIONS)
def test_other_columns_at_predict(make, data, table, name):
    clf = make().fit(table, data[1])
    for other in (table[table.columns[::-1]], table.rename(columns={"pixel0": "pixel_0"})):
        with pytest.raises(ValueError, match="feature names should match"):
            getattr(clf, name)(other)
