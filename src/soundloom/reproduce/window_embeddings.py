"""Every window of a prepared corpus as a vector: what protocols over frames are measured on.

Jansen 2017, section 4.1 and 4.2: spectrograms are cut "into nonoverlapping 0.96 second context windows", and each
window is mapped to a vector. These are the very windows that are learned from (`objectives.triplet_sampler`): side by
side from a clip's start, what is left at its end unused, a clip shorter than a window filled with silence.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor, nn

from soundloom.embedder import Stream
from soundloom.errors import ModelError
from soundloom.evaluation.probes.frame_data import clip_means
from soundloom.feature_cache import FeatureDataset
from soundloom.frontends import LogMel

__all__ = ["WindowEmbeddings", "apply", "embedded", "log_mel"]

BATCH = 256


@dataclass(frozen=True, eq=False, kw_only=True)
class WindowEmbeddings:
    """A vector a window.

    Attributes:
        vectors: of all windows, clip by clip.
        clips: the clip of each.
    """

    vectors: Float32[np.ndarray, "windows dim"]
    clips: Int64[np.ndarray, " windows"]

    def means(self) -> Float32[np.ndarray, "clips dim"]:
        """The mean over each clip's windows; every clip has one."""
        return clip_means(self.vectors, self.clips, np.unique(self.clips)).astype(np.float32)


def embedded(stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """The stream's embeddings of all windows."""
    return apply(_Embedding(stream), stream, dataset)


def log_mel(stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """What the stream's encoder is given, cell by cell: the baseline, of 64 x 96 numbers a window."""
    return apply(nn.Flatten(), stream, dataset)


def apply(network: nn.Module, stream: Stream, dataset: FeatureDataset) -> WindowEmbeddings:
    """What a network makes of the stream's representation of every window [B, 1, F, T], one vector each.

    Raises:
        ModelError: the stream does not hear windows of log-mel frames.
    """
    if not isinstance(stream.frontend, LogMel) or stream.window is None:
        raise ModelError(f"{stream.name} does not hear windows of log-mel frames, which this paper's embeddings are of")
    size = stream.window.frames
    clips, starts = dataset.windows(size, size)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    network = network.to(device).eval()
    vectors = []
    with torch.inference_mode():
        for begin in range(0, len(clips), BATCH):
            part = slice(begin, begin + BATCH)
            energies = dataset.restore(dataset.take(clips[part], starts[part], size).to(device))
            vectors.append(network(stream.frontend.compress(energies).transpose(1, 2).unsqueeze(1)).cpu())
    return WindowEmbeddings(vectors=torch.cat(vectors).numpy(), clips=clips)


class _Embedding(nn.Module):
    """A stream from its representation on, as a module that can be moved."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self.stream = stream

    def forward(self, representation: Tensor) -> Tensor:
        return self.stream.embed_window(representation)
