"""Check that training which is killed and resumed ends with the same weights as training without interruption.

    python benchmarks/kills.py                # everything, about 10 minutes
    python benchmarks/kills.py --kills 3 --calls 0 --pairs 0

- At random moments: each process trains a network with batch normalisation, dropout and augmentation on scikit-learn's
  digits, and writes a checkpoint after every epoch. It is killed (SIGKILL) at a random moment, within the time of a
  full run, and started again with the same command.
- At system calls: processes that train and save a model are killed when they open, write, flush, rename or remove a
  file for the first time, the second time, and so on. This needs strace.
- In pairs: two processes with the same command start at about the same time. Each must end with the same weights, or
  say that the checkpoint is in use.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import digest

EPOCHS = 60
CALLS = ["openat", "write", "fsync", "rename", "unlink", "flock"]
FINISHED = ["training.checkpoint.finished"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="processes killed at random moments")
    parser.add_argument("--calls", type=int, default=8, help="processes killed at each kind of system call")
    parser.add_argument("--pairs", type=int, default=50, help="pairs of processes")
    parser.add_argument("--seed", type=int, default=0, help="seed for the random moments")
    parser.add_argument("--child", nargs=2, metavar=("TASK", "PATH"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        task, path = args.child
        print({"long": long_fit, "short": short_fit}[task](path), flush=True)
        return 0
    draw = random.Random(args.seed)
    results = [at_random_moments(args.kills, draw), at_system_calls(args.calls), in_pairs(args.pairs, draw)]
    return 0 if all(results) else 1


def long_fit(path):
    """Train, resuming from the checkpoint if there is one, and return a digest of all weights."""
    from sklearn.datasets import load_digits

    from skcnn import NumpyCNNClassifier
    from skcnn.augmentation import Rotate, Shift

    X, y = load_digits(return_X_y=True)
    clf = NumpyCNNClassifier(
        n_kernels=(8, 16), batch_norm=True, dropout=0.2, augment=[Shift(1), Rotate(10)], label_smoothing=0.05,
        dtype="float32", max_iter=EPOCHS, early_stopping=True, n_iter_no_change=EPOCHS, random_state=0,
    )  # fmt: skip
    return weights_of(clf.fit(X[:800], y[:800], checkpoint=path))


def short_fit(path):
    """Train for 3 epochs, and save the model too. Return a digest of its weights, read from the file."""
    import numpy as np

    import skcnn

    print("ready", flush=True)
    X, y = np.random.default_rng(0).random((60, 6, 6)), np.arange(60) % 3
    clf = skcnn.NumpyCNNClassifier(2, hidden_layer_sizes=(), max_iter=3, random_state=0, n_jobs=1)
    skcnn.save(clf.fit(X, y, checkpoint=path), f"{path}.model")
    return weights_of(skcnn.load(f"{path}.model"))


def weights_of(clf):
    """Return a digest of all weights."""
    from skcnn._trees import leaves

    return digest(array for _, array in leaves([clf.network_.params, clf.network_.states]))


def command(task, folder):
    return [sys.executable, __file__, "--child", task, str(Path(folder, "training.checkpoint"))]


def run(task, folder):
    """Train to the end in a new process, and return the digest that it prints."""
    done = subprocess.run(command(task, folder), capture_output=True, text=True, check=True)
    return done.stdout.split()[-1]


def files(folder):
    return sorted(path.name for path in Path(folder).iterdir())


def remove_files(folder):
    for path in Path(folder).iterdir():
        path.unlink()


def at_random_moments(n_kills, draw):
    if not n_kills:
        return True
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        expected = run("long", folder)
        seconds = time.perf_counter() - start
        print(f"without interruption: {seconds:.1f} s, weights {expected}")
        same = []
        while len(same) < n_kills:
            remove_files(folder)
            outcome = killed_and_resumed(folder, draw.uniform(0, seconds), expected)
            same += [] if outcome is None else [outcome]
    print(f"{sum(same)} of {len(same)} killed at random moments ended with the same weights, bit for bit")
    return all(same)


def killed_and_resumed(folder, moment, expected):
    """Kill a process and run it again; return whether all is as expected, or None if it ended before."""
    process = subprocess.Popen(command("long", folder), stdout=subprocess.DEVNULL)
    try:
        process.wait(moment)
        return None
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    found = files(folder)
    same = run("long", folder) == expected
    print(f"killed after {moment:.2f} s, left {found}, the same final weights: {same}", flush=True)
    return same and files(folder) == FINISHED


def at_system_calls(n_calls):
    """Kill processes at their first, second, ... system call of each kind that has to do with the checkpoint."""
    if not n_calls:
        return True
    if shutil.which("strace") is None:
        print("no processes were killed at system calls, because strace is not installed")
        return True
    good, n_kills = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        expected = run("short", folder)
        for call in CALLS:
            for n in range(1, n_calls + 1):
                remove_files(folder)
                if not killed_at(call, n, folder):
                    break
                n_kills += 1
                found = files(folder)
                is_good = run("short", folder) == expected and files(folder) == [*FINISHED, "training.checkpoint.model"]
                good += is_good
                print(f"killed at {call} {n}, left {found}, all is well after the next run: {is_good}", flush=True)
    print(f"{good} of {n_kills} killed at system calls ended with the same weights, and no other file left")
    return good == n_kills


def killed_at(call, n, folder):
    """Kill a process at its n-th call that concerns the checkpoint's folder. Return False if there are fewer calls."""
    path = Path(folder, "training.checkpoint")
    every = [f"{path}{end}" for end in ("", ".part", ".lock", ".finished", ".model", ".model.part", ".model.lock")]
    paths = [option for name in (folder, *every) for option in ("-P", name)]
    inject = ["-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}"]
    strace = ["strace", "-f", "-qq", "-o", "/dev/null", *paths, *inject]
    code = subprocess.run([*strace, *command("short", folder)], stdout=subprocess.DEVNULL, check=False).returncode
    if code not in (0, -signal.SIGKILL):
        raise RuntimeError(f"a process that was to be killed at {call} {n} ended with {code}")
    return code != 0


def in_pairs(n_pairs, draw):
    """Start two processes with the same command, the second one up to 50 ms after the first one has begun to train."""
    if not n_pairs:
        return True
    good, in_use = 0, 0
    with tempfile.TemporaryDirectory() as folder:
        expected = run("short", folder)
        for _ in range(n_pairs):
            remove_files(folder)
            pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
            processes = []
            for _ in range(2):
                processes.append(subprocess.Popen(command("short", folder), **pipes))
                time.sleep(draw.uniform(0, 0.05))
            ends = [(process, *process.communicate()) for process in processes]
            refused = sum("in use by another process" in errors for _, _, errors in ends)
            same = sum(process.returncode == 0 and out.split()[-1] == expected for process, out, _ in ends)
            is_good = same + refused == 2 and same >= 1 and files(folder) == [*FINISHED, "training.checkpoint.model"]
            good, in_use = good + is_good, in_use + refused
            if not is_good:
                print(f"FAULT: {[(process.returncode, errors[-300:]) for process, _, errors in ends]}, {files(folder)}")
    print(f"{good} of {n_pairs} pairs ended well: {in_use} processes were told that the checkpoint is in use")
    return good == n_pairs


if __name__ == "__main__":
    sys.exit(main())
