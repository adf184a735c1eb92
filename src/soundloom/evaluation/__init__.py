"""Measuring embeddings: probes, retrieval, correlation, ablation, by the papers' protocols.

Every protocol is a function from arrays (embeddings, labels, splits) to a `Score`; settings default to the
paper's values. `PROTOCOLS` lists them by name.

    from soundloom import evaluation

    splits = evaluation.from_folds(folds, labels)
    score = evaluation.linear_probe(embeddings, labels, splits)
    print(score)  # protocol, metric, mean ± half of the 95% interval
"""

from soundloom.evaluation.acoustic_features import acoustic_statistics
from soundloom.evaluation.analysis.ablation import Ablation, Contribution, ablate
from soundloom.evaluation.analysis.correlation import canonical_correlations, correlation_analysis
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.chunk_classifier import ChunkSettings, chunk_probe
from soundloom.evaluation.probes.frame_classifier import FewShotSettings, ShallowSettings, few_shot, shallow_classifier
from soundloom.evaluation.probes.knn import KNNSettings, knn_probe
from soundloom.evaluation.probes.linear import LinearProbeSettings, linear_probe
from soundloom.evaluation.probes.mlp import MLPSettings, mlp_probe
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.retrieval.query_by_example import (
    ByExampleSettings,
    LeaveOneOutSettings,
    leave_one_out,
    query_by_example,
)
from soundloom.evaluation.scores import Score
from soundloom.evaluation.splits import Split, from_folds, from_parts

__all__ = [
    "PROTOCOLS",
    "Ablation",
    "ByExampleSettings",
    "ChunkSettings",
    "Contribution",
    "FewShotSettings",
    "KNNSettings",
    "LeaveOneOutSettings",
    "LinearProbeSettings",
    "MLPSettings",
    "ProbeTraining",
    "Protocol",
    "Score",
    "ShallowSettings",
    "Split",
    "ablate",
    "acoustic_statistics",
    "canonical_correlations",
    "chunk_probe",
    "correlation_analysis",
    "few_shot",
    "from_folds",
    "from_parts",
    "knn_probe",
    "leave_one_out",
    "linear_probe",
    "mlp_probe",
    "query_by_example",
    "shallow_classifier",
]
