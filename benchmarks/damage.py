"""Check that damaged and crafted files are never loaded as something that they are not.

    python benchmarks/damage.py               # 1,000 damaged files: about a minute
    python benchmarks/damage.py --files 100 --seed 1

Half of the files are models saved by `skcnn.save`, the others are checkpoints. They are cut, filled with random bytes,
and so on. Some are crafted: their content is changed, but their checksum is valid. Every file must give a ValueError
that names it, or the right model, in less than a second, with little memory and without running any code. The right
model is the one that was saved or, for a crafted file, one that can predict and train.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import pickle
import random
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from contextlib import nullcontext, suppress
from copy import deepcopy
from pathlib import Path

import numpy as np
from common import limit_memory

import skcnn
from skcnn import NumpyCNNClassifier
from skcnn.layers import BatchNorm, Conv2D, Flatten, MaxPool2D, ReLU, Residual

MEMORY = 2**30  # bytes that a damaged file may take, which is more than 10,000 times its size
SECONDS = 1.0
EPOCHS = 3
rng = np.random.default_rng(0)
X, y = rng.random((30, 6, 6)), np.array(["a", "b", "c"])[np.arange(30) % 3]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    draw, outcomes, longest = random.Random(args.seed), Counter(), 0.0
    with tempfile.TemporaryDirectory() as folder:
        ways = {"model": Model(Path(folder, "model")), "checkpoint": Checkpoint(Path(folder, "checkpoint"))}
        for way in ways.values():
            assert way.outcome(way.content, may_differ=False) == "the right model"
        limit_memory(MEMORY)
        for i in range(args.files):
            way = ways[("model", "checkpoint")[i % 2]]
            name, damage = draw.choice(list(DAMAGES.items()))
            content = damage(way.content, draw, Path(folder, "code was run"))
            start = time.perf_counter()
            outcome = way.outcome(content, may_differ=name.startswith("crafted"))
            longest = max(longest, seconds := time.perf_counter() - start)
            if seconds > SECONDS:
                outcome = f"FAULT: took {seconds:.1f} s"
            if Path(folder, "code was run").exists():
                outcome = "FAULT: code was run"
            outcomes[type(way).__name__.lower(), name, outcome] += 1
    for (kind, name, outcome), count in sorted(outcomes.items()):
        print(f"{count:5}  {kind:10}  {name:32}  {outcome}")
    faults = sum(count for (_, _, outcome), count in outcomes.items() if outcome.startswith("FAULT"))
    print(f"{args.files - faults} of {args.files} right; the longest took {longest:.2f} s")
    return 1 if faults else 0


def make(**parameters):
    block = Residual([Conv2D(4, bias=False), BatchNorm(), ReLU(), Conv2D(4)])
    layers = [Conv2D(3, bias="position"), ReLU(), block, MaxPool2D(), Flatten()]
    return NumpyCNNClassifier(layers=layers, max_iter=EPOCHS, random_state=0, n_jobs=1, **parameters)


class Model:
    """A model saved by `skcnn.save`."""

    def __init__(self, path):
        self.path = path
        clf = make(warm_start=True).fit(X, y)
        skcnn.save(clf, path, include_optimizer=True)
        self.content, self.expected = path.read_bytes(), clf.predict_proba(X).tobytes()

    def outcome(self, content, may_differ):
        self.path.write_bytes(content)
        try:
            clf = skcnn.load(self.path)
        except Exception as error:
            return judged(error, self.path)
        return used(clf, self.expected, may_differ)


class Checkpoint:
    """The checkpoint of a fit that was ended after its second epoch."""

    calls = 0  # of `augment`, which ends the fit when they reach 0

    def __init__(self, path):
        self.path = path
        self.expected = self.make().fit(X, y).predict_proba(X).tobytes()
        Checkpoint.calls = -2 * len(X) // 10 - 1  # a step in the third epoch
        with suppress(KeyboardInterrupt):
            self.make().fit(X, y, checkpoint=path)
        self.content = path.read_bytes()

    def make(self):
        return make(batch_size=10, augment=augment, early_stopping=False)

    def outcome(self, content, may_differ):
        self.path.write_bytes(content)
        try:
            clf = self.make().fit(X, y, checkpoint=self.path)
        except Exception as error:
            return judged(error, self.path)
        finally:
            Path(f"{self.path}.finished").unlink(missing_ok=True)
        return used(clf, self.expected, may_differ)


def augment(images, rng):
    Checkpoint.calls += 1
    if Checkpoint.calls == 0:
        raise KeyboardInterrupt
    return images


def judged(error, path):
    is_clear = isinstance(error, ValueError) and str(path) in str(error)
    return "a clear error" if is_clear else f"FAULT: {type(error).__name__}: {str(error)[:300]}"


def used(clf, expected, may_differ):
    try:
        same = False
        with suppress(ValueError) if may_differ else nullcontext():  # clear, as for weights that are not finite
            same = clf.predict_proba(X).tobytes() == expected
        if may_differ:
            with suppress(ValueError):  # clear, if the file says that the network was built with other parameters
                clf.partial_fit(X, y).predict(X)
            repr(clf), clf.loss_curve_, clf.validation_scores_, pickle.dumps(clf)
    except Exception as error:
        return f"FAULT: was loaded, but {type(error).__name__}: {str(error)[:300]}"
    if same:
        return "the right model"
    return "another model, which works" if may_differ else "FAULT: another model"


def flip(content, draw, trap):
    """Flip up to three bits."""
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def cut(content, draw, trap):
    return content[: draw.randrange(len(content))]


def cut_the_middle(content, draw, trap):
    start, end = sorted(draw.randrange(len(content)) for _ in range(2))
    return content[:start] + content[end + 1 :]


def fill(content, draw, trap):
    """Fill a part with random bytes."""
    start = draw.randrange(len(content))
    length = min(draw.randint(1, 5000), len(content) - start)
    return content[:start] + draw.randbytes(length) + content[start + length :]


def garbage(content, draw, trap):
    beginning = draw.choice([b"", b"PK\x03\x04", b"GIF89a", content[:4], b"\x93NUMPY"])
    return beginning + draw.randbytes(draw.randrange(9999))


def append(content, draw, trap):
    return content + draw.randbytes(draw.randint(1, 99))


def unpacked(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(members, method=zipfile.ZIP_STORED, checksum=None, repeats=0):
    """Return an archive, with a valid checksum unless another one is given. Its directory repeats the last member."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", method) as archive:
        for name, data in members:
            archive.writestr(name, data)
        archive.filelist += archive.filelist[-1:] * repeats
        archive.comment = b"skcnn sha256 " + b"0" * 64
    content = whole.getvalue()[:-64]
    return content + (checksum or hashlib.sha256(content).hexdigest().encode())


def swapped(content, draw, trap):
    """Swap the content of two members."""
    members = unpacked(content)
    one, other = draw.sample(sorted(members), 2)
    members[one], members[other] = members[other], members[one]
    return members


def swap(content, draw, trap):
    return packed(swapped(content, draw, trap).items(), checksum=content[-64:])


def crafted_swap(content, draw, trap):
    return packed(swapped(content, draw, trap).items())


def crafted_header(content, draw, trap, parts=()):
    """Change up to three values in the header, or in some parts of it."""
    members = unpacked(content)
    header = json.loads(members["header.json"])
    for _ in range(draw.randint(1, 3)):
        places = [place for part in parts for place in _places(header.get(part, []))] or list(_places(header))
        container, key = draw.choice(places)
        change = draw.choice(["remove", "value", "value", "other"])
        if change == "remove":
            del container[key]
        else:
            other, other_key = draw.choice(places)
            container[key] = deepcopy(other[other_key] if change == "other" else draw.choice(NASTY))
    return packed((members | {"header.json": json.dumps(header)}).items())


NASTY = [
    None, True, "", "x", "O", "balanced", 0, -1, 1, 3, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, float("nan"),
    [], {}, [[]], [0], [-1], [10**9, 10**9],
    {"tuple": []}, {"tuple": 3}, {"tuple": [10**9, 10**9]}, {"dict": {}}, {"items": [[[], []]]}, {"bytes": "zz"},
    {"array": "x"}, {"array": "params.0.W"}, {"int": "0x" + "f" * 999}, {"float": "nan"}, {"float": "inf"},
    {"scalar": "00", "dtype": "O"}, {"scalar": "00" * 8, "dtype": "f8"}, {"scalar": "", "dtype": "(9999999,9999999)f8"},
    {"scalar": "01" * 8, "dtype": "M8[0D]"},
    {"objects": [], "shape": [10**9]}, {"custom": "os.system"}, {"custom": "x", "layer": True},
    {"custom": "x", "fields": {}}, {"object": "Conv2D", "fields": {"n_kernels": 2**62}},
    {"object": "Dense", "fields": {"n_units": 10**12}}, {"object": "ReLU", "fields": {}},
    {"object": "Layer", "fields": {}}, {"object": "os.system", "fields": {}},
    {"object": "Sequential", "fields": {"layers": []}}, {"object": "ClipNorm", "fields": {}},
]  # fmt: skip


def crafted_state(content, draw, trap):
    return crafted_header(content, draw, trap, ("state", "model"))


def _places(node):
    """Yield each container in some JSON, with each of its keys."""
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        yield node, key
        if isinstance(child, dict | list):
            yield from _places(child)


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def npy(array, **changes):
    """Return an array in NumPy's format, with changes to its header."""
    file = io.BytesIO()
    header = {**np.lib.format.header_data_from_array_1_0(array), **changes}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + array.tobytes()


def crafted_array(content, draw, trap):
    """Replace an array by one with a false or huge shape, a false dtype, or Python objects."""
    members = unpacked(content)
    name = draw.choice([name for name in sorted(members) if name.endswith(".npy")])
    array = np.lib.format.read_array(io.BytesIO(members[name]))
    objects = io.BytesIO()
    np.lib.format.write_array(objects, np.array([Trap(trap)], object), allow_pickle=True)
    members[name] = draw.choice([
        lambda: npy(array, shape=(10**12,)),
        lambda: npy(array, shape=(2**62, 2**62)),
        lambda: npy(array, shape=(-1,)),
        lambda: npy(array, shape=(0, 10**30)),
        lambda: npy(array, shape=(array.size,)),
        lambda: npy(array, descr="|O"),
        lambda: npy(np.zeros(array.shape, np.int64), descr="<M8[0D]"),
        lambda: npy(array, descr="<U0", shape=(10**15,)),
        lambda: npy(array, descr="<f2"),
        lambda: npy(array, descr=">f8"),
        lambda: npy(array, descr=[("a", "<f8")]),
        lambda: npy(array, fortran_order=True),
        lambda: npy(np.zeros(array.shape, np.float64)),
        lambda: npy(array[..., :1]),
        lambda: npy(np.full_like(array, np.nan if array.dtype.kind == "f" else 0)),
        lambda: b"\x93NUMPY\x01\x00\xff\xff" + b"(" * 65535,
        lambda: b"\x93NUMPY\x01\x00\x00\x07" + b"-" * 1792,
        lambda: members[name][:-1],
        lambda: members[name] + b"\0",
        lambda: b"",
        lambda: pickle.dumps(Trap(trap)),
        objects.getvalue,
    ])()  # fmt: skip
    return packed(members.items())


def crafted_members(content, draw, trap):
    """Compress the members, repeat them, remove one, rename one, and so on."""
    members = list(unpacked(content).items())
    draw.shuffle(shuffled := list(members))
    name, data = draw.choice(members)
    others = [item for item in members if item[0] != name]
    bomb = [*members, ("bomb.npy", npy(np.zeros(10**6)))]
    return draw.choice([
        lambda: packed(members, zipfile.ZIP_DEFLATED),
        lambda: packed(bomb, zipfile.ZIP_LZMA),
        lambda: packed(shuffled),
        lambda: packed([*members, (name, data)]),
        lambda: packed([*members, ("pickled", pickle.dumps(Trap(trap)))]),
        lambda: packed(others),
        lambda: packed([*others, (f"../{name}", data)]),
        lambda: packed([("header.json", b"[" * 10**6), *members[1:]]),
        lambda: packed([("header.json", b'{"a":' * 10**6), *members[1:]]),
        lambda: packed([("header.json", b"9" * 10**5), *members[1:]]),
        lambda: packed([("header.json", data), *members[1:]]),
        lambda: packed([]),
        lambda: overlapping(content),
    ])()  # fmt: skip


def overlapping(content):
    """Let 20,000 names in the archive's directory stand for one large member."""
    members = [("header.json", unpacked(content)["header.json"]), ("large.npy", npy(np.zeros(10**5)))]
    return packed(members, repeats=20_000)


DAMAGES = {
    "bits flipped": flip,
    "cut": cut,
    "cut in the middle": cut_the_middle,
    "a part filled with random bytes": fill,
    "random bytes": garbage,
    "random bytes at the end": append,
    "members swapped": swap,
    "crafted: members swapped": crafted_swap,
    "crafted: header": crafted_header,
    "crafted: state": crafted_state,
    "crafted: array": crafted_array,
    "crafted: members": crafted_members,
}


if __name__ == "__main__":
    sys.exit(main())
