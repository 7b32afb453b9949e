"""Files that older versions have written can still be read. `data` has a folder for each format.

The files of a new format are written by ``python -m tests.estimator.test_older_files NAME``.
"""

import shutil
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from sklearn.exceptions import InconsistentVersionWarning

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.augmentation import Shift
from skcnn.layers import BatchNorm, Conv2D, Flatten, MaxPool2D, ReLU, Residual, Sequential
from skcnn.optimizers import AdamW, ClipNorm
from skcnn.schedules import Cosine

DATA = Path(__file__).parent / "data"
kind = np.arange(24) % 3
X = (np.arange(24 * 36) * 7 % 64).reshape(24, 6, 6) / 64 + kind[:, None, None]  # no random numbers, which may change
y = np.array(["red", "green", "blue"], object)[kind]
FOLDERS = sorted(path.name for path in DATA.iterdir())


class Stop(Exception):
    """Raised in the second epoch."""


def one(epoch, n_epochs):
    """The learning rate does not change."""
    if epoch > one.until:
        raise Stop
    return 1.0


one.until = np.inf


def make(**parameters):
    block = Residual([Conv2D(2, bias=False), BatchNorm(), ReLU(), Sequential([Conv2D(2, bias="position")])])
    return NumpyCNNClassifier(
        layers=[Conv2D(2, initializer="glorot_normal"), block, MaxPool2D(), Flatten()], dtype="float32",
        solver=ClipNorm(AdamW(beta_1=np.float32(0.5)), max_norm=2), augment=(Shift(1),), batch_size=8,
        class_weight={"red": 1, "green": np.float64(2), "blue": 1.5}, max_iter=3, learning_rate_init=0.05,
        warm_start=True, backend="numpy", random_state=0, **parameters,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def older_versions():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        yield


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_model_predicts_and_trains(folder):
    clf = skcnn.load(DATA / folder / "model").set_params(backend="numpy")
    expected = np.load(DATA / folder / "expected.npz")
    assert clf.classes_.tolist() == ["blue", "green", "red"]
    np.testing.assert_allclose(clf.predict_proba(X), expected["model"], atol=1e-5)
    assert repr(clf.get_params()) == repr(make(learning_rate=Cosine(warm_up=1)).get_params())
    clf.partial_fit(X, y)
    np.testing.assert_allclose(clf.predict_proba(X), expected["trained"], atol=1e-4)


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.parametrize("name", ["checkpoint", "checkpoint.finished"])
def test_a_fit_resumes(name, folder, tmp_path):
    shutil.copy(DATA / folder / name, tmp_path)
    clf = make(learning_rate=one).fit(X, y, checkpoint=tmp_path / "checkpoint")
    expected = np.load(DATA / folder / "expected.npz")
    np.testing.assert_allclose(clf.predict_proba(X), expected["checkpoint"], atol=1e-4)


def write(folder):
    """Write the files of the current version."""
    folder.mkdir(parents=True)
    clf = make(learning_rate=Cosine(warm_up=1)).fit(X, y)
    skcnn.save(clf, folder / "model", include_optimizer=True)
    results = {"model": clf.predict_proba(X), "trained": clf.partial_fit(X, y).predict_proba(X)}
    path = folder / "checkpoint"
    results["checkpoint"] = make(learning_rate=one).fit(X, y, checkpoint=path).predict_proba(X)
    one.until = 1.5
    (folder / "checkpoint.finished").rename(folder / "kept")
    with suppress(Stop):
        make(learning_rate=one).fit(X, y, checkpoint=path)
    (folder / "kept").rename(folder / "checkpoint.finished")
    np.savez(folder / "expected.npz", **results)


if __name__ == "__main__":
    from tests.estimator import test_older_files  # its functions must not belong to __main__

    test_older_files.write(DATA / sys.argv[1])
