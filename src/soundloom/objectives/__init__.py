"""Objectives: losses for streams, and the batch samplers that feed them.

objective = TripletObjective(TripletSettings(), form)
sampler = triplet_sampler(TripletSettings(), dataset, Recordings.of(corpus), clips, batch=128, seed=0)
objective(stream, sampler(0))["loss"].backward()
"""

from soundloom.objectives.base import OBJECTIVES, Batch, BatchSampler, Objective, register_objective
from soundloom.objectives.triplet import TripletObjective
from soundloom.objectives.triplet_batches import TripletBatchSampler, TripletSettings, only, triplet_sampler
from soundloom.objectives.triplet_pairs import Recordings

__all__ = [
    "OBJECTIVES",
    "Batch",
    "BatchSampler",
    "Objective",
    "Recordings",
    "TripletBatchSampler",
    "TripletObjective",
    "TripletSettings",
    "only",
    "register_objective",
    "triplet_sampler",
]
