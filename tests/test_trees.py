"""Trees of arrays."""

from skcnn._trees import leaves


def test_leaves_are_walked_by_layer_and_name_however_deep():
    tree = [{"b": 0, "W": 1}, {}, {"shortcut": {"b": 2, "W": 3}, "main": [{"W": 4}, {}, {"W": 5}]}]
    assert list(leaves(tree)) == [
        ("0.W", 1),
        ("0.b", 0),
        ("2.main.0.W", 4),
        ("2.main.2.W", 5),
        ("2.shortcut.W", 3),
        ("2.shortcut.b", 2),
    ]
