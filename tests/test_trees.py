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


def test_layers_of_a_long_block_come_in_their_order():
    tree = [{str(index): {"W": index} for index in (10, 2, 0, 11)} | {"projection": {"W": 12}}]
    assert [array for _, array in leaves(tree)] == [0, 2, 10, 11, 12]
