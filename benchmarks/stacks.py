"""Compare the gradients of random stacks of layers with those of PyTorch.

    python benchmarks/stacks.py                  # 5,000 stacks: about a minute
    python benchmarks/stacks.py --stacks 100

Each stack has random layers, with random kernels, strides, padding, bias, nesting and shape of the images, and random
sample weights. The loss and all its gradients are computed in float64, in one shard and in several, with batch
statistics, as in training. They must equal those of PyTorch's automatic differentiation, relative to the largest
gradient of the stack, to 1e-9. Outputs in prediction, where batch normalisation is folded, are compared too.
"""

from __future__ import annotations

import argparse
import sys
import time
from functools import partial

import numpy as np
import torch
from torch.nn import functional as F

from skcnn._engine.calculation import calculate
from skcnn._trees import leaves
from skcnn._values import pair
from skcnn.layers import (
    ELU,
    GELU,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    GlobalMaxPool2D,
    LeakyReLU,
    MaxPool2D,
    MinPool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Tanh,
)
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network

N_CLASSES, N_SAMPLES = 4, 6
TOLERANCE = 1e-9
ACTIVATIONS = {
    ReLU: F.relu, LeakyReLU: partial(F.leaky_relu, negative_slope=0.01), ELU: F.elu, SiLU: F.silu, Tanh: torch.tanh,
    GELU: F.gelu, Sigmoid: torch.sigmoid,
}  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stacks", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    start, n_done, n_tried, faults, largest = time.perf_counter(), 0, 0, 0, 0.0
    while n_done < args.stacks:
        rng = np.random.default_rng((args.seed, n_tried))
        n_tried += 1
        if (network := random_network(rng)) is None:
            continue
        error, n_done = difference(network, rng), n_done + 1
        largest = max(largest, error)
        if not error < TOLERANCE:
            faults += 1
            print(f"FAULT seed ({args.seed}, {n_tried - 1}): {error:.1e} for {network.layers}", flush=True)
    seconds = time.perf_counter() - start
    print(f"{n_done} stacks, {faults} faults, largest relative difference {largest:.1e}; {seconds:.0f} s")
    return 1 if faults else 0


def random_network(rng):
    """Return a network of random layers, or None if they do not fit the images."""
    in_shape = (int(rng.integers(3, 13)), int(rng.integers(3, 13)), int(rng.integers(1, 5)))
    layers = [random_layer(rng) for _ in range(rng.integers(1, 7))]
    layers.append([Flatten(), GlobalAvgPool2D(), GlobalMaxPool2D()][rng.integers(3)])
    if rng.random() < 0.5:
        layers += [
            Dense(int(rng.integers(1, 7)), bias=bool(rng.integers(2))),
            *random_norm(rng),
            random_activation(rng),
        ]
    try:
        network = Network.build([*layers, Dense(N_CLASSES)], in_shape, rng, np.float64)
    except ValueError:
        return None
    for _, array in leaves(network.params):  # biases too
        array += rng.normal(0, 0.1, array.shape)
    return network


def random_layer(rng):
    kind = rng.integers(8)
    if kind < 3:
        return random_convolution(rng)
    if kind == 3:
        pool = [MaxPool2D, MinPool2D, AvgPool2D][rng.integers(3)]
        return pool(random_size(rng, 4))
    if kind == 4:
        return BatchNorm()
    if kind == 5:
        chain = [random_convolution(rng), *random_norm(rng), random_activation(rng)]
        return Residual(chain) if rng.random() < 0.5 else Sequential(chain)
    return random_activation(rng)


def random_convolution(rng):
    size, stride = random_size(rng, 6), random_size(rng, 3)
    padding = ["same", "valid", random_size(rng, 3)][rng.integers(3)]
    bias = [True, False, "position"][rng.integers(3)]
    pad_value = float(rng.integers(-1, 2)) / 2
    return Conv2D(int(rng.integers(1, 9)), size, stride, padding, pad_value=pad_value, bias=bias)


def random_size(rng, end):
    return tuple(rng.integers(1, end, 2).tolist())


def random_norm(rng):
    return [BatchNorm()] if rng.random() < 0.3 else []


def random_activation(rng):
    return list(ACTIVATIONS)[rng.integers(len(ACTIVATIONS))]()


def difference(network, rng):
    """Return the largest difference from PyTorch, relative to the largest gradient or output."""
    x = rng.normal(size=(N_SAMPLES, *network.shapes[0]))
    y, weight = rng.integers(0, N_CLASSES, N_SAMPLES), rng.uniform(0.2, 2.0, N_SAMPLES)
    params = [as_tensors(tree) for tree in network.params]
    expected_loss = torch_loss(network, params, x, y, weight)
    expected_loss.backward()
    expected = [tensor.grad.numpy() for tensor in flat(params)]
    errors = []
    for parts in ([slice(0, N_SAMPLES)], [slice(0, 2), slice(2, 5), slice(5, N_SAMPLES)]):
        loss, grads = own_gradients(network, x, y, weight, parts)
        scale = max(1.0, *(np.abs(array).max() for array in expected))
        errors += [abs(loss - expected_loss.item()) / scale]
        errors += [np.abs(own - other).max() / scale for own, other in zip(grads, expected, strict=True)]
    with torch.no_grad():
        out = torch_chain(network.layers, params, network.states, torch.tensor(x).permute(0, 3, 1, 2), None).numpy()
    errors.append(np.abs(network.predict(x) - out).max() / max(1.0, np.abs(out).max()))
    return float(np.max(errors))


def own_gradients(network, x, y, weight, parts):
    passes, loss = network.passes(train=True), SoftmaxCrossEntropy()

    def of_shard(part):
        context = passes.context(len(x), weight[part])
        logits, caches = yield from passes.forward(x[part], context)
        losses, d_logits = loss(logits, y[part], weight[part])
        d_prepared = yield from passes.backward(caches, d_logits / len(x), context)
        return losses.sum() / len(x), d_prepared

    results = calculate(lambda calculation: calculation.workers.run_together([of_shard(part) for part in parts]))
    total, d_prepared = results[0]
    for shard_loss, d_shard in results[1:]:
        total, d_prepared = total + shard_loss, passes.add(d_prepared, d_shard)
    return total, [array for _, array in leaves(passes.gradients(d_prepared))]


def torch_loss(network, params, x, y, weight):
    logits = torch_chain(network.layers, params, None, torch.tensor(x).permute(0, 3, 1, 2), torch.tensor(weight))
    return (F.cross_entropy(logits, torch.tensor(y), reduction="none") * torch.tensor(weight)).mean()


def torch_chain(layers, params, states, x, weight):
    """Return the output of layers, channels first. In training, states is None and weight is given."""
    for i, layer in enumerate(layers):
        x = torch_layer(layer, params[i], None if states is None else states[i], x, weight)
    return x


def torch_layer(layer, params, state, x, weight):
    if isinstance(layer, Conv2D):
        return torch_convolution(layer, params, x)
    if isinstance(layer, Residual | Sequential):
        out = torch_chain(layer.layers, children(layer, params), children(layer, state), x, weight)
        return out + shortcut(params, x, out) if isinstance(layer, Residual) else out
    if isinstance(layer, MaxPool2D | MinPool2D | AvgPool2D):
        sign = -1 if isinstance(layer, MinPool2D) else 1
        pool = F.avg_pool2d if isinstance(layer, AvgPool2D) else F.max_pool2d
        return sign * pool(sign * x, pair(layer.pool_size))
    if isinstance(layer, BatchNorm):
        return torch_norm(layer, params, state, x, weight)
    if isinstance(layer, Flatten):
        return x.permute(0, 2, 3, 1).flatten(1)
    if isinstance(layer, GlobalAvgPool2D):
        return x.mean(dim=(2, 3))
    if isinstance(layer, GlobalMaxPool2D):
        return x.amax(dim=(2, 3))
    if isinstance(layer, Dense):
        return F.linear(x, params["W"].T, params.get("b"))
    return ACTIVATIONS[type(layer)](x)


def children(chain, tree):
    """Return a list with the parameters or states of each layer of a chain."""
    return None if tree is None else [tree.get(str(i), {}) for i in range(len(chain.layers))]


def torch_convolution(layer, params, x):
    W, size, stride = params["W"], pair(layer.kernel_size), pair(layer.stride)
    pads = [padding_of(layer.padding, k, s, n) for k, s, n in zip(size, stride, x.shape[2:], strict=True)]
    if isinstance(layer.padding, tuple):
        pads = [(n, n) for n in layer.padding]
    x = F.pad(x, (*pads[1], *pads[0]), value=layer.pad_value)
    out = F.conv2d(x, W.permute(3, 2, 0, 1).contiguous(), stride=stride)
    if "b" not in params:
        return out
    b = params["b"]
    return out + (b[:, None, None] if b.ndim == 1 else b.permute(2, 0, 1))


def padding_of(padding, size, stride, length):
    if padding != "same":
        return (0, 0)
    total = max(0, (-(-length // stride) - 1) * stride + size - length)
    return (total // 2, total - total // 2)


def torch_norm(layer, params, state, x, weight):
    """Batch norm with weighted statistics, which PyTorch's own layer does not have."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    if state is None:
        w = (weight / weight.sum()).reshape(-1, *[1] * (x.ndim - 1))
        area = x[0, 0].numel()
        mean = (w * x).sum(dim=axes) / area
        variance = (w * (x - mean.reshape(shape)) ** 2).sum(dim=axes) / area
    else:
        mean, variance = torch.tensor(state["mean"]), torch.tensor(state["variance"])
    normal = (x - mean.reshape(shape)) / torch.sqrt(variance + layer.epsilon).reshape(shape)
    return normal * params["scale"].reshape(shape) + params["shift"].reshape(shape)


def shortcut(params, x, out):
    """The shortcut of a residual block: the input, or a convolution of 1x1 with a stride."""
    if "projection" not in params:
        return x
    W = params["projection"]["W"]
    stride = [-(-n // m) for n, m in zip(x.shape[2:], out.shape[2:], strict=True)]
    return F.conv2d(x, W.permute(3, 2, 0, 1).contiguous(), stride=stride)


def as_tensors(tree):
    if isinstance(tree, dict):
        return {key: as_tensors(branch) for key, branch in tree.items()}
    return torch.tensor(tree, requires_grad=True)


def flat(trees):
    return [tensor for _, tensor in leaves(trees)]


if __name__ == "__main__":
    sys.exit(main())
