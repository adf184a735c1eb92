"""Network trained from scratch on a few labelled clips (Jansen 2017, section 4.3, the second row of table 2).

The stream and a linear layer of independent logistic outputs, learned together from windows that carry their clip's
labels; a test clip's scores are the mean over its windows, as for the shallow classifiers that it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int
from torch import Tensor, nn

from soundloom.corpora import Corpus
from soundloom.embedder import Stream
from soundloom.evaluation import scores
from soundloom.evaluation.probes.frame_data import clip_means
from soundloom.evaluation.protocol_inputs import targets_of
from soundloom.evaluation.splits import Split
from soundloom.feature_cache import FeatureDataset
from soundloom.objectives.labels import LabelObjective, LabelSettings, label_sampler
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.validation_split import fingerprint
from soundloom.reproduce.window_embeddings import apply
from soundloom.training import TrainingProgress, TrainingSettings, fit
from soundloom.training.seeds import seeded

__all__ = ["from_scratch"]


def from_scratch(
    kind: str,
    corpus: Corpus,
    dataset: FeatureDataset,
    few: Int[np.ndarray, " few"],
    split: Split,
    *,
    settings: TrainingSettings,
    folder: Path,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> float:
    """Macro mAP over the test clips.

    Args:
        kind: the stream; see `recipes.STREAMS`.
        corpus: the labelled clips.
        dataset: the same, as mel energies.
        few: the clips to learn from.
        split: whose test clips are scored.
        settings: the trainer; the last weights are taken.
        folder: the run's.
        progress: called after every step.
    """
    settings = replace(settings, keep="last")
    stream = build_stream(kind, settings.seed, folder.name)
    with seeded(settings.seed):
        objective = LabelObjective(
            LabelSettings(loss="bce", hidden=0), dataset.form, dim=stream.dim, classes=len(corpus.classes)
        )
    size = stream.window.frames if stream.window is not None else 1
    draw = label_sampler(
        dataset, corpus.label_matrix(), few, size=size, hop=size, batch=settings.batch, seed=settings.seed
    )
    fit(
        stream,
        objective,
        draw,
        settings=settings,
        folder=folder,
        recipe=_Scratch(stream=kind, training=settings),
        data=f"{fingerprint(corpus, dataset)}, clips {' '.join(map(str, few))}",
        heading="soundloom reproduce: from a few clips a class",
        progress=progress,
    )
    windows = apply(_Classifier(stream, objective.head), stream, dataset)
    tested = clip_means(windows.vectors, windows.clips, split.test)
    return scores.macro_map(tested, targets_of(corpus)[split.test])


@dataclass(frozen=True, kw_only=True)
class _Scratch:
    """What decides a run: the stream and the trainer."""

    stream: str
    training: TrainingSettings


class _Classifier(nn.Module):
    """Representation of windows in, probabilities of classes out."""

    def __init__(self, stream: Stream, head: nn.Module) -> None:
        super().__init__()
        self.stream, self.head = stream, head

    def forward(self, representation: Tensor) -> Tensor:
        probabilities: Tensor = self.head(self.stream.embed_window(representation)).sigmoid()
        return probabilities
