"""Batched training of small perceptrons on one matrix of embeddings: all learning rates and runs at once, with Adam.

What: perceptrons with no, one or several hidden layers (ReLU between), trained by Adam in shuffled
minibatches, each stopped early by the validation part and put back to its best epoch. The probes of
`linear`, `mlp`, `frame_classifier` and `chunk_classifier` are settings of this one trainer.

A *run* is a seed: it fixes the initial weights and the order of the batches. A *candidate* is a run at
a learning rate. All candidates of a call live in one tensor a layer, ``[runs, rates, out, in]``, so that
the rates of a run, which see the same batches, share one matrix product (50 columns a candidate are too
few to keep a processor busy; 350 are enough). No number of a candidate depends on who trains beside
it: a candidate alone gives the same weights, up to the rounding of sums taken in another order.

The optimiser works on the coordinates of the embedding as they come. With fewer clips than dimensions
the same linear functions fit in a rotated space of at most n dimensions, which would be n / dim of the
work. That is the same problem to gradient descent and to L-BFGS, but not to Adam: its steps are scaled
by coordinate, so a rotation makes it another optimiser. The published protocols say Adam; not done.

When not: sets that do not fit in memory; this holds all embeddings at once (10,000 x 6,144 is 246 MB,
and each of the three parts is standardised once).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional
from torch.optim.adam import adam

from soundloom.errors import InvalidArgumentError

__all__ = ["BatchedTrainer", "Loss", "Networks", "Perceptron", "ProbeTraining", "predict", "train", "train_for"]

Loss = Literal["softmax", "logistic", "huber"]

# Rows scored at a time where no gradient is kept: bounds the hidden activations of many candidates.
BLOCK = 4096

# Multiplications that a core does in about a millisecond.
SMALL = 1 << 24


@dataclass(frozen=True, kw_only=True)
class ProbeTraining:
    """How long a candidate trains (Niizumi 2022, IV-A).

    Attributes:
        epochs: passes over the training part, at most.
        patience: epochs without a lower validation loss after which a candidate stops.
        batch_size: clips a step; no paper gives it.
    """

    epochs: int = 200
    patience: int = 20
    batch_size: int = 256

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size"):
            if getattr(self, name) < 1:
                raise InvalidArgumentError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class Perceptron:
    """What every candidate of a call is: a perceptron and its loss.

    Attributes:
        classes: width of the output.
        hidden: widths of the hidden layers; none gives a linear classifier.
        loss: cross entropy of a softmax; of independent logistic outputs; or Huber's with delta 1.
    """

    classes: int
    hidden: tuple[int, ...] = ()
    loss: Loss


@dataclass(frozen=True, eq=False)
class Networks:
    """Trained candidates, each at its best epoch.

    Attributes:
        parameters: weight ``[runs, rates, out, in]`` and bias ``[runs, rates, out]`` of each layer, in turns.
        loss: the lowest validation loss, ``[runs, rates]``; infinite where no epoch gave a finite one.
        best_epoch: the epoch of that loss, counted from 1; 0 for the initial weights, ``[runs, rates]``.
        epochs: epochs trained, ``[runs, rates]``.
    """

    parameters: list[Tensor]
    loss: Float[Tensor, "runs rates"]
    best_epoch: Int[Tensor, "runs rates"]
    epochs: Int[Tensor, "runs rates"]

    def only(self, *, rate: int) -> Networks:
        """The candidates of one rate, by its index."""
        fields = (self.loss, self.best_epoch, self.epochs)
        return Networks(
            [tensor[:, rate, None] for tensor in self.parameters], *(field[:, rate, None] for field in fields)
        )


class BatchedTrainer:
    """Candidates in training: their weights, Adam's moments, and the generators of their batches.

    Args:
        features: standardised embeddings to fit, ``[clips, dim]``.
        targets: for softmax the class of each clip, int64 ``[clips]``; else zeros and ones ``[clips, classes]``.
        network: what is trained.
        rates: learning rates of Adam.
        seeds: one a run.
        batch_size: clips a step.
    """

    def __init__(
        self,
        features: Float[Tensor, "clips dim"],
        targets: Shaped[Tensor, "clips ..."],
        network: Perceptron,
        *,
        rates: Sequence[float],
        seeds: Sequence[int],
        batch_size: int,
    ) -> None:
        self.features, self.targets, self.loss, self.batch_size = features, targets, network.loss, batch_size
        self.rates = rates
        self.generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        sizes = [features.shape[1], *network.hidden, network.classes]
        parameters = initialise(sizes, self.generators, len(rates))
        self.state = [parameters, [torch.zeros_like(p) for p in parameters], [torch.zeros_like(p) for p in parameters]]
        self.steps = 0
        # Indices, among all seeds and rates, of those still in the tensors of `state`.
        self.runs, self.columns = list(range(len(seeds))), list(range(len(rates)))

    @property
    def parameters(self) -> list[Tensor]:
        """Weight ``[runs, rates, out, in]`` and bias ``[runs, rates, out]`` of each layer, in turns."""
        return self.state[0]

    @property
    def remaining(self) -> tuple[Tensor, Tensor]:
        """Index of the candidates that still train into tensors ``[runs, rates]`` of all."""
        return torch.tensor(self.runs)[:, None], torch.tensor(self.columns)[None]

    def epoch(self) -> None:
        """One pass over the clips for every candidate that is left."""
        # Every run's generator moves on, trained or not: nobody's batches depend on when another stops.
        orders = [torch.randperm(len(self.features), generator=generator) for generator in self.generators]
        work = self.batch_size * sum(parameter.numel() for parameter in self.parameters)
        with threads_that_pay(work):
            for start in range(0, len(self.features), self.batch_size):
                rows = torch.stack([orders[run][start : start + self.batch_size] for run in self.runs])
                # Five times faster than features[rows], whose rows are copied number by number.
                inputs = self.features.index_select(0, rows.flatten()).view(*rows.shape, -1)
                gradients = gradient(self.parameters, inputs, self.targets[rows], self.loss)
                self.steps += 1
                for column, rate in enumerate(self.columns):
                    adam_step(self.state, gradients, column, self.rates[rate], self.steps)

    def losses(
        self, features: Float[Tensor, "validated dim"], targets: Shaped[Tensor, "validated ..."]
    ) -> Float[Tensor, "runs rates"]:
        """The loss of each candidate that is left on clips that it does not fit."""
        return mean_loss(predict(self.parameters, features), targets[None], self.loss)

    def keep(self, runs: Bool[Tensor, " runs"], columns: Bool[Tensor, " rates"]) -> None:
        """Go on with these runs and rates of those that are left."""
        if not (runs.all() and columns.all()):
            self.state = [[tensor[runs][:, columns] for tensor in kind] for kind in self.state]
            self.runs = [run for run, on in zip(self.runs, runs, strict=True) if on]
            self.columns = [column for column, on in zip(self.columns, columns, strict=True) if on]


def train(
    features: Float[Tensor, "clips dim"],
    targets: Shaped[Tensor, "clips ..."],
    valid_features: Float[Tensor, "validated dim"],
    valid_targets: Shaped[Tensor, "validated ..."],
    network: Perceptron,
    *,
    rates: Sequence[float],
    seeds: Sequence[int],
    settings: ProbeTraining,
    halving_epoch: int | None = None,
) -> Networks:
    """Train every run at every rate, all at once.

    A candidate stops after ``patience`` epochs without a lower validation loss, and costs nothing once its whole
    rate or run has stopped. (The papers do not say what they watch; accuracy on a few clips has many ties.)

    Args:
        features: as for `BatchedTrainer`.
        targets: as for `BatchedTrainer`.
        valid_features: standardised embeddings that stop the training, ``[validated, dim]``.
        valid_targets: their targets.
        network: what is trained.
        rates: learning rates of Adam.
        seeds: one a run.
        settings: epochs, patience and batch size.
        halving_epoch: successive halving (Jamieson 2016): after this many epochs, and each time that number has
            doubled, the half of the rates with the higher losses so far stops, until one is left. None:
            all rates train to their end.
    """
    candidates = BatchedTrainer(features, targets, network, rates=rates, seeds=seeds, batch_size=settings.batch_size)
    best = _empty_networks(candidates)
    for epoch in range(1, settings.epochs + 1):
        candidates.epoch()
        remaining = candidates.remaining
        _update(best, candidates, epoch, candidates.losses(valid_features, valid_targets), settings.patience)
        active = epoch - best.best_epoch[remaining] < settings.patience
        rates_left = active.shape[1]
        if epoch == halving_epoch and rates_left > 1:
            halving_epoch *= 2
            # The worse half; a rate dropped here never held the lowest loss of all.
            active[:, best.loss[remaining].mean(dim=0).argsort(stable=True)[math.ceil(rates_left / 2) :]] = False
        if not active.any():
            break
        candidates.keep(active.any(dim=1), active.any(dim=0))
    return best


def _empty_networks(candidates: BatchedTrainer) -> Networks:
    """The initial weights of all candidates, before any loss is known."""
    shape = len(candidates.runs), len(candidates.columns)
    epochs = torch.zeros(shape, dtype=torch.int64)
    parameters = [parameter.clone() for parameter in candidates.parameters]
    return Networks(parameters, torch.full(shape, torch.inf), epochs, epochs.clone())


def _update(best: Networks, candidates: BatchedTrainer, epoch: int, losses: Tensor, patience: int) -> None:
    """Record the epoch of the candidates that still train, and the weights of those with a lower loss than before."""
    remaining = candidates.remaining
    active = epoch - best.best_epoch[remaining] <= patience
    best.epochs[remaining] = torch.where(active, epoch, best.epochs[remaining])
    for i, k in (active & (losses < best.loss[remaining])).nonzero().tolist():
        candidate = candidates.runs[i], candidates.columns[k]
        best.loss[candidate], best.best_epoch[candidate] = losses[i, k], epoch
        for kept, current in zip(best.parameters, candidates.parameters, strict=True):
            kept[candidate] = current[i, k]


def train_for(
    epochs: int,
    features: Float[Tensor, "clips dim"],
    targets: Shaped[Tensor, "clips ..."],
    network: Perceptron,
    *,
    rate: float,
    seeds: Sequence[int],
    batch_size: int,
) -> list[Tensor]:
    """Train every run at one rate for so many epochs; weights and biases ``[runs, 1, ...]``, as of `Networks`."""
    candidates = BatchedTrainer(features, targets, network, rates=[rate], seeds=seeds, batch_size=batch_size)
    for _ in range(epochs):
        candidates.epoch()
    return candidates.parameters


@contextmanager
def threads_that_pay(work: int) -> Iterator[None]:
    """One thread for steps of little work, whose threads would wait for one another longer than they compute.

    On a machine that others use too, that wait is the difference between seconds and minutes.

    Args:
        work: multiplications a step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1 if work < SMALL else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def predict(
    parameters: Sequence[Float[Tensor, "runs rates ..."]], features: Float[Tensor, "clips dim"]
) -> Float[Tensor, "runs rates clips classes"]:
    """Outputs of all candidates, before softmax or logistic; parameters are weight, bias, weight, bias ..."""
    with torch.no_grad():
        return torch.cat([outputs(parameters, block) for block in torch.split(features, BLOCK)], dim=2)


def initialise(
    sizes: Sequence[int], generators: Sequence[torch.Generator], rates: int
) -> list[Float[Tensor, "runs rates ..."]]:
    """Weights and biases uniform within 1 / sqrt(in), the rule of torch's linear layers; the same at every rate."""
    parameters = []
    for inside, outside in pairwise(sizes):
        for shape in ((outside, inside), (outside,)):
            drawn = [(2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(inside) for generator in generators]
            parameters.append(torch.stack(drawn)[:, None].repeat(1, rates, *[1] * len(shape)))
    return parameters


def outputs(
    parameters: Sequence[Float[Tensor, "runs rates ..."]], features: Float[Tensor, "... clips dim"]
) -> Float[Tensor, "runs rates clips classes"]:
    """The forward pass; features ``[clips, dim]`` are shared by the runs, ``[runs, clips, dim]`` are a run's own."""
    weight = parameters[0]
    runs, rates, width, _ = weight.shape
    if features.ndim == 2:
        hidden = (features @ weight.flatten(0, 2).mT).view(-1, runs, rates, width).permute(1, 2, 0, 3)
    else:
        hidden = torch.bmm(weight.flatten(1, 2), features.mT).view(runs, rates, width, -1).mT
    hidden = hidden + parameters[1][:, :, None]
    for weight, bias in zip(parameters[2::2], parameters[3::2], strict=True):
        hidden = torch.relu(hidden) @ weight.mT + bias[:, :, None]
    return hidden


def mean_loss(
    outputs: Float[Tensor, "runs rates clips classes"], targets: Shaped[Tensor, "_runs clips ..."], loss: Loss
) -> Float[Tensor, "runs rates"]:
    """Each candidate's loss, averaged over clips (and, of independent outputs, over classes)."""
    runs, rates, clips, classes = outputs.shape
    if loss == "softmax":
        flat = targets[:, None].expand(runs, rates, clips).reshape(-1)
        each = functional.cross_entropy(outputs.reshape(-1, classes), flat, reduction="none")
        return each.view(runs, rates, clips).mean(dim=-1)
    measure = functional.binary_cross_entropy_with_logits if loss == "logistic" else functional.huber_loss
    return measure(outputs, targets[:, None].expand_as(outputs), reduction="none").mean(dim=(-2, -1))


def gradient(parameters: list[Tensor], inputs: Tensor, targets: Tensor, loss: Loss) -> tuple[Tensor, ...]:
    """Gradients of each candidate's own loss: candidates share no parameter, so those of the sum."""
    leaves = [parameter.requires_grad_() for parameter in parameters]
    total = mean_loss(outputs(leaves, inputs), targets, loss).sum()
    gradients = torch.autograd.grad(total, leaves)
    for parameter in parameters:
        parameter.requires_grad_(False)
    # The fused step reads memory in order, whatever the strides say.
    return tuple(slope.contiguous() for slope in gradients)


def adam_step(state: list[list[Tensor]], gradients: Sequence[Tensor], column: int, rate: float, steps: int) -> None:
    """Move the candidates of one rate; state is parameters, first moments and second moments."""
    parameters, first, second = (
        [tensor[run, column] for tensor in kind for run in range(len(tensor))] for kind in state
    )
    slopes = [tensor[run, column] for tensor in gradients for run in range(len(tensor))]
    # Adam advances the counters it is given, so each parameter needs its own.
    counters = [torch.tensor(float(steps - 1)) for _ in parameters]
    adam(
        parameters,
        slopes,
        first,
        second,
        [],
        counters,
        fused=True,
        amsgrad=False,
        beta1=0.9,
        beta2=0.999,
        lr=rate,
        weight_decay=0.0,
        eps=1e-8,
        maximize=False,
    )
