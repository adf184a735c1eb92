"""CREMA-D: 7,442 acted sentences by 91 actors, six emotions (Cao et al. 2014, IEEE TAC).

Everything is in the file name: actor, sentence, emotion, level. There is no official parting; the one usual for
general representations keeps actors disjoint, 63 to train, 9 to validate, 19 to test, and is drawn here from a seed.
The list of TensorFlow Datasets leaves out four broken files: read such a copy with ``partial=True``.
"""

from __future__ import annotations

import os

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["CREMAD"]

_ACTORS = (63 / 91, 9 / 91, 19 / 91)
_LIST = "cremad.csv"


def _read(copy: Copy, *, seed: int = 0, splits: str | os.PathLike[str] | None = None) -> Corpus:
    """Read CREMA-D.

    Args:
        copy: the set on disk.
        seed: of the drawn splits.
        splits: a list with columns file_name, label, speaker_id and split, which then gives all four;
            cremad.csv is taken when it lies in the root.
    """
    if splits is not None or (copy.root / _LIST).is_file():
        table = copy.columns(splits or _LIST, ["file_name", "label", "speaker_id", "split"])
        return copy.corpus(
            [file if file.startswith("AudioWAV/") else f"AudioWAV/{file}" for file in table["file_name"]],
            table["label"],
            splits=copy.splits(table["split"]),
            groups=table["speaker_id"],
            origin="listed",
        )
    found = copy.matching(
        r"(?P<actor>\d{4})_(?P<sentence>[A-Z]{3})_(?P<emotion>[A-Z]{3})_(?P<level>\w+)\.wav", folder="AudioWAV"
    )
    corpus = copy.corpus(
        [file for file, _ in found],
        [about["emotion"] for _, about in found],
        groups=[about["actor"] for _, about in found],
        extra={name: [about[name] for _, about in found] for name in ("sentence", "level")},
    )
    return corpus.with_grouped_splits(_ACTORS, seed=seed)


CREMAD = register_corpus(
    CorpusAdapter(
        name="cremad",
        title="CREMA-D acted emotions",
        task="single-label",
        layout="AudioWAV/{actor}_{sentence}_{emotion}_{level}.wav",
        address="https://github.com/CheyneyComputerScience/CREMA-D",
        licence="Open Database License",
        counts={"clips": 7442, "classes": 6, "groups": 91},
        read=_read,
    )
)
