"""Linear model on frozen embeddings: Verma 2023, section 3.5 and table 2.

"We now train the same linear classifier onto the subset of the embeddings"; "the same linear model, a single layer of
2048-neurons (LM)". The streams are frozen: their embeddings of every window are computed once, and a head as they were
trained with (`LabelHead`) is trained on the columns of any of them.

Columns are standardised over the training windows, which the paper does not mention, so that a stream's weight in the
sum is not decided by its scale. The head that comes out takes embeddings as they are: the standardisation is folded
into its first layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from soundloom.corpora import Corpus
from soundloom.embedder import Embedder, Stream
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.evaluation.probes.frame_data import clip_means
from soundloom.feature_cache import FeatureDataset, form_of, prepare
from soundloom.objectives.labels import LOSSES, LabelHead, LabelSettings
from soundloom.recipes.initial_stream import streams_of
from soundloom.recipes.validation_split import train_valid_split
from soundloom.tagger import Tagger
from soundloom.training import TrainingSettings
from soundloom.training.schedule import set_rate
from soundloom.training.seeds import seeded, set_seed

__all__ = ["LinearSettings", "WindowEmbeddings", "embed_windows", "learn_classes", "train_head"]

_AT_ONCE = 128


@dataclass(frozen=True, kw_only=True)
class LinearSettings:
    """The linear model on frozen embeddings.

    Attributes:
        linear_epochs: passes over the windows.
        linear_rate: learning rate to begin with.
        linear_final_rate: learning rate to end with, to which it falls exponentially.
        linear_batch: windows a step.
    """

    linear_epochs: int = field(default=300, metadata={"resumable": True})
    linear_rate: float = field(default=2e-4, metadata={"resumable": True})
    linear_final_rate: float = field(default=1e-6, metadata={"resumable": True})
    linear_batch: int = field(default=128, metadata={"resumable": True})

    def __post_init__(self) -> None:
        for name in ("linear_epochs", "linear_rate", "linear_final_rate", "linear_batch"):
            if getattr(self, name) <= 0:
                raise InvalidArgumentError(f"{name} must be above 0, got {getattr(self, name)}")


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowEmbeddings:
    """Embeddings of every window of a corpus.

    Attributes:
        vectors: [windows, dim].
        clips: the clip of each, by its place in the corpus.
    """

    vectors: Float[np.ndarray, "windows dim"]
    clips: Int[np.ndarray, " windows"]

    def of(self, clips: Int[np.ndarray, " chosen"]) -> WindowEmbeddings:
        """Those of some clips."""
        mine = np.isin(self.clips, clips)
        return WindowEmbeddings(vectors=self.vectors[mine], clips=self.clips[mine])

    def means(self) -> Float[np.ndarray, "clips dim"]:
        """The mean over each clip's windows, of the clips that have one."""
        return clip_means(self.vectors, self.clips, np.unique(self.clips)).astype(np.float32)

    def columns(self, columns: Int[np.ndarray, " chosen"]) -> WindowEmbeddings:
        """Some columns of all of them."""
        return replace(self, vectors=np.ascontiguousarray(self.vectors[:, columns]))


def learn_classes(
    model: Embedder, corpus: Corpus, validation: float, head: LabelSettings, settings: LinearSettings, seed: int
) -> Tagger:
    """A tagger: the linear model on the frozen embeddings of a corpus.

    Args:
        model: one stream, or several woven.
        corpus: labelled sounds.
        validation: share of the clips to choose the epoch by; see `validation_split`.
        head: loss and units.
        settings: epochs and rates.
        seed: of the split, the weights and the shuffles.

    Raises:
        ModelError: as for `embed_windows` and `train_head`.
    """
    learned, validated = train_valid_split(corpus, validation, seed, by_class=True)
    windows = embed_windows(model, corpus)
    fitted = windows.of(learned)
    trained = train_head(fitted, windows.of(validated), corpus.label_matrix(), head, settings, seed)
    return Tagger(model, trained, head, corpus.classes, fitted.vectors.mean(axis=0))


def embed_windows(model: Embedder, corpus: Corpus) -> WindowEmbeddings:
    """Embed every second of a corpus, by representations that are prepared once and kept.

    A single stream of log-mel frames takes its own windows, side by side; of a second that it is given
    later (`soundloom.tagger`) all but the last two hundredths is such a window.

    Raises:
        ModelError: one of several parts does not take seconds, such as a part of log-mel windows.
    """
    every = [(stream, prepare(corpus, form_of(stream))) for stream in streams_of(model)]
    if len(every) == 1:
        ((stream, dataset),) = every
        size = dataset.form.window_rows(stream.window)
        owners, starts = dataset.windows(size, size)
        return WindowEmbeddings(vectors=_embedded(stream, dataset, owners, starts, size), clips=owners)
    for stream, dataset in every:
        if dataset.form.window_rows(stream.window) != 1:
            raise ModelError(f"{stream.name} does not take seconds: weave streams such as pitch and timbre")
    # A clip is left out by all if one of them could not decode it.
    decoded = np.min([dataset.lengths for _, dataset in every], axis=0)
    owners = np.repeat(np.arange(len(corpus)), decoded)
    starts = np.concatenate([np.arange(length) for length in decoded]) if len(decoded) else np.zeros(0, np.int64)
    vectors = [_embedded(stream, dataset, owners, starts, 1) for stream, dataset in every]
    return WindowEmbeddings(vectors=np.concatenate(vectors, axis=1), clips=owners)


def train_head(
    learned: WindowEmbeddings,
    validated: WindowEmbeddings | None,
    labels: Bool[np.ndarray, "clips classes"],
    head: LabelSettings,
    settings: LinearSettings,
    seed: int,
) -> LabelHead:
    """Train a head on embeddings; with windows to validate on, that of the epoch with the lowest loss on them.

    Args:
        learned: what to learn from.
        validated: what to choose the epoch by; None for the last.
        labels: true where a clip has the class.
        head: loss and units.
        settings: epochs and rates.
        seed: of weights and shuffles.

    Raises:
        ModelError: there is nothing to learn from.
    """
    if not len(learned.vectors):
        raise ModelError("no windows to train the linear model on: was none of the clips decoded?")
    inputs, targets = _tensors(learned, labels)
    mean, deviation = inputs.mean(dim=0), inputs.std(dim=0, correction=0).clamp_min(1e-6)
    inputs = (inputs - mean) / deviation
    watched = None
    if validated is not None and len(validated.vectors):
        values, wanted = _tensors(validated, labels)
        watched = (values - mean) / deviation, wanted
    with seeded(seed):
        network = LabelHead(head, inputs.shape[1], labels.shape[1])
        best = _fit(network, inputs, targets, watched, head, settings, seed)
    return _folded(best, mean, deviation)


def _fit(
    network: LabelHead,
    inputs: Tensor,
    targets: Tensor,
    watched: tuple[Tensor, Tensor] | None,
    head: LabelSettings,
    settings: LinearSettings,
    seed: int,
) -> LabelHead:
    loss = LOSSES[head.loss]
    optimiser = torch.optim.Adam(network.parameters(), fused=True)
    steps = -(-len(inputs) // settings.linear_batch)
    rates = TrainingSettings(
        steps=steps * settings.linear_epochs,
        rate=settings.linear_rate,
        final_rate=settings.linear_final_rate,
        schedule="exponential",
    )
    lowest, best = float("inf"), network
    for epoch in range(settings.linear_epochs):
        set_seed(seed, epoch)
        for number, rows in enumerate(torch.split(torch.randperm(len(inputs)), settings.linear_batch)):
            set_rate(optimiser, rates, epoch * steps + number)
            optimiser.zero_grad()
            torch.autograd.backward(loss(network(inputs.index_select(0, rows)), targets.index_select(0, rows)))
            optimiser.step()
        if watched is not None:
            with torch.no_grad():
                found = float(loss(network(watched[0]), watched[1]))
            if found < lowest:
                lowest, best = found, deepcopy(network)
    return best


def _folded(network: LabelHead, mean: Tensor, deviation: Tensor) -> LabelHead:
    """W ((x - m) / d) + b = (W / d) x + (b - (W / d) m): the same outputs for embeddings as they are."""
    first = network[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight.div_(deviation)
        first.bias.sub_(first.weight @ mean)
    return network.eval()


def _tensors(windows: WindowEmbeddings, labels: np.ndarray) -> tuple[Tensor, Tensor]:
    return torch.from_numpy(windows.vectors), torch.from_numpy(labels[windows.clips].astype(np.float32))


@torch.inference_mode()
def _embedded(
    stream: Stream,
    dataset: FeatureDataset,
    owners: Int[np.ndarray, " windows"],
    starts: Int[np.ndarray, " windows"],
    size: int,
) -> Float[np.ndarray, "windows dim"]:
    stream = stream.eval()
    vectors = np.empty((len(owners), stream.dim), np.float32)
    for rows in _slices(len(owners)):
        kept = dataset.take(owners[rows], starts[rows], size)
        vectors[rows] = stream.embed_window(dataset.form.representation(kept, stream)).numpy()
    return vectors


def _slices(count: int) -> Iterator[slice]:
    for first in range(0, count, _AT_ONCE):
        yield slice(first, first + _AT_ONCE)
