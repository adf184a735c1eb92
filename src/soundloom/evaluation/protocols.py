"""Registry of evaluation protocols, which the command line, the report and the tests read.

A protocol over clips is called ``function(embeddings, labels, splits, settings=..., seed=...)``, one over frames
``function(frames, clips, labels, splits, settings=..., seed=...)``; one that needs no splits is called without them.
One that needs other inputs is a subclass of `Protocol`. Each registers beside its definition, in
`soundloom.evaluation.probes`, `soundloom.evaluation.retrieval` and `soundloom.evaluation.analysis`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from soundloom.components import Registry
from soundloom.corpora import Corpus
from soundloom.embedder import Embedder
from soundloom.errors import ComponentError, EvaluationError
from soundloom.evaluation.extraction import FeatureExtractor, Features, clip_extractor, window_extractor
from soundloom.evaluation.protocol_inputs import splits_of, targets_of
from soundloom.evaluation.scores import Details, Score
from soundloom.evaluation.splits import Split

__all__ = ["PROTOCOLS", "Protocol", "find_protocol"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One protocol.

    Attributes:
        function: computes the score.
        settings: the class of its settings; without arguments, the paper's values. None if it has no settings.
        details: the class of its score's details.
        paper: the paper and section that define it.
        window: seconds of a frame, for protocols over frames; None for embeddings of whole clips.
        splits: whether it is called with splits.
        admits: called as ``admits(labels, splits, settings)`` before anything is embedded; raises InvalidArgumentError
            where the function would refuse these. None if it is not asked.
        each: the noun of what a value of its score is of: a run, a fold or a draw, the first and last averaged over the
            folds. Empty if its score is a single value.
        standardises: whether it standardises embeddings, where its settings have no ``standardised``; None: it does not
            compare embeddings as they are or standardised.
    """

    function: Callable[..., Score]
    settings: type | None
    details: type[Details]
    paper: str
    window: float | None = None
    splits: bool = True
    admits: Callable[[np.ndarray, Sequence[Split] | None, Any], None] | None = None
    each: str = "run"
    standardises: bool | None = None

    @property
    def clipwise(self) -> bool:
        """Whether the model's embeddings of whole clips are its only features, so that it can compare layers."""
        return self.window is None

    def check(self, corpus: Corpus, *, settings: Any, seed: int) -> None:
        """Refuse a corpus by its labels and splits alone, so that no sound is embedded in vain.

        Raises:
            InvalidArgumentError: it has no labels or splits that the protocol can use, or too few clips for it.
            CorpusError: too few groups to draw splits.
        """
        if self.admits is not None:
            targets = targets_of(corpus)
            self.admits(targets, splits_of(corpus, targets, seed=seed) if self.splits else None, settings)

    def extractors(self, model: Embedder) -> tuple[FeatureExtractor, ...]:
        """The features that it needs, the model's own first."""
        return (clip_extractor(model) if self.window is None else window_extractor(model, self.window),)

    def score(
        self,
        features: Sequence[Features],
        parts: Mapping[str, slice],  # noqa: ARG002  a subclass uses it
        *,
        settings: Any,
        seed: int,
    ) -> Score:
        """The score of a model on a corpus.

        Args:
            features: of each of `extractors`.
            parts: the model's parts and their columns.
            settings: an instance of the class ``settings``.
            seed: of weights, batches and drawn splits.

        Raises:
            InvalidArgumentError: the protocol refuses this corpus or these embeddings.
        """
        (own,) = features
        targets = targets_of(own.corpus)
        data = [own.vectors, targets] if self.window is None else [own.vectors, own.clips, targets]
        splits = [splits_of(own.corpus, targets, seed=seed)] if self.splits else []
        return self.function(*data, *splits, settings=settings, seed=seed)

    def tested(self, features: Sequence[Features], *, seed: int) -> int | None:
        """How many clips are tested at a time, in the smallest of the splits; None if it needs no splits."""
        if not self.splits:
            return None
        corpus = features[0].corpus
        return min(len(split.test) for split in splits_of(corpus, targets_of(corpus), seed=seed))


PROTOCOLS: Registry[Protocol] = Registry(
    "protocol",
    ("soundloom.evaluation.probes", "soundloom.evaluation.retrieval", "soundloom.evaluation.analysis"),
    error=EvaluationError,
)


def find_protocol(name: str) -> Protocol:
    """The protocol of a registered name, or the `Protocol` that ``package.module:object`` names.

    Raises:
        EvaluationError: no such protocol.
        ComponentError: the object cannot be imported, or is no `Protocol`.
    """
    return PROTOCOLS.find(name, adapt=_protocol)


def _protocol(target: object, name: str) -> Protocol:
    if not isinstance(target, Protocol):
        raise ComponentError(f"{name} is a {type(target).__name__}: it should be a soundloom.evaluation.Protocol")
    return target
