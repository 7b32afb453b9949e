"""The table of scikit-learn's meta-estimators in the guide: which of them take images, and which flat rows."""

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn.base
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_selection import RFE, SelectFromModel, SelectKBest, SequentialFeatureSelector
from sklearn.frozen import FrozenEstimator
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    FixedThresholdClassifier,
    GridSearchCV,
    HalvingGridSearchCV,
    HalvingRandomSearchCV,
    RandomizedSearchCV,
    TunedThresholdClassifierCV,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
    validation_curve,
)
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import SelfTrainingClassifier

GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "meta_estimators.md"
SHAPE = (4, 5, 2)
Y = np.arange(30) % 3
IMAGES = np.random.default_rng(0).normal(size=(30, *SHAPE)) + Y[:, np.newaxis, np.newaxis, np.newaxis]
ROWS = IMAGES.reshape(30, -1)
RATES = {"learning_rate_init": [0.01, 0.03]}
PARTS = {"train_sizes": [0.5, 1.0]}


def flattened(X):
    return X.reshape(len(X), -1)


def better(clf):
    """More accurate than guessing, as AdaBoost requires."""
    return clf.set_params(n_kernels=8, hidden_layer_sizes=16, max_iter=5)


def two_classes(meta, X):
    return meta.fit(X[Y < 2], Y[Y < 2])


def two_outputs(meta, X):
    return meta.fit(X, np.column_stack([Y > 0, Y > 1]))


# each function fits a meta-estimator with a classifier and some X, and returns it, or the result of a function
TAKE_IMAGES = {
    "GridSearchCV": lambda clf, X: GridSearchCV(clf, RATES, cv=2).fit(X, Y),
    "RandomizedSearchCV": lambda clf, X: RandomizedSearchCV(clf, RATES, n_iter=1, cv=2).fit(X, Y),
    "HalvingGridSearchCV": lambda clf, X: HalvingGridSearchCV(clf, RATES, cv=2, min_resources=12).fit(X, Y),
    "HalvingRandomSearchCV": lambda clf, X: HalvingRandomSearchCV(clf, RATES, n_candidates=2, cv=2).fit(X, Y),
    "cross_validate": lambda clf, X: cross_validate(clf, X, Y, cv=2, error_score="raise"),
    "cross_val_score": lambda clf, X: cross_val_score(clf, X, Y, cv=2, error_score="raise"),
    "cross_val_predict": lambda clf, X: cross_val_predict(clf, X, Y, cv=2, method="predict_proba"),
    "learning_curve": lambda clf, X: learning_curve(clf, X, Y, cv=2, error_score="raise", **PARTS),
    "learning_curve, exploit_incremental_learning=True": lambda clf, X: learning_curve(
        clf, X, Y, cv=2, exploit_incremental_learning=True, error_score="raise", **PARTS
    ),
    "validation_curve": lambda clf, X: validation_curve(
        clf, X, Y, param_name="alpha", param_range=[0, 1], cv=2, error_score="raise"
    ),
    "permutation_test_score": lambda clf, X: permutation_test_score(clf, X, Y, cv=2, n_permutations=2),
    "FunctionTransformer": lambda clf, X: make_pipeline(FunctionTransformer(np.negative), clf).fit(X, Y),
    "CalibratedClassifierCV": lambda clf, X: CalibratedClassifierCV(clf, cv=2).fit(X, Y),
    "CalibratedClassifierCV, ensemble=False": lambda clf, X: CalibratedClassifierCV(clf, cv=2, ensemble=False).fit(
        X, Y
    ),
    "FrozenEstimator": lambda clf, X: CalibratedClassifierCV(FrozenEstimator(clf.fit(X, Y))).fit(X, Y),
    "TunedThresholdClassifierCV": lambda clf, X: two_classes(TunedThresholdClassifierCV(clf, cv=2, thresholds=5), X),
    "FixedThresholdClassifier": lambda clf, X: two_classes(FixedThresholdClassifier(clf, threshold=0.4), X),
    "AdaBoostClassifier": lambda clf, X: AdaBoostClassifier(better(clf), n_estimators=2).fit(X, Y),
    "VotingClassifier": lambda clf, X: VotingClassifier([("a", clf), ("b", clf)]).fit(X, Y),
    "VotingClassifier, voting='soft'": lambda clf, X: VotingClassifier(
        [("cnn", clf), ("linear", make_pipeline(FunctionTransformer(flattened), LogisticRegression()))], voting="soft"
    ).fit(X, Y),
    "StackingClassifier": lambda clf, X: StackingClassifier([("a", clf), ("b", clf)], cv=2).fit(X, Y),
    "OneVsRestClassifier": lambda clf, X: OneVsRestClassifier(clf).fit(X, Y),
    "OneVsRestClassifier, several labels": lambda clf, X: two_outputs(OneVsRestClassifier(clf), X),
    "MultiOutputClassifier": lambda clf, X: two_outputs(MultiOutputClassifier(clf), X),
}
NEED_ROWS = {
    "StandardScaler": lambda clf, X: make_pipeline(StandardScaler(), clf).fit(X, Y),
    "MinMaxScaler": lambda clf, X: make_pipeline(MinMaxScaler(), clf).fit(X, Y),
    "BaggingClassifier": lambda clf, X: BaggingClassifier(clf, n_estimators=2, random_state=0).fit(X, Y),
    "StackingClassifier, passthrough=True": lambda clf, X: StackingClassifier(
        [("a", clf)], LogisticRegression(max_iter=1000), cv=2, passthrough=True
    ).fit(X, Y),
    "OneVsOneClassifier": lambda clf, X: OneVsOneClassifier(clf).fit(X, Y),
    "OutputCodeClassifier": lambda clf, X: OutputCodeClassifier(clf, random_state=0).fit(X, Y),
    "SelfTrainingClassifier": lambda clf, X: SelfTrainingClassifier(clf, max_iter=2).fit(
        X, np.where(np.arange(30) < 20, Y, -1)
    ),
    "permutation_importance": lambda clf, X: permutation_importance(clf.fit(X, Y), X, Y, n_repeats=1),
    "partial_dependence": lambda clf, X: partial_dependence(clf.fit(X, Y), X, [0], grid_resolution=3),
}
DO_NOT_WORK = {
    "BaggingClassifier, max_features=0.5": lambda clf, X: BaggingClassifier(clf, 2, max_features=0.5).fit(X, Y),
    "ClassifierChain": lambda clf, X: two_outputs(ClassifierChain(clf), X),
    "SelectKBest": lambda clf, X: make_pipeline(SelectKBest(k=10), clf).fit(X, Y),
    "SelectFromModel": lambda clf, X: SelectFromModel(clf).fit(X, Y).transform(X),
    "RFE": lambda clf, X: RFE(clf).fit(X, Y),
    "SequentialFeatureSelector": lambda clf, X: SequentialFeatureSelector(clf, n_features_to_select=1, cv=2).fit(X, Y),
}


def predicts(result, X):
    """Return whether the result of a function is complete, or a fitted meta-estimator predicts one label per image."""
    if isinstance(result, sklearn.base.BaseEstimator):
        return len(result.predict(X)) == len(X)
    return result is not None


@pytest.mark.parametrize("name", TAKE_IMAGES)
def test_these_take_images_and_flat_rows(name, make):
    assert predicts(TAKE_IMAGES[name](make(), IMAGES), IMAGES)
    assert predicts(TAKE_IMAGES[name](make(image_shape=SHAPE), ROWS), ROWS)


@pytest.mark.parametrize("name", NEED_ROWS)
def test_these_need_flat_rows(name, make):
    assert predicts(NEED_ROWS[name](make(image_shape=SHAPE), ROWS), ROWS)
    with pytest.raises(ValueError, match=r"dim 4|2D|number of dimensions"):
        NEED_ROWS[name](make(), IMAGES)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.FitFailedWarning")
@pytest.mark.parametrize("name", DO_NOT_WORK)
def test_these_do_not_work(name, make):
    for clf, X in ((make(), IMAGES), (make(image_shape=SHAPE), ROWS)):
        with pytest.raises(ValueError, match=r"dim 4|needs 40 features, got|feature_importances_"):
            DO_NOT_WORK[name](clf, X)


def test_the_table_of_the_guide_lists_what_is_tested_here():
    listed = {}
    for names, takes in re.findall(r"^\| (`.*?) \| (images or rows|rows|no)", GUIDE.read_text(), re.MULTILINE):
        listed.setdefault(takes, []).extend(re.findall(r"`([^`]+)`", names))
    for takes, tested in (("images or rows", TAKE_IMAGES), ("rows", NEED_ROWS), ("no", DO_NOT_WORK)):
        ours = {name for name in tested if not name.endswith(("learning=True", "False", "labels", "'soft'"))}
        assert set(listed[takes]) == ours
