"""Acceleration at the wrist during shoulder exercises, in the package seglearn. The class is one of seven exercises.

Ten persons did the exercises, with either arm. One of the watch's six signals is used, the acceleration along the
forearm, so that each row is one series; with all six, the classes would be easier to tell apart.

References
----------
Burns, Leung, Hardisty, Whyne, Henry, McLachlin (2018), Shoulder physiotherapy exercise recognition: machine learning
the inertial signals from a smartwatch.
"""

from __future__ import annotations

import numpy as np

from .packages import pypi

STEPS = 100  # 2 seconds at 50 Hz


def exercises():
    """Return X (n, 100) of float32, y and the persons; windows do not overlap."""
    path = pypi("seglearn==1.2.5") / "seglearn" / "data" / "watch_dataset.npy"
    watch = np.load(path, allow_pickle=True).item()
    windows = [_windows(series[:, 0]) for series in watch["X"]]
    n_windows = [len(some) for some in windows]
    y, persons = (np.repeat(watch[name], n_windows) for name in ("y", "subject"))
    return np.concatenate(windows).astype(np.float32), np.array(watch["y_labels"])[y.astype(int)], persons


def _windows(series):
    return series[: len(series) // STEPS * STEPS].reshape(-1, STEPS)
