"""UrbanSound8K: 8,732 excerpts of up to four seconds, ten city sounds (Salamon, Jacoby & Bello 2014, ACM MM).

Ten folds, by source recording; they are used as they are, since reshuffling puts slices of one recording on both
sides. Rates and bit depths are mixed and some slices last less than 0.1 s. The list's start and end refer to the
original recording, not to the slice, and are not taken over.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["URBANSOUND8K"]

_FOLDS = (873, 888, 925, 990, 936, 823, 838, 806, 816, 837)


def _read(copy: Copy) -> Corpus:
    meta = copy.columns("metadata/UrbanSound8K.csv", ["slice_file_name", "fsID", "fold", "classID", "class"])
    numbers = copy.integers(meta["classID"], "classID")
    return copy.corpus(
        [f"audio/fold{fold}/{name}" for fold, name in zip(meta["fold"], meta["slice_file_name"], strict=True)],
        meta["class"],
        classes=[name for _, name in sorted(set(zip(numbers, meta["class"], strict=True)))],
        folds=copy.integers(meta["fold"], "fold"),
        groups=meta["fsID"],
    )


URBANSOUND8K = register_corpus(
    CorpusAdapter(
        name="urbansound8k",
        title="UrbanSound8K",
        task="single-label",
        layout="metadata/UrbanSound8K.csv and audio/fold1 to audio/fold10 (the unpacked UrbanSound8K)",
        address="https://zenodo.org/records/1203745",
        licence="CC BY-NC, clips by their Freesound authors",
        counts={"clips": 8732, "classes": 10} | {f"fold {fold}": count for fold, count in enumerate(_FOLDS, 1)},
        read=_read,
    )
)
