"""Table of published scores, by model, corpus and protocol, to print beside measured ones.

Sources. Linear: D. Niizumi et al., Composing general audio representation by fusing multilayer features of a
pre-trained model, 2022, tables III and IV, and the tables of EVAR, the package that it was measured with. Perceptron:
X. Favory et al., COALA, 2020, table 1. Chunks: P. Verma, Diverse neural audio embeddings, 2023, tables 1 and 2.

A score stands beside the model that computes embeddings as the paper's code does, and beside no other: see
`soundloom.models.published_variants`, and the protocol ``sklearn-mlp`` for table 1 of Favory 2020.

`PUBLISHED` also holds models that soundloom does not build, for comparison in reports. Not here: numbers whose
corpus or protocol nobody else can repeat (Jansen 2017 on an early AudioSet; the correlations of Favory 2020, on
sounds from Freesound; fine-tuned models), and numbers of protocols that only share a name with ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["PUBLISHED", "Published", "elsewhere", "published"]


@dataclass(frozen=True, kw_only=True)
class Published:
    """A score somebody published.

    Attributes:
        model: as soundloom names it, or as its authors do.
        corpus: a corpus's short name.
        protocol: a protocol's name.
        metric: what was measured, as a `Score` says it.
        value: within [0, 1].
        source: where it stands.
    """

    model: str
    corpus: str
    protocol: str
    metric: str
    value: float
    source: str


_NIIZUMI = "Niizumi 2022, table III"
_NIIZUMI_IV = "Niizumi 2022, table IV"
_EVAR = "nttcslab/eval-audio-repr, README, section 7-2"
_FAVORY = "Favory 2020, table 1"

_LINEAR_CORPORA = (
    "esc50",
    "urbansound8k",
    "speech-commands",
    "voxceleb1",
    "voxforge",
    "cremad",
    "gtzan",
    "nsynth",
    "surge",
)

# Accuracy in percent on each of the corpora above; None where none is given.
_LINEAR: Mapping[tuple[str, str], tuple[float | None, ...]] = {
    ("vggish-niizumi", _NIIZUMI): (68.2, 75.1, 14.3, 9.0, 75.7, 44.4, 75.3, 53.9, 8.8),
    ("vggish-niizumi#10#15", _NIIZUMI): (86.5, 80.9, 91.4, 54.5, 91.6, 59.3, 70.8, 73.6, 33.3),
    ("cnn14-niizumi", _NIIZUMI): (90.1, 82.0, 51.4, 8.0, 75.0, 50.7, 79.7, 66.0, 10.4),
    ("cnn14-niizumi#3#6", _NIIZUMI): (93.0, 85.8, 91.3, 50.6, 90.5, 59.0, 77.4, 73.8, 32.4),
    ("ast-niizumi", _NIIZUMI): (93.5, 85.5, 71.8, 16.5, 81.2, 57.9, 84.3, 73.2, 25.8),
    ("ast-niizumi#5#12", _NIIZUMI): (94.2, 85.5, 80.4, 24.9, 87.6, 60.7, 82.9, 77.6, 34.6),
    ("SF-NFNet-F0", _NIIZUMI_IV): (91.1, None, 93.0, 64.9, 90.4, None, None, 78.2, None),
    ("COLA", _NIIZUMI_IV): (None, None, 62.4, 29.9, 71.3, None, None, 63.4, None),
    ("OpenL3", _NIIZUMI_IV): (79.8, 79.3, 87.9, 40.7, 90.1, 60.4, 73.3, 75.6, 36.4),
    ("BYOL-A 2021", _NIIZUMI_IV): (83.7, 79.1, 92.2, 40.1, 90.2, 62.8, 73.6, 74.1, 26.2),
    ("coala-evar", _EVAR): (74.7, 71.9, 56.6, 12.1, 73.9, 49.3, 58.3, 71.3, 29.5),
    ("M2D-CLAP 2025", _EVAR): (97.9, 89.7, 94.8, 56.3, 97.1, 69.7, 86.3, 76.7, 41.1),
    ("M2D-CLAP 2024", _EVAR): (96.3, 88.8, 95.8, 70.3, 98.3, 73.4, 84.1, 78.0, 42.4),
    ("M2D", _EVAR): (91.3, 87.6, 96.0, 73.4, 98.3, 73.0, 84.1, 75.7, 42.1),
    ("M2D-AS", _EVAR): (96.7, 89.3, 93.2, 52.7, 96.9, 69.5, 87.6, 75.6, 40.5),
    ("ATST-Frame", _EVAR): (90.9, 85.8, 94.9, 77.4, 98.8, 72.3, 82.9, 75.9, 40.6),
    ("Dasheng 1.2B", _EVAR): (88.8, 83.5, 97.6, 77.8, 99.7, 76.9, 44.7, 76.9, 40.0),
    ("Qwen2.5-Omni 7B", _EVAR): (91.7, 82.6, 98.4, 39.7, 99.9, 76.7, 84.0, 74.9, 33.9),
    ("BEATs iter3+", _EVAR): (95.5, 87.6, 86.7, 37.0, 92.5, 67.6, 84.6, 73.1, 35.7),
    ("CLAP 2023", _EVAR): (97.7, 88.4, 86.2, 21.1, 89.6, 62.5, 82.3, 80.5, 27.2),
    ("CED", _EVAR): (97.3, 87.8, 89.0, 35.2, 94.8, 66.1, 42.3, 75.6, 38.9),
    ("BYOL-A", _EVAR): (83.2, 79.7, 93.1, 57.6, 93.3, 63.8, 70.1, 73.1, 37.6),
    ("OpenL3-M", _EVAR): (82.2, 80.4, 87.9, 40.7, 90.1, 60.4, 73.3, 75.6, 36.4),
}

_MLP_CORPORA = ("urbansound8k", "gtzan", "nsynth-20k")

_MLP: Mapping[str, tuple[float | None, ...]] = {
    "mfcc-favory": (65.8, 49.8, 62.6),
    "coala-favory": (72.7, 60.7, 73.1),
    "COALA E-C": (72.5, 58.9, 69.5),
    "COALA CNN": (48.4, 47.0, 56.4),
    # From the literature, by classifiers of their own.
    "OpenL3 (Cramer 2019)": (78.2, None, None),
    "VGGish (Cramer 2019)": (73.4, None, None),
    "DeepConv (Salamon 2017)": (79.0, None, None),
    "rVGG (Pons 2019)": (70.7, 59.7, None),
    "sampleCNN (Lee 2018)": (None, 82.1, None),
    "smallCNN (Ramires 2019)": (None, None, 73.8),
}

_VERMA: Mapping[str, Mapping[str, float]] = {
    "top-k accuracy": {
        "pitch": 27.2,
        "timbre": 34.2,
        "neuralogram": 43.7,
        "waveform": 41.9,
        "pitch+timbre+waveform+neuralogram": 44.9,
    },
    "mAP": {
        "waveform": 56.5,
        "pitch+timbre+waveform+neuralogram": 59.6,
        "DenseNet": 42.5,
        "Audio Transformer": 53.7,
        "Knowledge distillation": 54.8,
        "PSLA": 56.7,
        "Bank of filterbanks": 55.2,
    },
}


def _row(model: str, corpus: str, protocol: str, metric: str, percent: float, source: str) -> Published:
    value = round(percent / 100, 4)
    return Published(model=model, corpus=corpus, protocol=protocol, metric=metric, value=value, source=source)


PUBLISHED: tuple[Published, ...] = (
    *(
        _row(model, corpus, "linear", "accuracy", value, source)
        for (model, source), values in _LINEAR.items()
        for corpus, value in zip(_LINEAR_CORPORA, values, strict=True)
        if value is not None
    ),
    *(
        _row(model, corpus, "sklearn-mlp", "accuracy", value, _FAVORY)
        for model, values in _MLP.items()
        for corpus, value in zip(_MLP_CORPORA, values, strict=True)
        if value is not None
    ),
    *(
        _row(model, "fsd50k", "chunks", metric, value, f"Verma 2023, table {1 if metric != 'mAP' else 2}")
        for metric, rows in _VERMA.items()
        for model, value in rows.items()
    ),
)
"""Every row."""


def published(model: str, corpus: str, protocol: str, metric: str) -> Published | None:
    """What was published of the same model, corpus, protocol and metric.

    >>> published("cnn14-niizumi#3#6", "esc50", "linear", "accuracy").value
    0.93
    """
    for row in PUBLISHED:
        if (row.model, row.corpus, row.protocol, row.metric) == (model, corpus, protocol, metric):
            return row
    return None


def elsewhere(corpus: str, protocol: str, metric: str) -> list[Published]:
    """What was published of any model on the same corpus by the same protocol, the highest first."""
    rows = [row for row in PUBLISHED if (row.corpus, row.protocol, row.metric) == (corpus, protocol, metric)]
    return sorted(rows, key=lambda row: -row.value)
