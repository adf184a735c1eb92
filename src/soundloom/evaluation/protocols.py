"""Every protocol by name, in one table that the command line, the report and the tests read.

A protocol over clips is called ``function(embeddings, labels, splits, settings=..., seed=...)``, one over
frames ``function(frames, clips, labels, splits, settings=..., seed=...)``; one that needs no splits is
called without them. `correlation` and `ablation` ask for other things than labels and stand outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from soundloom.evaluation.probes.chunk_classifier import ChunkSettings, chunk_probe
from soundloom.evaluation.probes.frame_classifier import FewShotSettings, ShallowSettings, few_shot, shallow_classifier
from soundloom.evaluation.probes.knn import KNNSettings, knn_probe
from soundloom.evaluation.probes.linear import LinearSettings, linear_probe
from soundloom.evaluation.probes.mlp import MLPSettings, mlp_probe
from soundloom.evaluation.retrieval.query_by_example import (
    ByExampleSettings,
    LeaveOneOutSettings,
    leave_one_out,
    query_by_example,
)
from soundloom.evaluation.scores import Score

__all__ = ["PROTOCOLS", "Protocol"]


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One row of the table.

    Attributes:
        function: what measures.
        settings: the class of its settings; without arguments, the paper's values.
        unit: what it measures on, embeddings of clips or of frames.
        splits: whether it is called with splits.
        paper: where it comes from.
    """

    function: Callable[..., Score]
    settings: type
    unit: Literal["clips", "frames"]
    splits: bool
    paper: str


PROTOCOLS: dict[str, Protocol] = {
    "linear": Protocol(
        function=linear_probe, settings=LinearSettings, unit="clips", splits=True, paper="Niizumi 2022, IV-A"
    ),
    "mlp": Protocol(function=mlp_probe, settings=MLPSettings, unit="clips", splits=True, paper="Favory 2020, 3.2"),
    "knn": Protocol(function=knn_probe, settings=KNNSettings, unit="clips", splits=True, paper="k nearest neighbours"),
    "query-by-example": Protocol(
        function=query_by_example, settings=ByExampleSettings, unit="clips", splits=False, paper="Jansen 2017, 4.2"
    ),
    "leave-one-out": Protocol(
        function=leave_one_out, settings=LeaveOneOutSettings, unit="clips", splits=False, paper="nearest clips"
    ),
    "shallow": Protocol(
        function=shallow_classifier, settings=ShallowSettings, unit="frames", splits=True, paper="Jansen 2017, 4.3"
    ),
    "few-shot": Protocol(
        function=few_shot, settings=FewShotSettings, unit="frames", splits=True, paper="Jansen 2017, 4.3"
    ),
    "chunks": Protocol(
        function=chunk_probe, settings=ChunkSettings, unit="frames", splits=True, paper="Verma 2023, 2 and 3.5"
    ),
}
