"""Pitch objective: cross-entropy of the note shares that a stream embeds single notes as.

The stream's embedding is the square root of a share for each note (`soundloom.encoders.PitchEncoder`): there is no
head, so the numbers of the embedding are the notes.

When not: streams whose embedding is not notes; predict labels instead, by a head (`labels`).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import isfinite, nan
from typing import Self

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from soundloom.corpora import Corpus, CorpusError
from soundloom.counted import counted
from soundloom.embedder import Stream
from soundloom.feature_cache import Form
from soundloom.objectives.base import Batch, Objective, TrainingData, register_objective
from soundloom.objectives.labels import LabelBatchSampler

__all__ = ["LOWEST_NOTE", "PitchObjective", "PitchSettings", "midi_numbers", "note_targets"]

_log = logging.getLogger(__name__)

LOWEST_NOTE = 24
"""MIDI number of the first of the notes: C1, 32.7 Hz."""


@dataclass(frozen=True, kw_only=True)
class PitchSettings:
    """None: what a note is, is decided by the stream."""


@register_objective("pitch", PitchSettings, title="The embedding is the note of a single note.")
class PitchObjective(Objective):
    """Cross-entropy of a window's notes.

    Args:
        form: what the windows' rows are.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    @classmethod
    def select(cls, settings: PitchSettings, corpus: Corpus, stream: Stream) -> Corpus:  # noqa: ARG003
        """The clips whose note is known and within the stream's range."""
        bins = stream.frontend.bins
        within = np.asarray(note_targets(corpus, bins).any(axis=1))
        beyond = [
            path
            for path, midi, found in zip(corpus.column("path"), midi_numbers(corpus), within.tolist(), strict=True)
            if midi is not None and not found
        ]
        if beyond:
            _log.warning(
                "%s left out, whose MIDI number is not from %d to %d, such as %s",
                counted(len(beyond), "note"), LOWEST_NOTE, LOWEST_NOTE + bins - 1, beyond[0],
            )  # fmt: skip
        return corpus.filter(mask=within)

    @classmethod
    def sampler(
        cls,
        settings: PitchSettings,  # noqa: ARG003
        data: TrainingData,
        clips: Int[np.ndarray, " chosen"],
        *,
        batch: int,
        seed: int,
    ) -> LabelBatchSampler:
        """The first window of each clip, and a one for its note."""
        decoded = clips[data.dataset.lengths[clips] > 0]
        return LabelBatchSampler(
            dataset=data.dataset, clips=decoded, starts=np.zeros_like(decoded), size=data.window,
            targets=note_targets(data.corpus, data.dataset.form.shape[1]).astype(np.float32), batch=batch, seed=seed,
        )  # fmt: skip

    @classmethod
    def create(cls, settings: PitchSettings, stream: Stream, data: TrainingData) -> Self:  # noqa: ARG003
        """For the form of the cached clips."""
        return cls(data.dataset.form)

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss, and ``right``: the share of windows whose strongest note is theirs.

        Args:
            stream: what learns.
            batch: ``windows``, rows as they are kept [B, R, *shape]; ``targets``, zeros and a one [B, notes].
        """
        shares = stream.embed_window(self.form.representation(batch["windows"], stream)).square()
        tiny = torch.finfo(shares.dtype).tiny
        given = (shares * batch["targets"]).sum(dim=1) / shares.sum(dim=1).clamp_min(tiny)
        right = shares.detach().argmax(dim=1) == batch["targets"].argmax(dim=1)
        return {"loss": -given.clamp_min(tiny).log().mean(), "right": right.float().mean()}


def midi_numbers(corpus: Corpus) -> list[float | None]:
    """The MIDI number of each clip, None where there is none: numbers, or their text as a CSV has it.

    Raises:
        CorpusError: there is no such column, or it holds something else.
    """
    if "midi" not in corpus.table.column_names:
        raise CorpusError(f"{corpus.name} has no column midi: notes are learned from clips whose MIDI number is known")
    numbers: list[float | None] = []
    for path, value in zip(corpus.column("path"), corpus.column("midi"), strict=True):
        try:
            number = None if value in (None, "") else float(value)
        except ValueError:
            number = nan
        if number is not None and not isfinite(number):
            raise CorpusError(f"{corpus.name}: midi is {value!r} for {path}: write a number such as 60, or nothing")
        numbers.append(number)
    return numbers


def note_targets(corpus: Corpus, bins: int) -> Bool[np.ndarray, "clips {bins}"]:
    """True where a clip has the note, its MIDI number rounded.

    Raises:
        CorpusError: no clip has one in reach, or what `midi_numbers` refuses.
    """
    notes = np.array([-1 if midi is None else round(midi) - LOWEST_NOTE for midi in midi_numbers(corpus)])
    inside = (notes >= 0) & (notes < bins)
    if not inside.any():
        raise CorpusError(f"{corpus.name}: no clip has a MIDI number from {LOWEST_NOTE} to {LOWEST_NOTE + bins - 1}")
    targets = np.zeros((len(corpus), bins), dtype=bool)
    targets[inside, notes[inside]] = True
    return targets
