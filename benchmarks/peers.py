"""The contenders of `speed.py`: one class for each, all with the same methods.

A contender is created with a `Net` and a batch size. Its input is uint8 images (n, h, w) or (n, h, w, c) with labels.
`prepare` converts the images to the form that suits the contender, and is not timed; skcnn converts them in `fit` and
`predict_proba` instead, which is timed. `train` runs one epoch, with any compilation done beforehand. `predict` returns
probabilities. `fit_somehow` makes the contender ready for `predict`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from skcnn import NumpyCNNClassifier
from skcnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAvgPool2D, MaxPool2D, ReLU
from skcnn.optimizers import SGD

LEARNING_RATE = {"sgd": 0.005, "adam": 0.001}
N_CLASSES = 10


@dataclass(frozen=True)
class Net:
    """Convolutions with "same" padding and ReLU, some followed by a pool of 2, then a hidden layer and an output layer.

    With `batch_norm`, each convolution and the hidden layer are followed by batch normalisation and have no bias.
    Without a hidden layer, there is a global average pool.
    """

    kernels: tuple[int, ...]
    kernel_size: int
    pooled: tuple[bool, ...]
    hidden: int | None
    solver: str
    batch_norm: bool = False
    dropout: tuple[float, float] = (0.0, 0.0)  # after each pool, and after the hidden layer
    image_shape: tuple[int, int, int] = (28, 28, 1)

    def layers(self) -> Iterator[tuple[Any, ...]]:
        """Yield the kind of each layer, and its sizes."""
        h, w, c = self.image_shape
        after_pool, after_hidden = self.dropout
        for k, is_pooled in zip(self.kernels, self.pooled, strict=True):
            yield "conv", c, k, self.kernel_size
            yield from self._activated(k)
            if is_pooled:
                h, w = h // 2, w // 2
                yield ("pool",)
                yield from [("dropout", after_pool)] if after_pool else []
            c = k
        if self.hidden is None:
            yield ("global pool",)
        else:
            yield ("flatten",)
            yield "dense", h * w * c, self.hidden
            yield from self._activated(self.hidden)
            yield from [("dropout", after_hidden)] if after_hidden else []
            c = self.hidden
        yield "dense", c, N_CLASSES

    def _activated(self, k: int) -> Iterator[tuple[Any, ...]]:
        yield from [("norm", k)] if self.batch_norm else []
        yield ("relu",)

    def has_bias(self, width: int) -> bool:
        return not self.batch_norm or width == N_CLASSES


EXERCISE = Net(kernels=(6, 6), kernel_size=5, pooled=(False, True), hidden=100, solver="sgd")
DEFAULT = Net((16, 32), 3, (True, True), hidden=100, solver="adam", dropout=(0.1, 0.1))
DEEPER = Net((32, 32, 64, 64), 3, (False, True, False, True), hidden=128, solver="adam")
DEEP = Net((32, 32, 64, 64), 3, (False, True, False, True), 128, "adam", batch_norm=True, dropout=(0.1, 0.2))
COLOUR = Net((16, 32, 64, 128), 3, (True,) * 4, None, "adam", batch_norm=True, image_shape=(64, 64, 3))


def scaled(X):
    return X.reshape(*X.shape[:3], -1).astype(np.float32) / 255 - 0.5


class Ours:
    """`NumpyCNNClassifier.fit` and `predict_proba`, including all checks and the conversion of the images."""

    package = "skcnn"
    backend, n_jobs = "numpy", None

    def __init__(self, net, batch):
        make = {
            "conv": lambda c, k, size: Conv2D(k, size, bias=net.has_bias(k)),
            "norm": lambda k: BatchNorm(),
            "relu": ReLU,
            "pool": lambda: MaxPool2D(2),
            "global pool": GlobalAvgPool2D,
            "dropout": Dropout,
            "flatten": Flatten,
            "dense": lambda p, q: Dense(q, bias=net.has_bias(q)),
        }
        *layers, _ = (make[kind](*sizes) for kind, *sizes in net.layers())  # the estimator appends the output layer
        self.clf = NumpyCNNClassifier(
            layers=layers,
            solver=SGD(momentum=0.0) if net.solver == "sgd" else "adam",
            learning_rate_init=LEARNING_RATE[net.solver],
            learning_rate="constant",
            alpha=0.0,
            batch_size=batch,
            max_iter=1,
            backend=self.backend,
            n_jobs=self.n_jobs,
            random_state=0,
        )

    def prepare(self, X):
        return X

    def train(self, X, y):
        self.clf.fit(X, y)

    def fit_somehow(self, X, y):
        self.clf.fit(X[:320], y[:320])

    def predict(self, X):
        return self.clf.predict_proba(X)


class OursOneThread(Ours):
    """The same with one thread."""

    n_jobs = 1


class Compiled(Ours):
    """The same with compiled kernels."""

    backend = "numba"


class CompiledOneThread(Compiled):
    """The same with compiled kernels and one thread."""

    n_jobs = 1


class Torch:
    """PyTorch with a minimal training loop."""

    package = "torch"
    channels_last = False
    compiled = False
    block = 250

    def __init__(self, net, batch):
        import torch
        from torch import nn

        self.batch = batch
        make = {
            "conv": lambda c, k, size: nn.Conv2d(c, k, size, padding="same", bias=net.has_bias(k)),
            "norm": lambda k: nn.BatchNorm1d(k) if k == net.hidden else nn.BatchNorm2d(k),
            "relu": nn.ReLU,
            "pool": lambda: nn.MaxPool2d(2),
            "global pool": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
            "dropout": nn.Dropout,
            "flatten": nn.Flatten,
            "dense": lambda p, q: nn.Linear(p, q, bias=net.has_bias(q)),
        }
        layers = [make[kind](*sizes) for kind, *sizes in net.layers()]
        self.layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.module = nn.Sequential(*layers).to(memory_format=self.layout)
        if self.compiled:
            torch._dynamo.reset()  # a function can be recompiled only a limited number of times per process
        self.network = torch.compile(self.module) if self.compiled else self.module
        optimizer = torch.optim.SGD if net.solver == "sgd" else torch.optim.Adam
        self.optimizer = optimizer(self.module.parameters(), lr=LEARNING_RATE[net.solver])

    def prepare(self, X):
        import torch

        return torch.from_numpy(scaled(X)).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def train(self, X, y):
        import torch

        self.module.train()
        labels = torch.from_numpy(y)
        for rows in torch.randperm(len(X)).split(self.batch):
            self.step(X[rows], labels[rows])

    def step(self, images, labels):
        import torch

        self.optimizer.zero_grad()
        torch.nn.functional.cross_entropy(self.network(images), labels).backward()
        self.optimizer.step()

    def fit_somehow(self, X, y):
        self.predict(X[:1])

    def predict(self, X):
        import torch

        self.module.eval()
        with torch.inference_mode():
            return [self.network(part).softmax(1) for part in X.split(self.block)]


class TorchChannelsLast(Torch):
    """PyTorch with channels_last memory layout, usually faster on a CPU."""

    channels_last = True


class TorchCompiled(TorchChannelsLast):
    """PyTorch with `torch.compile` and channels_last memory layout."""

    compiled = True


class Keras:
    """Keras' `fit` and `predict`. For a single image the model is called directly, which is much faster."""

    package = "keras"

    def __init__(self, net, batch):
        import keras
        from keras import layers

        self.batch = batch
        make = {
            "conv": lambda c, k, size: layers.Conv2D(k, size, padding="same", use_bias=net.has_bias(k)),
            "norm": lambda k: layers.BatchNormalization(),
            "relu": layers.ReLU,
            "pool": lambda: layers.MaxPool2D(2),
            "global pool": layers.GlobalAveragePooling2D,
            "dropout": layers.Dropout,
            "flatten": layers.Flatten,
            "dense": lambda p, q: layers.Dense(q, use_bias=net.has_bias(q)),
        }
        stack = [make[kind](*sizes) for kind, *sizes in net.layers()]
        self.model = keras.Sequential([layers.Input(net.image_shape), *stack, layers.Softmax()])
        optimizer = keras.optimizers.SGD if net.solver == "sgd" else keras.optimizers.Adam
        self.model.compile(optimizer(LEARNING_RATE[net.solver]), "sparse_categorical_crossentropy")

    def prepare(self, X):
        return scaled(X)

    def train(self, X, y):
        self.model.fit(X, y, batch_size=self.batch, verbose=0)

    def fit_somehow(self, X, y):
        self.predict(X[:512])

    def predict(self, X):
        return self.model(X, training=False) if len(X) == 1 else self.model.predict(X, batch_size=512, verbose=0)


class Skorch:
    """skorch's `NeuralNetClassifier`: PyTorch with the scikit-learn API."""

    package = "skorch"

    def __init__(self, net, batch):
        import torch
        from skorch import NeuralNetClassifier

        self.net = NeuralNetClassifier(
            Torch(net, batch).module,
            criterion=torch.nn.CrossEntropyLoss,
            optimizer=torch.optim.SGD if net.solver == "sgd" else torch.optim.Adam,
            lr=LEARNING_RATE[net.solver],
            batch_size=batch,
            max_epochs=1,
            train_split=None,
            iterator_train__shuffle=True,
            verbose=0,
        )

    def prepare(self, X):
        return np.ascontiguousarray(scaled(X).transpose(0, 3, 1, 2))

    def train(self, X, y):
        self.net.fit(X, y)

    def fit_somehow(self, X, y):
        self.net.fit(X[:320], y[:320])

    def predict(self, X):
        self.net.set_params(batch_size=256)
        return self.net.predict_proba(X)


class Jax:
    """JAX with one jitted function for a training step and one for prediction.

    It has no running averages of batch normalisation, which a network for prediction would also need.
    """

    package = "jax"
    block = 250

    def __init__(self, net, batch):
        import jax

        self.batch, rng = batch, np.random.default_rng(0)
        self.layers = list(net.layers())
        self.params = [self._weights(net, rng, *layer) for layer in self.layers]
        zeros = jax.tree.map(np.zeros_like, self.params)
        self.moments = (zeros, zeros, np.float32(0)) if net.solver == "adam" else None
        update = self._adam if net.solver == "adam" else self._sgd

        def loss(params, x, y, key):
            log_probabilities = jax.nn.log_softmax(self._logits(params, x, key))
            return -log_probabilities[np.arange(self.batch), y].mean()

        @jax.jit
        def step(params, moments, x, y, key):
            return update(params, moments, jax.grad(loss)(params, x, y, key))

        self.step = step
        self.probabilities = jax.jit(lambda params, x: jax.nn.softmax(self._logits(params, x, None)))

    @staticmethod
    def _weights(net, rng, kind, *sizes):
        def normal(*shape):
            return rng.normal(0, 0.05, shape).astype(np.float32)

        if kind == "conv":
            c, k, size = sizes
            return [normal(size, size, c, k)] + [normal(k)] * net.has_bias(k)
        if kind == "dense":
            p, q = sizes
            return [normal(p, q)] + [normal(q)] * net.has_bias(q)
        return [np.ones(*sizes, np.float32), np.zeros(*sizes, np.float32)] if kind == "norm" else []

    def _logits(self, params, x, key):
        import jax
        import jax.numpy as jnp

        for (kind, *sizes), weights in zip(self.layers, params, strict=True):
            if kind == "conv":
                x = jax.lax.conv_general_dilated(
                    x, weights[0], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                x = x + weights[1] if len(weights) > 1 else x
            elif kind == "dense":
                x = x @ weights[0]
                x = x + weights[1] if len(weights) > 1 else x
            elif kind == "norm":
                axes = tuple(range(x.ndim - 1))
                x = (x - x.mean(axes)) * jax.lax.rsqrt(x.var(axes) + 1e-5) * weights[0] + weights[1]
            elif kind == "relu":
                x = jax.nn.relu(x)
            elif kind == "pool":
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            elif kind == "global pool":
                x = x.mean((1, 2))
            elif kind == "flatten":
                x = x.reshape(len(x), -1)
            elif key is not None:
                key, now = jax.random.split(key)
                x = jnp.where(jax.random.bernoulli(now, 1 - sizes[0], x.shape), x / (1 - sizes[0]), 0)
        return x

    @staticmethod
    def _sgd(params, moments, grads):
        import jax

        return jax.tree.map(lambda p, g: p - LEARNING_RATE["sgd"] * g, params, grads), moments

    @staticmethod
    def _adam(params, moments, grads):
        import jax
        import jax.numpy as jnp

        mean, square, t = moments
        t += 1
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
        rate = LEARNING_RATE["adam"] * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, mean, square)
        return params, (mean, square, t)

    def prepare(self, X):
        return scaled(X)

    def train(self, X, y):
        import jax

        order, key = np.random.default_rng(0).permutation(len(X)), jax.random.key(0)
        for start in range(0, len(X) - self.batch + 1, self.batch):
            rows = order[start : start + self.batch]
            key = jax.random.fold_in(key, start) if self.moments else key
            self.params, self.moments = self.step(self.params, self.moments, X[rows], y[rows], key)
        jax.block_until_ready(self.params)

    def fit_somehow(self, X, y):
        self.predict(X[: self.block])

    def predict(self, X):
        parts = [X[start : start + self.block] for start in range(0, len(X), self.block)]
        return [np.asarray(self.probabilities(self.params, part)) for part in parts]


class OnnxRuntime:
    """onnxruntime: prediction only, in blocks of 100 images, the fastest size for this task."""

    package = "onnxruntime"
    block = 100

    def __init__(self, net, batch):
        import onnx
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper

        rng = np.random.default_rng(0)
        nodes, weights, x = [], [], "x"

        def node(kind, *shapes, **attributes):
            nonlocal x
            names = [f"w{len(weights) + i}" for i in range(len(shapes))]
            drawn = (rng.normal(0, 0.05, shape).astype(np.float32) for shape in shapes)
            weights.extend(numpy_helper.from_array(w, name) for w, name in zip(drawn, names, strict=True))
            nodes.append(helper.make_node(kind, [x, *names], [out := f"y{len(nodes)}"], **attributes))
            x = out

        make = {
            "conv": lambda c, k, size: node(
                "Conv", (k, c, size, size), (k,), kernel_shape=[size, size], pads=[size // 2] * 4
            ),
            "relu": lambda: node("Relu"),
            "pool": lambda: node("MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
            "flatten": lambda: node("Flatten"),
            "dense": lambda p, q: node("Gemm", (p, q), (q,)),
        }
        for kind, *sizes in net.layers():
            make[kind](*sizes)
        node("Softmax")
        h, w, c = net.image_shape
        shapes = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ("n", c, h, w)), (x, ("n", N_CLASSES)))
        ]
        graph = helper.make_graph(nodes, "net", shapes[:1], shapes[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def prepare(self, X):
        return np.ascontiguousarray(scaled(X).transpose(0, 3, 1, 2))

    def fit_somehow(self, X, y):
        self.predict(X[: self.block])

    def predict(self, X):
        parts = [X[start : start + self.block] for start in range(0, len(X), self.block)]
        return [self.session.run(None, {"x": part})[0] for part in parts]


class MLP:
    """scikit-learn's `MLPClassifier` with the same hidden layer. It has no convolutions, so it does less work."""

    package = "sklearn"

    def __init__(self, net, batch):
        from sklearn.neural_network import MLPClassifier

        self.clf = MLPClassifier(
            (net.hidden,), solver=net.solver, batch_size=batch, max_iter=1, momentum=0, random_state=0
        )

    def prepare(self, X):
        return scaled(X).reshape(len(X), -1)

    def train(self, X, y):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the warning that one epoch does not converge
            self.clf.fit(X, y)

    def fit_somehow(self, X, y):
        self.train(X[:320], y[:320])

    def predict(self, X):
        return self.clf.predict_proba(X)


class NaiveLoops:
    """Convolutions by Python loops over positions and kernels, one image at a time, as beginners write them."""

    package = "numpy"

    def __init__(self, net, batch):
        rng = np.random.default_rng(0)

        def sizes_of(wanted):
            return [sizes for kind, *sizes in net.layers() if kind == wanted]

        self.net = net
        self.convolutions = [rng.normal(0, 0.05, (k, size, size, c)) for c, k, size in sizes_of("conv")]
        self.dense = [rng.normal(0, 0.05, shape) for shape in sizes_of("dense")]

    def prepare(self, X):
        return scaled(X)

    def _convolve(self, x, W):
        r = W.shape[1] // 2
        padded, out = np.pad(x, ((r, r), (r, r), (0, 0))), np.empty((*x.shape[:2], len(W)))
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                for k in range(len(W)):
                    out[i, j, k] = np.sum(padded[i : i + 2 * r + 1, j : j + 2 * r + 1] * W[k])
        return out

    def _convolve_back(self, x, W, d_out):
        r = W.shape[1] // 2
        padded, d_W = np.pad(x, ((r, r), (r, r), (0, 0))), np.zeros_like(W)
        d_padded = np.zeros_like(padded)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                window = np.s_[i : i + 2 * r + 1, j : j + 2 * r + 1]
                for k in range(len(W)):
                    d_W[k] += d_out[i, j, k] * padded[window]
                    d_padded[window] += d_out[i, j, k] * W[k]
        return d_padded[r : r + x.shape[0], r : r + x.shape[1]], d_W

    def _forward(self, x):
        maps = []
        for W, pooled in zip(self.convolutions, self.net.pooled, strict=True):
            maps.append(x)
            x = np.maximum(self._convolve(x, W), 0)
            if pooled:
                maps.append(x)
                h, w, c = x.shape
                x = x.reshape(h // 2, 2, w // 2, 2, c).max(axis=(1, 3))
            maps.append(x)
        hidden = np.maximum(x.ravel() @ self.dense[0], 0)
        return maps, hidden, hidden @ self.dense[1]

    def train(self, X, y):
        rate = LEARNING_RATE["sgd"]
        for x, label in zip(X, y, strict=True):
            maps, hidden, logits = self._forward(x)
            d = np.exp(logits - logits.max())
            d /= d.sum()
            d[label] -= 1
            d_hidden = (self.dense[1] @ d) * (hidden > 0)
            self.dense[1] -= rate * np.outer(hidden, d)
            d_map = (self.dense[0] @ d_hidden).reshape(maps[-1].shape)
            self.dense[0] -= rate * np.outer(maps[-1].ravel(), d_hidden)
            for W, pooled in reversed(list(zip(self.convolutions, self.net.pooled, strict=True))):
                out = maps.pop()
                if pooled:
                    large = maps.pop()
                    d_map = np.repeat(np.repeat(d_map, 2, 0), 2, 1) * (large == np.repeat(np.repeat(out, 2, 0), 2, 1))
                    out = large
                d_map, d_W = self._convolve_back(maps.pop(), W, d_map * (out > 0))
                W -= rate * d_W

    def fit_somehow(self, X, y):
        """Do nothing: only the time of `predict` matters, so random weights will do."""

    def predict(self, X):
        return [self._forward(x)[2] for x in X]


OURS = {
    "skcnn, numba": Compiled,
    "skcnn, numba, one thread": CompiledOneThread,
    "skcnn": Ours,
    "skcnn, one thread": OursOneThread,
}
PEERS = {
    "PyTorch": Torch,
    "PyTorch, channels_last": TorchChannelsLast,
    "PyTorch, compiled": TorchCompiled,
    "Keras": Keras,
    "skorch": Skorch,
    "JAX": Jax,
    "onnxruntime": OnnxRuntime,
    "MLPClassifier": MLP,
    "naive loops": NaiveLoops,
}
