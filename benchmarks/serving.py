"""How long it takes to classify one image: with NumPy's kernels, with compiled kernels, and with onnxruntime.

    pip install -e '.[fast,onnx]'
    python benchmarks/serving.py                # about three minutes; the memory is read from Linux

The latency is that of one call with one image, in microseconds: `predict_proba`, or a run of the exported model. Every
round makes 200 calls of each kind in turn. A round's figure is the median of its calls, and the lowest figure of all
rounds is printed: that of the round that other processes have disturbed least. onnxruntime uses all cores, its default.

The start is the processor time of a new process that reads a model from a file and classifies one image, in seconds.
The memory is the largest that this process has used, in MB. Both are medians of five processes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from time import perf_counter

import numpy as np
import onnxruntime

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.onnx import to_onnx
from skcnn.presets import DEEP, EXERCISE

# the shape of an image, and the parameters of the network
NETWORKS = {
    "EXERCISE, 28x28": ((28, 28), EXERCISE),
    "default, 28x28": ((28, 28), {}),
    "default, 64x64x3": ((64, 64, 3), {}),
    "DEEP, 28x28": ((28, 28), DEEP),
}
CALLS = 200
START = {
    "NumPy": "import skcnn; skcnn.load({folder!r} + '/numpy').predict_proba(x)",
    "numba": "import skcnn; skcnn.load({folder!r} + '/numba').predict_proba(x)",
    "onnxruntime": (
        "import onnxruntime; "
        "onnxruntime.InferenceSession({folder!r} + '/model.onnx', providers=['CPUExecutionProvider'])"
        ".run(None, {{'X': x}})"
    ),
}
PROCESS = """
import numpy as np
x = np.zeros({shape}, np.uint8)
{work}
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    for name, (shape, parameters) in NETWORKS.items():
        print(f"{name}: latency in µs, ratio to NumPy; start in s, memory in MB", flush=True)
        clf = fitted(shape, parameters)
        measure(clf, shape, args.rounds)


def fitted(shape, parameters):
    """Return a classifier that has seen a few random images: the latency does not depend on the weights."""
    rng = np.random.default_rng(0)
    X, y = rng.integers(0, 256, (100, *shape), dtype=np.uint8), np.arange(100) % 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it has learnt nothing
        return NumpyCNNClassifier(**{**parameters, "max_iter": 1, "batch_size": 20, "random_state": 0}).fit(X, y)


def measure(clf, shape, rounds):
    with tempfile.TemporaryDirectory() as folder:
        calls = prepare(clf, folder)
        x = np.random.default_rng(1).integers(0, 256, (1, *shape), dtype=np.uint8)
        times = {name: np.empty((rounds, CALLS)) for name in calls}
        for call in calls.values():  # compiles kernels
            call(x)
        for i in range(rounds):
            for name, call in calls.items():
                times[name][i] = [microseconds(call, x) for _ in range(CALLS)]
        latencies = {name: np.median(of, axis=1).min() for name, of in times.items()}
        for name, latency in latencies.items():
            start, memory = start_of(name, folder, x.shape, 5)
            ratio = latency / latencies["NumPy"]
            print(f"    {name:12} {latency:7.0f} {ratio:6.2f}   {start:5.2f} {memory:5.0f}", flush=True)


def prepare(clf, folder):
    """Write the model's files to a folder. Return the functions to compare, by name."""
    compiled = NumpyCNNClassifier(**{**clf.get_params(deep=False), "backend": "numba"})
    compiled._hand_over(clf._fitted)
    skcnn.save(clf, f"{folder}/numpy")
    skcnn.save(compiled, f"{folder}/numba")
    model = to_onnx(clf).SerializeToString()
    Path(f"{folder}/model.onnx").write_bytes(model)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    return {
        "NumPy": clf.predict_proba,
        "numba": compiled.predict_proba,
        "onnxruntime": lambda x: session.run(None, {"X": x}),
    }


def microseconds(call, x):
    start = perf_counter()
    call(x)
    return (perf_counter() - start) * 1e6


def start_of(name, folder, shape, repeats):
    """Return the processor time of a process, and its memory."""
    script = PROCESS.format(shape=shape, work=START[name].format(folder=folder))
    seconds, memory = [], []
    for _ in range(repeats):
        before = processor_time()
        done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
        seconds.append(processor_time() - before)
        memory.append(int(done.stdout) / 1000)
    return float(np.median(seconds)), float(np.median(memory))


def processor_time():
    """Return the processor time of all child processes that have ended."""
    of_children = os.times()
    return of_children.children_user + of_children.children_system


if __name__ == "__main__":
    main()
