"""How a stream learns: objectives, and the draws that feed them.

objective = TripletObjective(TripletSettings(), form)
draw = triplet_draw(TripletSettings(), prepared, Recordings.of(corpus), clips, batch=128, seed=0)
objective(stream, draw(0))["loss"].backward()
"""

from soundloom.objectives.base import Batch, BatchSampler, Objective
from soundloom.objectives.triplet import TripletObjective, TripletSettings, only
from soundloom.objectives.triplet_batches import TripletBatchSampler, triplet_sampler
from soundloom.objectives.triplet_pairs import Recordings

__all__ = [
    "Batch",
    "BatchSampler",
    "Objective",
    "Recordings",
    "TripletBatchSampler",
    "TripletObjective",
    "TripletSettings",
    "only",
    "triplet_sampler",
]
