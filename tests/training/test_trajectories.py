"""Whole trainings against PyTorch: the same weights, batches and config give the same losses in every step.

The network has the layers in which training is most likely to go wrong: batch norm, residual blocks with and without a
projection, activations and pools that are computed in another order. The recipes are those of every optimizer, with the
penalties, schedules, clipping and smoothing that go with it.
"""

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skcnn._estimator.progress import Progress
from skcnn._training.config import DataSet, TrainingConfig
from skcnn._training.loop import train
from skcnn._training.randomness import stream
from skcnn._training.state import TrainingState
from skcnn._trees import is_weight, leaves
from skcnn.layers import BatchNorm, Conv2D, Dense, GlobalAvgPool2D, MaxPool2D, ReLU, Residual
from skcnn.losses import SoftmaxCrossEntropy
from skcnn.network import Network
from skcnn.optimizers import SGD, Adam, AdamW, ClipNorm, RMSprop
from skcnn.schedules import Constant, Cosine, Exponential, OneCycle

torch = pytest.importorskip("torch")
nn, optim = torch.nn, torch.optim
schedulers = optim.lr_scheduler

N_IMAGES, BATCH_SIZE, N_EPOCHS, SEED = 300, 32, 5, 7
# the last batch of an epoch is smaller than the others
STEPS_PER_EPOCH = -(-N_IMAGES // BATCH_SIZE)
N_STEPS = N_EPOCHS * STEPS_PER_EPOCH

LAYERS = [
    Conv2D(6, bias=False),
    BatchNorm(),
    ReLU(),
    # PyTorch's padding is alike on both sides, which "same" is not where there is a stride
    Residual([Conv2D(8, stride=2, padding=1, bias=False), BatchNorm(), ReLU(), Conv2D(8, bias=False), BatchNorm()]),
    ReLU(),
    MaxPool2D(),
    Residual([BatchNorm(), ReLU(), Conv2D(8)]),
    GlobalAvgPool2D(),
    Dense(10),
]


class Peer(nn.Module):
    """The same layers in PyTorch, channels first."""

    def __init__(self):
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.conv_1, self.norm_1 = nn.Conv2d(6, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8)
        self.conv_2, self.norm_2 = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
        self.projection = nn.Conv2d(6, 8, 1, stride=2, bias=False)
        self.norm_3, self.conv_3 = nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Linear(8, 10)

    def forward(self, x):
        x = self.stem_norm(self.stem(x)).relu()
        inner = self.norm_1(self.conv_1(x)).relu()
        x = self.norm_2(self.conv_2(inner)) + self.projection(x)
        x = nn.functional.max_pool2d(x.relu(), 2)
        x = self.conv_3(self.norm_3(x).relu()) + x
        return self.out(x.mean(dim=(2, 3)))

    @torch.no_grad()
    def copy_weights(self, params):
        stem, stem_norm, _, block, _, _, identity_block, _, out = params
        copy_conv(self.stem, stem)
        copy_norm(self.stem_norm, stem_norm)
        copy_conv(self.conv_1, block["0"])
        copy_norm(self.norm_1, block["1"])
        copy_conv(self.conv_2, block["3"])
        copy_norm(self.norm_2, block["4"])
        copy_conv(self.projection, block["projection"])
        copy_norm(self.norm_3, identity_block["0"])
        copy_conv(self.conv_3, identity_block["2"])
        self.out.weight.copy_(torch.tensor(out["W"].T))
        self.out.bias.copy_(torch.tensor(out["b"]))

    def kernels(self):
        """Return the parameters that decay or are penalised: not the biases, nor the vectors of norms."""
        return [p for p in self.parameters() if p.ndim > 1]

    def vectors(self):
        return [p for p in self.parameters() if p.ndim == 1]


def copy_conv(theirs, ours):
    theirs.weight.copy_(torch.tensor(ours["W"].transpose(3, 2, 0, 1)))
    if theirs.bias is not None:
        theirs.bias.copy_(torch.tensor(ours["b"]))


def copy_norm(theirs, ours):
    theirs.weight.copy_(torch.tensor(ours["scale"]))
    theirs.bias.copy_(torch.tensor(ours["shift"]))


class Case(NamedTuple):
    """A config here, and the same in PyTorch.

    Cases whose rate changes use optimizers that multiply by the rate last: the velocity of our SGD includes the rate,
    that of PyTorch does not.
    """

    ours: Any
    theirs: Any
    learning_rate: float
    schedule: Any = Constant()
    scheduler: Any = None
    alpha: float = 0.0
    label_smoothing: float = 0.0


# PyTorch ends the wave one step early and counts its rise from there, so it gets one step more and a longer rise
one_cycle = partial(
    schedulers.OneCycleLR,
    total_steps=N_STEPS + 1,
    pct_start=(0.3 * N_STEPS + 1) / (N_STEPS + 1),
    cycle_momentum=False,
)

CASES = {
    "sgd": Case(SGD(0.0), optim.SGD, 0.1),
    "sgd-cosine-smoothing": Case(
        SGD(0.0),
        optim.SGD,
        0.2,
        Cosine(),
        partial(schedulers.CosineAnnealingLR, T_max=N_STEPS),
        label_smoothing=0.1,
    ),
    "momentum-l2": Case(SGD(0.9, nesterov=False), partial(optim.SGD, momentum=0.9), 0.03, alpha=0.01),
    "nesterov-l2-smoothing": Case(
        SGD(), partial(optim.SGD, momentum=0.9, nesterov=True), 0.03, alpha=0.01, label_smoothing=0.1
    ),
    "rmsprop-exponential": Case(
        RMSprop(),
        partial(optim.RMSprop, alpha=0.9),
        0.003,
        Exponential(0.8),
        partial(schedulers.ExponentialLR, gamma=0.8 ** (1 / STEPS_PER_EPOCH)),
    ),
    "rmsprop-momentum-l2": Case(
        RMSprop(0.95, momentum=0.8), partial(optim.RMSprop, alpha=0.95, momentum=0.8), 0.001, alpha=0.01
    ),
    "adam": Case(Adam(), optim.Adam, 0.01),
    "adam-one-cycle-l2-smoothing": Case(
        Adam(0.8, 0.99, 1e-6),
        partial(optim.Adam, betas=(0.8, 0.99), eps=1e-6),
        0.02,
        OneCycle(),
        partial(one_cycle, max_lr=0.02),
        alpha=0.01,
        label_smoothing=0.1,
    ),
    "adamw-decay": Case(AdamW(), optim.AdamW, 0.01, alpha=0.5),
    "adamw-decay-cosine": Case(
        AdamW(), optim.AdamW, 0.02, Cosine(), partial(schedulers.CosineAnnealingLR, T_max=N_STEPS), alpha=0.5
    ),
    "clipped-nesterov-l2": Case(
        ClipNorm(SGD(), max_norm=1.0), partial(optim.SGD, momentum=0.9, nesterov=True), 0.03, alpha=0.01
    ),
    "clipped-adam-one-cycle": Case(
        ClipNorm(Adam(), max_norm=1.0), optim.Adam, 0.02, OneCycle(), partial(one_cycle, max_lr=0.02)
    ),
    "clipped-adamw-decay": Case(ClipNorm(AdamW(), max_norm=1.0), optim.AdamW, 0.01, alpha=0.5),
}


class Losses(Progress):
    """Computes the loss of each step from the running mean of the epoch."""

    def __init__(self):
        super().__init__(verbose=False)
        self.of_steps = []

    def start_epoch(self, number, n_epochs, n_steps):
        self.seen, self.total = 0, 0.0

    def end_step(self, loss, accuracy):
        n_samples = min(BATCH_SIZE, N_IMAGES - self.seen)
        self.seen += n_samples
        self.of_steps.append((loss * self.seen - self.total) / n_samples)
        self.total = loss * self.seen


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data():
    digits = load_digits()
    images = digits.images[:N_IMAGES, :, :, np.newaxis] / 16
    return DataSet(images, digits.target[:N_IMAGES], None, np.arange(N_IMAGES))


def drawn_network():
    """Build a network in which all parameters differ, so that a mix-up shows."""
    rng = np.random.default_rng(SEED)
    network = Network.build(LAYERS, (8, 8, 1), rng, np.float64)
    for path, array in leaves(network.params):
        if not is_weight(path):
            array += rng.uniform(-0.2, 0.2, array.shape)
    return network


def our_losses(network, data, case):
    losses = Losses()
    config = TrainingConfig(
        loss=SoftmaxCrossEntropy(case.label_smoothing),
        optimizer=case.ours,
        schedule=case.schedule,
        learning_rate=case.learning_rate,
        alpha=case.alpha,
        batch_size=BATCH_SIZE,
        n_epochs=N_EPOCHS,
        shuffle=True,
        seed=SEED,
        n_threads=1,
    )
    train(TrainingState(network), data, config, observers=[losses])
    return np.array(losses.of_steps)


def batches(data):
    """Yield the batches of all epochs, in the order of our shuffling."""
    for epoch in range(N_EPOCHS):
        order = stream(SEED, "shuffle", epoch).permutation(data.indices)
        for start in range(0, N_IMAGES, BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            yield torch.tensor(data.images[rows]).permute(0, 3, 1, 2), torch.tensor(data.y[rows])


def peer_optimizer(peer, case):
    """Make the optimizer. It decays the kernels only; other penalties are in the loss."""
    decay = case.alpha if case.theirs is optim.AdamW else 0.0
    groups = [
        {"params": peer.kernels(), "weight_decay": decay},
        {"params": peer.vectors(), "weight_decay": 0.0},
    ]
    return case.theirs(groups, lr=case.learning_rate)


def peer_loss(peer, x, y, case):
    loss = nn.functional.cross_entropy(peer(x), y, label_smoothing=case.label_smoothing)
    if case.theirs is optim.AdamW:
        return loss
    return loss + 0.5 * case.alpha * sum(W.square().sum() for W in peer.kernels())


def peer_losses(peer, data, case):
    losses, optimizer = [], peer_optimizer(peer, case)
    scheduler = case.scheduler(optimizer) if case.scheduler else None
    for x, y in batches(data):
        optimizer.zero_grad()
        loss = peer_loss(peer, x, y, case)
        loss.backward()
        if isinstance(case.ours, ClipNorm):
            nn.utils.clip_grad_norm_(peer.parameters(), case.ours.max_norm)
        optimizer.step()
        if scheduler:
            scheduler.step()
        losses.append(loss.item())
    return np.array(losses)


@pytest.mark.parametrize("name", CASES)
def test_the_losses_of_fifty_steps_are_those_of_torch(name, data):
    case, network, peer = CASES[name], drawn_network(), Peer().double()
    peer.copy_weights(network.params)
    ours, theirs = our_losses(network, data, case), peer_losses(peer, data, case)
    assert len(ours) == N_STEPS == 50
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-5)
    assert ours[-10:].mean() < 0.8 * ours[0], "the loss must fall"
