"""Tag encoder for frozen embeddings: the alignment of Favory 2020, of which only the tag side is learned.

Of the audio only the linear map into the common space is learned (equation 8). The embedding is left as it is, so that
a library need not be indexed anew to learn new words.

When not: embeddings that do not distinguish the tags' sounds; train the stream with its tags then (`coala`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from soundloom.encoders import COALA_DIM, COALATagEncoder
from soundloom.encoders.init import he_normal
from soundloom.objectives.alignment import AlignmentSettings, contrast, same_tags
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.training import TrainingProgress, TrainingSettings
from soundloom.training.progress import Throughput
from soundloom.training.schedule import set_rate
from soundloom.training.seeds import seeded

__all__ = ["AligningSettings", "align"]


@dataclass(frozen=True, kw_only=True)
class AligningSettings:
    """How long, and how fast.

    Attributes:
        tag_steps: steps.
        tag_batch: sounds a step.
        tag_rate: highest learning rate; it falls to a hundredth of it along a cosine.
    """

    tag_steps: int = 1500
    tag_batch: int = 256
    tag_rate: float = 1e-3


def align(
    part: str,
    embeddings: Float[np.ndarray, "sounds dim"],
    tags: Bool[np.ndarray, "sounds tags"],
    vocabulary: Vocabulary,
    settings: AligningSettings,
    seed: int,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> AlignedTags:
    """Learn the tags' side of a part of a model.

    Args:
        part: name of the part.
        embeddings: of sounds, by that part.
        tags: true where a sound has the tag; every sound has one at least.
        vocabulary: the tags.
        settings: how long.
        seed: of weights, batches and dropout.
        progress: called after every step.
    """
    form = AlignmentSettings(audio_weight=0, tag_weight=0, same_tags_repel=False)
    rates = TrainingSettings(
        steps=settings.tag_steps, rate=settings.tag_rate, final_rate=settings.tag_rate / 100, schedule="cosine"
    )
    pace = Throughput()
    vectors, targets = torch.from_numpy(embeddings), torch.from_numpy(tags.astype(np.float32))
    with seeded(seed, 1):
        encoder = COALATagEncoder(len(vocabulary))
        audio_map = torch.nn.Linear(vectors.shape[1], COALA_DIM, bias=False)
        he_normal(audio_map)
        optimiser = torch.optim.Adam([*encoder.parameters(), *audio_map.parameters()], fused=True)
        for step in range(settings.tag_steps):
            rows = torch.from_numpy(_batch(len(vectors), settings.tag_batch, seed, step))
            tags_of_batch = targets[rows]
            set_rate(optimiser, rates, step)
            optimiser.zero_grad()
            projected = torch.nn.functional.dropout(audio_map(vectors[rows]), 0.25)
            loss = contrast(projected, encoder.align(encoder(tags_of_batch)), form, same_tags(tags_of_batch))
            torch.autograd.backward(loss)
            optimiser.step()
            if progress is not None:
                pace.step(step + 1, float(loss.detach()))
                progress(pace.progress(step + 1, settings.tag_steps, batch=len(rows)))
    aligned = AlignedTags(part, vectors.shape[1], vocabulary, encoder=encoder, audio_map=audio_map)
    aligned.centre.copy_(aligned.common(vectors))
    return aligned


def _batch(count: int, size: int, seed: int, step: int) -> np.ndarray:
    return np.random.default_rng([seed, 2, step]).choice(count, min(size, count), replace=False)
