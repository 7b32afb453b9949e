"""Check that training which is killed and resumed ends with the same weights as training without interruption.

    python benchmarks/kills.py                # kill (SIGKILL) 20 processes at random moments: about 5 minutes
    python benchmarks/kills.py --kills 3

Each process trains a network with batch normalisation, dropout and augmentation on scikit-learn's digits, and writes a
checkpoint after every epoch. It is killed at a random moment, within the time of a full run, and started again with the
same command.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

EPOCHS = 60


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0, help="seed for the random moments")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(fit(args.child))
        return 0
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        expected = run(folder)
        seconds = time.perf_counter() - start
        print(f"without interruption: {seconds:.1f} s, weights {expected}")
        draw = random.Random(args.seed)
        same = []
        while len(same) < args.kills:
            outcome = killed_and_resumed(folder, draw.uniform(0, seconds), expected)
            same += [] if outcome is None else [outcome]
        left = [path.name for path in Path(folder).iterdir()]
    print(f"{sum(same)} of {len(same)} ended with the same weights, bit for bit; files left: {left}")
    return 0 if all(same) and not left else 1


def fit(path):
    """Train, resuming from the checkpoint if there is one, and return a digest of all weights."""
    from sklearn.datasets import load_digits

    from skcnn import NumpyCNNClassifier
    from skcnn._trees import leaves
    from skcnn.augmentation import Rotate, Shift

    X, y = load_digits(return_X_y=True)
    clf = NumpyCNNClassifier(
        n_kernels=(8, 16), batch_norm=True, dropout=0.2, augment=[Shift(1), Rotate(10)], label_smoothing=0.05,
        dtype="float32", max_iter=EPOCHS, early_stopping=True, n_iter_no_change=EPOCHS, random_state=0,
    )  # fmt: skip
    clf.fit(X[:800], y[:800], checkpoint=path)
    bytes_ = b"".join(a.tobytes() for _, a in leaves([clf.network_.params, clf.network_.states]))
    return hashlib.sha256(bytes_).hexdigest()[:16]


def run(folder):
    """Train to the end in a new process, and return the digest that it prints."""
    command = [sys.executable, __file__, "--child", str(Path(folder, "training.checkpoint"))]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def killed_and_resumed(folder, moment, expected):
    """Kill a process and run it again; return whether the weights are as expected, or None if it ended before."""
    path = Path(folder, "training.checkpoint")
    process = subprocess.Popen([sys.executable, __file__, "--child", str(path)], stdout=subprocess.DEVNULL)
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    found = "a checkpoint" if path.exists() else "no checkpoint"
    same = run(folder) == expected
    print(f"killed after {moment:.2f} s, {found}, the same final weights: {same}", flush=True)
    return same


if __name__ == "__main__":
    sys.exit(main())
