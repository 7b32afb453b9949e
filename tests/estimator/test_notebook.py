"""What notebooks show."""

import copy
import json
import pickle
import re

import pytest
from sklearn.pipeline import make_pipeline
from sklearn.utils import estimator_html_repr

from skcnn import CNNFeatures, Network, NumpyCNNClassifier


def cells(html):
    """The cells of a table, row by row."""
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", html)]


def test_the_network_is_a_table_like_its_summary(fitted):
    html = fitted.network_._repr_html_()
    lines = [re.split(r"\s{2,}", line) for line in fitted.network_.summary().splitlines()]
    found = [[cell for cell in row if cell] for row in cells(html)]
    assert [[cell.replace("&#x27;", "'") for cell in row] for row in found] == lines
    assert html.count("text-align: left") == 2 * len(lines)


def test_names_are_escaped(make, data):
    class Own(type(make().fit(*data).network_.layers[0])):
        def __repr__(self):
            return "<script>"

    network = make().fit(*data).network_
    own = Network((Own(2), *network.layers[1:]), network.shapes, network.params, network.states, network.dtype)
    assert "&lt;script&gt;" in own._repr_html_()
    assert "<script>" not in own._repr_html_()


def test_the_history_is_a_table_of_the_columns_that_have_values(make, data):
    X, y = data
    clf = make(max_iter=2).fit(X, y)
    header, first, second = cells(clf.history_._repr_html_())
    assert header == ["epoch", "loss", "accuracy", "learning_rate", "seconds"]
    assert first[:2] == ["1", f"{clf.loss_curve_[0]:.4g}"]
    assert second[2] == f"{clf.history_[1]['accuracy']:.4g}"
    warm = make(warm_start=True).fit(X, y).fit(X, y, X_val=X, y_val=y)
    header, first, second = cells(warm.history_._repr_html_())
    assert header == list(warm.history_[0])
    assert first[header.index("val_loss")] == ""
    assert second[header.index("val_loss")] == f"{warm.history_[1]['val_loss']:.4g}"


def test_the_history_is_a_list_of_dicts_for_everything_else(fitted):
    history = fitted.history_
    assert isinstance(history, list)
    assert history == list(history)
    assert repr(history) == repr(list(history))
    assert json.loads(json.dumps(history)) == history
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert type(pickle.loads(pickle.dumps(history, protocol))) is list
    for copied in (copy.copy(history), copy.deepcopy(history)):
        assert type(copied) is list
        assert copied == history
    history.clear()
    assert len(fitted.history_) == 1


@pytest.mark.parametrize(
    "estimator", [NumpyCNNClassifier(), CNNFeatures(NumpyCNNClassifier())], ids=["clf", "features"]
)
def test_the_diagram_links_to_the_documentation(estimator):
    address = "https://skcnn.readthedocs.io/en/latest/api/generated/skcnn."
    assert f'href="{address}{type(estimator).__name__}.html' in estimator_html_repr(estimator)
    assert f"{address}NumpyCNNClassifier.html" in estimator_html_repr(make_pipeline("passthrough", estimator))


def test_a_class_of_ones_own_has_no_link():
    class Own(NumpyCNNClassifier):
        pass

    assert "readthedocs" not in estimator_html_repr(Own())
