"""The contenders of `speed.py`: one class for each, all with the same methods.

A contender is created with a `Net` and a batch size. Its input is uint8 images (n, 28, 28) with labels. `prepare`
converts the images to the form that suits the contender, and is not timed; skcnn converts them in `fit` and
`predict_proba` instead, which is timed. `train` runs one epoch, with any compilation done beforehand. `predict` returns
probabilities. `fit_somehow` makes the contender ready for `predict`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skcnn import NumpyCNNClassifier
from skcnn.optimizers import SGD

LEARNING_RATE = {"sgd": 0.005, "adam": 0.001}
N_CLASSES = 10


@dataclass(frozen=True)
class Net:
    """Convolutions with "same" padding and ReLU, some followed by a pool of 2, then a hidden layer."""

    kernels: tuple[int, ...]
    kernel_size: int
    pooled: tuple[bool, ...]
    hidden: int
    solver: str

    @property
    def flat(self) -> int:
        side = 28 // 2 ** sum(self.pooled)
        return side * side * self.kernels[-1]

    @property
    def convolutions(self):
        """(input channels, kernels, pooled) of each convolution."""
        return list(zip((1, *self.kernels[:-1]), self.kernels, self.pooled, strict=True))


EXERCISE = Net(kernels=(6, 6), kernel_size=5, pooled=(False, True), hidden=100, solver="sgd")
DEEPER = Net((32, 32, 64, 64), 3, (False, True, False, True), hidden=128, solver="adam")
DEFAULT = Net((16, 32), 3, (True, True), hidden=100, solver="adam")


def scaled(X):
    return X.astype(np.float32) / 255 - 0.5


class Ours:
    """`NumpyCNNClassifier.fit` and `predict_proba`, including all checks and the conversion of the images."""

    package = "skcnn"

    def __init__(self, net, batch, n_jobs=None):
        self.clf = NumpyCNNClassifier(
            n_kernels=net.kernels,
            kernel_size=net.kernel_size,
            pool_size=tuple(2 if pooled else 1 for pooled in net.pooled),
            hidden_layer_sizes=(net.hidden,),
            solver=SGD(momentum=0.0) if net.solver == "sgd" else "adam",
            learning_rate_init=LEARNING_RATE[net.solver],
            learning_rate="constant",
            alpha=0.0,
            batch_size=batch,
            max_iter=1,
            n_jobs=n_jobs,
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

    def __init__(self, net, batch):
        super().__init__(net, batch, n_jobs=1)


class Torch:
    """PyTorch with a minimal training loop."""

    package = "torch"
    channels_last = False
    compiled = False
    block = 256

    def __init__(self, net, batch):
        import torch
        from torch import nn

        self.batch = batch
        layers = []
        for c, k, pooled in net.convolutions:
            layers += [nn.Conv2d(c, k, net.kernel_size, padding="same"), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pooled else []
        layers += [nn.Flatten(), nn.Linear(net.flat, net.hidden), nn.ReLU(), nn.Linear(net.hidden, N_CLASSES)]
        self.layout = torch.channels_last if self.channels_last else torch.contiguous_format
        self.module = nn.Sequential(*layers).to(memory_format=self.layout)
        if self.compiled:
            torch._dynamo.reset()  # a function can be recompiled only a limited number of times per process
        self.network = torch.compile(self.module) if self.compiled else self.module
        optimizer = torch.optim.SGD if net.solver == "sgd" else torch.optim.Adam
        self.optimizer = optimizer(self.module.parameters(), lr=LEARNING_RATE[net.solver])

    def prepare(self, X):
        import torch

        return torch.from_numpy(scaled(X)).unsqueeze(1).to(memory_format=self.layout)

    def train(self, X, y):
        import torch

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
        stack = [layers.Input((28, 28, 1))]
        for _, k, pooled in net.convolutions:
            stack.append(layers.Conv2D(k, net.kernel_size, padding="same", activation="relu"))
            stack += [layers.MaxPool2D(2)] if pooled else []
        stack += [layers.Flatten(), layers.Dense(net.hidden, activation="relu")]
        self.model = keras.Sequential([*stack, layers.Dense(N_CLASSES, activation="softmax")])
        optimizer = keras.optimizers.SGD if net.solver == "sgd" else keras.optimizers.Adam
        self.model.compile(optimizer(LEARNING_RATE[net.solver]), "sparse_categorical_crossentropy")

    def prepare(self, X):
        return scaled(X)[..., np.newaxis]

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
        return scaled(X)[:, np.newaxis]

    def train(self, X, y):
        self.net.fit(X, y)

    def fit_somehow(self, X, y):
        self.net.fit(X[:320], y[:320])

    def predict(self, X):
        self.net.set_params(batch_size=256)
        return self.net.predict_proba(X)


class Jax:
    """JAX with one jitted function for a training step and one for prediction."""

    package = "jax"
    block = 250

    def __init__(self, net, batch):
        import jax
        import jax.numpy as jnp

        if net.solver != "sgd":
            raise NotImplementedError("JAX itself has no Adam")
        self.batch, rng, size = batch, np.random.default_rng(0), net.kernel_size

        def weights(*shape):
            return jnp.asarray(rng.normal(0, 0.05, shape), jnp.float32)

        convolutions = [(weights(size, size, c, k), weights(k)) for c, k, _ in net.convolutions]
        dense = [(weights(p, q), weights(q)) for p, q in ((net.flat, net.hidden), (net.hidden, N_CLASSES))]
        self.params = (convolutions, dense)

        def logits(params, x):
            for (W, b), pooled in zip(params[0], net.pooled, strict=True):
                x = jax.lax.conv_general_dilated(x, W, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
                x = jax.nn.relu(x + b)
                if pooled:
                    x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
            (W, b), (V, a) = params[1]
            return jax.nn.relu(x.reshape(len(x), -1) @ W + b) @ V + a

        def loss(params, x, y):
            return -jax.nn.log_softmax(logits(params, x))[jnp.arange(len(y)), y].mean()

        @jax.jit
        def step(params, x, y):
            grads = jax.grad(loss)(params, x, y)
            return jax.tree.map(lambda p, g: p - LEARNING_RATE["sgd"] * g, params, grads)

        self.step, self.probabilities = step, jax.jit(lambda params, x: jax.nn.softmax(logits(params, x)))

    def prepare(self, X):
        return scaled(X)[..., np.newaxis]

    def train(self, X, y):
        import jax

        order = np.random.default_rng(0).permutation(len(X))
        for start in range(0, len(X) - self.batch + 1, self.batch):
            rows = order[start : start + self.batch]
            self.params = self.step(self.params, X[rows], y[rows])
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

        rng, size = np.random.default_rng(0), net.kernel_size
        nodes, weights, x = [], [], "x"

        def node(kind, *shapes, **attributes):
            nonlocal x
            names = [f"w{len(weights) + i}" for i in range(len(shapes))]
            drawn = (rng.normal(0, 0.05, shape).astype(np.float32) for shape in shapes)
            weights.extend(numpy_helper.from_array(w, name) for w, name in zip(drawn, names, strict=True))
            nodes.append(helper.make_node(kind, [x, *names], [out := f"y{len(nodes)}"], **attributes))
            x = out

        for c, k, pooled in net.convolutions:
            node("Conv", (k, c, size, size), (k,), kernel_shape=[size, size], pads=[size // 2] * 4)
            node("Relu")
            if pooled:
                node("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        node("Flatten")
        node("Gemm", (net.flat, net.hidden), (net.hidden,))
        node("Relu")
        node("Gemm", (net.hidden, N_CLASSES), (N_CLASSES,))
        node("Softmax")
        shapes = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("x", ("n", 1, 28, 28)), (x, ("n", N_CLASSES)))
        ]
        graph = helper.make_graph(nodes, "net", shapes[:1], shapes[1:], weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        onnx.checker.check_model(model)
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def prepare(self, X):
        return scaled(X)[:, np.newaxis]

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
        import warnings

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
        rng, size = np.random.default_rng(0), net.kernel_size
        self.net = net
        self.convolutions = [rng.normal(0, 0.05, (k, size, size, c)) for c, k, _ in net.convolutions]
        self.dense = [rng.normal(0, 0.05, shape) for shape in ((net.flat, net.hidden), (net.hidden, N_CLASSES))]

    def prepare(self, X):
        return scaled(X)[..., np.newaxis]

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


OURS = {"skcnn": Ours, "skcnn, one thread": OursOneThread}
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
