"""Embeddings of every training window of a cached corpus, for protocols over frames.

Jansen 2017, section 4.1 and 4.2: spectrograms are cut "into nonoverlapping 0.96 second context windows", and each
window is mapped to a vector. These are the very windows that are learned from (`objectives.triplet_sampler`): side by
side from a clip's start, what is left at its end unused, a clip shorter than a window filled with silence.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from soundloom.embedder import Stream
from soundloom.feature_cache import FeatureDataset
from soundloom.recipes.linear import WindowEmbeddings

__all__ = ["apply", "embedded", "log_mel"]

BATCH = 256


def embedded(stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """The stream's embeddings of all windows."""
    return apply(_Embedding(stream), stream, dataset)


def log_mel(stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """What the stream's encoder is given, cell by cell: the baseline, of 64 x 96 numbers a window."""
    return apply(nn.Flatten(), stream, dataset)


def apply(network: nn.Module, stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """What a network makes of the stream's representation of every window [B, 1, F, T], one vector each.

    Raises:
        InvalidArgumentError: the dataset is not in a form for the stream's front-end.
    """
    size, form = dataset.form.window_rows(stream.window), dataset.form
    clips, starts = dataset.windows(size, size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    stream.to(device)
    vectors = []
    with torch.inference_mode():
        for begin in range(0, len(clips), BATCH):
            part = slice(begin, begin + BATCH)
            kept = dataset.take(clips[part], starts[part], size).to(device)
            vectors.append(network(form.representation(kept, stream)).cpu())
    return WindowEmbeddings(vectors=torch.cat(vectors).numpy(), clips=clips)


class _Embedding(nn.Module):
    """A stream from its representation on, as a module that can be moved."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream

    def forward(self, representation: Tensor) -> Tensor:
        return self.stream.embed_window(representation)
