"""Streams, datasets and batches for the tests of the triplet objective."""

from __future__ import annotations

import numpy as np
import torch

from soundloom.feature_cache import FeatureDataset, MelEnergies
from soundloom.frontends import LogMel
from soundloom.objectives import Recordings, TripletSettings, triplet_sampler
from soundloom.objectives.base import Batch
from soundloom.objectives.mining import Known
from soundloom.objectives.samplers import SAMPLERS

FORM = MelEnergies(LogMel.jansen())


def held(*lengths: int) -> FeatureDataset:
    """Clips of so many rows; the codes of a row tell its clip, its place and its bin apart."""
    rows = np.random.default_rng(7).integers(30_000, 45_000, (sum(lengths), 64)).astype(np.uint16)
    counts = np.array(lengths)
    return FeatureDataset(FORM, rows, np.cumsum(counts) - counts, counts, {}, fresh=0, seconds=0.0)


def files(count: int) -> Recordings:
    return Recordings(numbers=np.arange(count), begins=np.zeros(count))


def draw(settings: TripletSettings, dataset: FeatureDataset, batch: int = 16, **more: object):
    clips = np.arange(len(dataset))
    recordings = more.pop("recordings", files(len(dataset)))
    return triplet_sampler(settings, dataset, recordings, clips, batch, 0, **more)  # type: ignore[arg-type]


def known(recordings: list[list[int]], sampler: str = "noise", labels: list[list[list[bool]]] | None = None) -> Known:
    batch: Batch = {
        "recordings": torch.tensor(recordings),
        "sampler": torch.full((len(recordings),), SAMPLERS.index(sampler)),
    }
    if labels is not None:
        batch["labels"] = torch.tensor(labels)
    return Known.of(batch)
