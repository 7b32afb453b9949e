"""The tables and the chart of docs/performance.md, from the times that speed.py saved. It needs matplotlib.

python benchmarks/speed_chart.py speed.json docs/speed.svg
"""

from __future__ import annotations

import json
import sys
from statistics import median

from matplotlib import pyplot as plt

FAST, NUMPY = "skcnn, numba", "skcnn"
FRAMEWORKS = ("PyTorch", "PyTorch, channels_last", "PyTorch, compiled", "Keras", "JAX", "onnxruntime")
OTHERS = ("skorch", "MLPClassifier", "naive loops")
MARKERS = {"PyTorch": "o", "Keras": "s", "JAX": "^", "onnxruntime": "D"}


def main(results, chart):
    with open(results) as file:
        tasks = json.load(file)["microseconds per image"]
    medians = {task: {name: median(times) for name, times in of.items()} for task, of in tasks.items()}
    print_summary(medians)
    print_all(medians)
    draw(medians, chart)


def best_framework(times):
    """Return the framework with the shortest time."""
    return min((name for name in FRAMEWORKS if name in times), key=times.get)


def print_summary(medians):
    print("| task | NumPy | `[fast]` | fastest framework | its time / NumPy's | its time / `[fast]` |")
    print("|---|---|---|---|---|---|")
    for task, times in medians.items():
        best = best_framework(times)
        ratios = [f"{times[best] / times[name]:.2f}" for name in (NUMPY, FAST)]
        print(
            f"| {task} | {times[NUMPY]:.0f} | {times[FAST]:.0f} | {times[best]:.0f} ({best}) | {' | '.join(ratios)} |"
        )


def print_all(medians):
    names = [*FRAMEWORKS, *OTHERS]
    print(f"\n| task | {' | '.join(names)} |\n|---|{'---|' * len(names)}")
    for task, times in medians.items():
        ratios = [f"{times[name] / times[FAST]:.2f}" if name in times else "" for name in names]
        print(f"| {task} | {' | '.join(ratios)} |")


def draw(medians, path):
    """Draw the times of the frameworks and of NumPy's kernels, as multiples of the time of the compiled kernels."""
    figure, axes = plt.subplots(figsize=(8, 0.42 * len(medians) + 1.3), layout="constrained")
    rows = dict(zip(medians, range(len(medians), 0, -1), strict=True))
    for row in rows.values():
        axes.axhline(row, color="0.9", linewidth=1, zorder=0)
    axes.axvline(1, color="C3", linewidth=2, zorder=1, label="skcnn[fast]")
    ours = [times[NUMPY] / times[FAST] for times in medians.values()]
    axes.plot(ours, list(rows.values()), "P", color="C3", markersize=9, label="skcnn, NumPy only")
    for i, (name, marker) in enumerate(MARKERS.items()):
        points = [
            (min(settings) / times[FAST], rows[task])
            for task, times in medians.items()
            if (settings := [time for peer, time in times.items() if peer.split(",")[0] == name])
        ]
        if not points:
            continue
        label = "PyTorch, its fastest setting" if name == "PyTorch" else name
        axes.plot(*zip(*points, strict=True), marker, color=f"C{(0, 1, 2, 4)[i]}", markersize=7, label=label)
    axes.set_xscale("log")
    ticks = [0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 20]
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.set_yticks(list(rows.values()), list(rows))
    axes.set_xlabel("time, relative to skcnn[fast]: further right is slower")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    plt.rcParams["svg.hashsalt"] = "speed"
    figure.savefig(path, metadata={"Date": None})


if __name__ == "__main__":
    main(*sys.argv[1:])
