import matplotlib.pyplot as plt
import numpy as np
import pytest

from skcnn.inspection import TrainingDisplay


def test_without_a_validation_set_there_are_the_figures_of_training(grey):
    display = TrainingDisplay.from_estimator(grey)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy", "learning rate"]
    assert set(display.lines_) == {"loss", "accuracy", "learning_rate"}
    np.testing.assert_array_equal(display.lines_["loss"].get_xdata(), [1, 2])
    np.testing.assert_array_equal(display.lines_["loss"].get_ydata(), grey.loss_curve_)
    for name in ("accuracy", "learning_rate"):
        np.testing.assert_array_equal(display.lines_[name].get_ydata(), [row[name] for row in grey.history_])
    assert display.axes_[-1].get_xlabel() == "epoch"


@pytest.mark.parametrize(("scoring", "name"), [("f1_macro", "f1_macro"), (lambda clf, X, y: 1.0, "score")])
def test_a_score_that_is_not_the_accuracy_has_a_panel_of_its_own(make, data, scoring, name):
    X, y = data
    clf = make(max_iter=3, early_stopping=True, scoring=scoring).fit(X, y)
    display = TrainingDisplay.from_estimator(clf)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy", f"validation {name}", "learning rate"]
    assert display.lines_["val_loss"].axes is display.lines_["loss"].axes is display.axes_[0]
    np.testing.assert_array_equal(display.lines_["val_loss"].get_ydata(), clf.validation_loss_curve_)
    np.testing.assert_array_equal(display.lines_["val_score"].get_ydata(), clf.validation_scores_)
    assert all(any(line.get_xdata()[0] == clf.best_iter_ for line in ax.lines[-1:]) for ax in display.axes_)


def test_with_a_validation_set_there_are_its_loss_and_accuracy(make, data):
    X, y = data
    clf = make(max_iter=2).fit(X, y, X_val=X, y_val=y)
    display = TrainingDisplay.from_estimator(clf)
    assert [ax.get_ylabel() for ax in display.axes_] == ["loss", "accuracy", "learning rate"]
    assert display.lines_["val_accuracy"].axes is display.lines_["accuracy"].axes is display.axes_[1]
    np.testing.assert_array_equal(display.lines_["val_accuracy"].get_ydata(), clf.validation_scores_)


def test_a_history_without_training_accuracy_has_no_panel_for_it(grey):
    older = [{name: value for name, value in row.items() if name != "accuracy"} for row in grey.history_]
    assert set(TrainingDisplay(older).plot().lines_) == {"loss", "learning_rate"}


def test_epochs_without_a_validation_set_are_gaps(make, data):
    X, y = data
    clf = make(max_iter=1, warm_start=True).fit(X, y).fit(X, y, X_val=X, y_val=y)
    line = TrainingDisplay.from_estimator(clf).lines_["val_loss"]
    assert np.isnan(line.get_ydata()).tolist() == [True, False]


def test_a_single_epoch_is_visible(fitted):
    assert TrainingDisplay.from_estimator(fitted).lines_["loss"].get_marker() == "o"


def test_the_panels_can_be_drawn_on_ones_own_axes(grey):
    _, axes = plt.subplots(1, 3)
    display = TrainingDisplay.from_estimator(grey, ax=axes)
    assert display.axes_.tolist() == axes.tolist()
    assert TrainingDisplay.from_estimator(grey, ax=list(axes)).axes_.tolist() == axes.tolist()
    with pytest.raises(ValueError, match=r"a sequence of 3, got an array of shape \(2,\)"):
        display.plot(plt.subplots(2)[1])


def test_one_axes_is_divided_into_panels(grey):
    figure, (_, right) = plt.subplots(1, 2)
    display = TrainingDisplay.from_estimator(grey, ax=right)
    assert display.figure_ is figure
    assert not right.axison
    inside = right.get_position()
    for ax in display.axes_:
        assert inside.x0 <= ax.get_position().x0 < ax.get_position().x1 <= inside.x1 + 1e-9
    with pytest.raises(ValueError, match="must be from plt"):
        display.plot(figure.add_axes((0, 0, 1, 1)))
