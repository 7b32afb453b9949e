"""Our defaults beside classifiers of scikit-learn and networks of Keras, on the sets of `image_sets.py`.

    python benchmarks/comparison.py                          # everything that is not stored: a day on one core
    python benchmarks/comparison.py --contenders skcnn --sets "digits 180" "icons 32"
    python benchmarks/comparison.py --role development --contenders skcnn --name wide --set n_kernels="(64, 128)"
    python benchmarks/comparison.py --contenders "histogram boosting" --first 1    # the first split of each set
    python benchmarks/comparison.py --report-only --ours wide
    python benchmarks/comparison.py --first 1 --seconds --results timed    # on a computer that does nothing else

Each result is stored as it comes, in a file for each contender. What is stored is not computed again, except with
``--again``: when our defaults have changed. The seed is the split's number. Keras is needed for its networks only.

A difference is the mean over test images, each with its mean over the splits. Its 95% interval is a paired bootstrap
over the groups (icon names, font families, textures, persons, prompts), or over the images of sets without groups. It
does not say how much other training images would change; the splits of a set share most of them. A set counts as lost
where the interval against scikit-learn's best is below 0.
"""

from __future__ import annotations

import argparse
import ast
import json
from functools import partial
from pathlib import Path

import image_sets
import numpy as np
import paired
from contenders import KERAS, PEERS, SKLEARN, skcnn
from exercise import commit

RESULTS = Path(__file__).parent / "results"


def main():
    args = _arguments()
    names = [name for name in args.sets if args.role in ("all", image_sets.SETS[name].role)]
    if not args.report_only:
        for contender in args.contenders:
            run_all(contender, names, args)
    print_report(names, args.results, args.ours)
    if args.seconds:
        print_seconds(names, args.results, args.ours)


def _arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    everyone = ["skcnn", *PEERS]
    parser.add_argument("--contenders", nargs="+", choices=everyone, default=everyone, metavar="NAME")
    parser.add_argument("--sets", nargs="+", choices=image_sets.SETS, default=list(image_sets.SETS), metavar="SET")
    parser.add_argument("--role", choices=["development", "report", "extra", "all"], default="all")
    parser.add_argument("--first", type=int, metavar="N", help="only the first N splits of each set")
    parser.add_argument("--set", dest="parameters", nargs="+", default=[], metavar="PARAMETER=VALUE", help="for skcnn")
    parser.add_argument("--backend", help="for skcnn; not stored, since it does not change what is learnt")
    parser.add_argument("--name", help="the name of skcnn with these parameters")
    parser.add_argument("--again", action="store_true", help="also compute what is stored")
    parser.add_argument("--report-only", action="store_true")
    parser.add_argument("--seconds", action="store_true", help="also print the time of a fit")
    parser.add_argument("--ours", help="the name whose results are reported beside the others'; default: --name")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER")
    args = parser.parse_args()
    if args.parameters and not args.name:
        parser.error("--set needs a --name, so that the results are not mixed with those of the defaults")
    args.parameters = dict(_parameter(text) for text in args.parameters)
    args.name = args.name or "skcnn"
    args.ours = args.ours or args.name
    return args


def _parameter(text):
    """Return ("max_iter", 40) for "max_iter=40"; anything that is not a Python literal stays text."""
    name, _, value = text.partition("=")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def run_all(contender, names, args):
    """Compute and store a contender's results on all splits of the named sets."""
    name, run = contender, PEERS.get(contender)
    if run is None:
        backend = {"backend": args.backend} if args.backend else {}
        name, run = args.name, partial(skcnn, **args.parameters, **backend)
    store = Store(args.results, name, args.parameters if contender == "skcnn" else {})
    for set_name in names:
        image_set = image_sets.load(set_name)
        for split in range(len(image_set.splits[: args.first])):
            if args.again or not store.has(image_set, split):
                _run(run, image_set, split, store)


def _run(run, image_set, split, store):
    """Store a contender's result on a split, or print why there is none."""
    try:
        store.add(image_set, split, *run(image_set, *image_set.splits[split], split))
    except ValueError as error:
        print(f"{image_set.name}, split {split}, {store.name}: {error}", flush=True)


class Store:
    """The results of one contender, in a file of its own."""

    def __init__(self, folder, name, parameters=None):
        self.path = folder / f"{name.replace(' ', '-').replace(',', '')}.json"
        self.name = name
        stored = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.sets = stored.get("sets", {})
        self.parameters = {key: repr(value) for key, value in (parameters or {}).items()}
        if parameters is not None and stored.get("parameters", self.parameters) != self.parameters:
            raise ValueError(f"{self.path} has results of other parameters, {stored['parameters']}: use another --name")

    def has(self, image_set, split):
        return str(split) in self._splits(image_set)

    def _splits(self, image_set):
        """Return the results on a set, unless they are of another version of it."""
        stored = self.sets.get(image_set.name, {})
        return stored["splits"] if stored.get("digest") == image_set.digest() else {}

    def correct(self, image_set):
        """Return for each split that is stored which test images were classified correctly."""
        lengths = [len(test) for _, test in image_set.splits]
        stored = self._splits(image_set).items()
        return {int(split): paired.decode(result["correct"], lengths[int(split)]) for split, result in stored}

    def seconds(self, image_set):
        """Return how long the fits took."""
        return [result["seconds"] for result in self._splits(image_set).values()]

    def add(self, image_set, split, predicted, seconds):
        correct = predicted == image_set.y[image_set.splits[split][1]]
        result = {"accuracy": round(float(correct.mean()), 5), "seconds": round(seconds, 2), "commit": commit()}
        splits = {**self._splits(image_set), str(split): {**result, "correct": paired.encode(correct)}}
        self.sets[image_set.name] = {"digest": image_set.digest(), "splits": splits}
        self._write()
        print(f"{image_set.name}, split {split}, {self.name}: {correct.mean():.4f} in {seconds:.1f} s", flush=True)

    def _write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps({"parameters": self.parameters, "sets": self.sets}, indent=1) + "\n")
        unfinished.replace(self.path)


def print_report(names, folder, ours):
    """Print our accuracy beside that of scikit-learn's best and of each network of Keras, and all accuracies."""
    stores = {name: Store(folder, name) for name in (ours, *PEERS)}
    rows = {name: Compared(image_sets.load(name), stores, ours) for name in names}
    _print_table([ours, "scikit-learn's best", *KERAS], {name: row.cells() for name, row in rows.items()})
    everyone = (ours, *SKLEARN, *KERAS)
    _print_table(everyone, {name: row.accuracies(everyone) for name, row in rows.items()})
    counted = [row for name, row in rows.items() if image_sets.SETS[name].role != "extra"]
    print(f"\n{ours} beside scikit-learn's best: {count(row.gain(row.best()) for row in counted)}")
    for peer in KERAS:
        print(f"{ours} beside {peer}: {count(row.gain(peer) for row in counted)}")


def print_seconds(names, folder, ours):
    """Print the median time of a fit."""
    stores = [Store(folder, name) for name in (ours, *PEERS)]
    rows = {name: [_median(store.seconds(image_sets.load(name))) for store in stores] for name in names}
    _print_table([store.name for store in stores], rows)


def _median(seconds):
    return f"{np.median(seconds):.1f} s" if seconds else "-"


def count(gains):
    """Say on how many sets we are ahead or lose; a gain is (mean, low, high), or None where a result is missing."""
    known = [gain for gain in gains if gain]
    ahead, surely, lost = (sum(test(*gain) for gain in known) for test in (_is_ahead, _is_surely_ahead, _is_lost))
    return f"of {len(known)} sets, ahead on {ahead}, with an interval above 0 on {surely}; lost {lost}"


def _is_ahead(mean, low, high):
    return mean > 0


def _is_surely_ahead(mean, low, high):
    return low > 0


def _is_lost(mean, low, high):
    return high < 0


class Compared:
    """The stored results of all contenders on one set, beside ours."""

    def __init__(self, image_set, stores, ours):
        self.image_set, self.ours = image_set, ours
        self.correct = {name: store.correct(image_set) for name, store in stores.items()}

    def accuracies(self, names):
        return [f"{self._accuracy(name, self.correct[name]):.3f}" if self.correct[name] else "-" for name in names]

    def best(self):
        """Return scikit-learn's classifier of the highest accuracy on this set."""
        return max(SKLEARN, key=lambda name: self._accuracy(name, self.correct[name]))

    def cells(self):
        best = self.best()
        return [*self.accuracies([self.ours]), f"{best}: {self._beside(best)}", *(self._beside(name) for name in KERAS)]

    def gain(self, peer):
        """Return our difference from a peer, as (mean, low, high), on the splits that both have; None without any."""
        splits = self._common(peer)
        if not splits:
            return None
        return paired.difference(*(self._shares(name, splits) for name in (self.ours, peer)), self.image_set.groups)

    def _beside(self, peer):
        if not self._common(peer):
            return "-"
        mean, low, high = self.gain(peer)
        return f"{self._accuracy(peer, self._common(peer)):.3f}, {mean:+.3f} [{low:+.3f}, {high:+.3f}]"

    def _common(self, peer):
        return sorted(self.correct[self.ours].keys() & self.correct[peer].keys())

    def _accuracy(self, name, splits):
        return np.nanmean(self._shares(name, splits)) if splits else 0.0

    def _shares(self, name, splits):
        return paired.share_correct(self.image_set, {split: self.correct[name][split] for split in splits})


def _print_table(head, rows):
    print("\n| set | " + " | ".join(head) + " |\n|---" + "|---" * len(head) + "|")
    for name, cells in rows.items():
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
