"""The training state as JSON and arrays."""

import pytest

from skcnn._storage.training_state import checked_history

ROW = {"epoch": 1, "loss": 0.5, "val_loss": None, "val_score": None, "seconds": 0.1}


@pytest.mark.parametrize(
    "history",
    [None, {}, [[]], [{"epoch": 1}], *([ROW | wrong] for wrong in ({"epoch": 1.0}, {"loss": None}, {"seconds": "x"}))],
)
def test_what_is_no_history(history):
    assert checked_history([ROW, ROW]) == [ROW, ROW]
    with pytest.raises(ValueError, match="its history is invalid"):
        checked_history(history)
