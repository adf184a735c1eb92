"""FSD50K: 51,197 Freesound clips with 200 classes, and the tags their uploaders gave (Fonseca et al. 2022, TASLP).

The ``dev`` part is split into train and val by its list, the ``eval`` part is the test set; the usual score is the
macro-averaged average precision. The Freesound tags make it the public training set for aligning audio with tags
(Favory et al. 2020), whose own collection has to be crawled.
"""

from __future__ import annotations

from typing import Any

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["FSD50K"]


def _read(copy: Copy, *, tags: bool = True) -> Corpus:
    """Read FSD50K.

    Args:
        copy: the set on disk.
        tags: read the Freesound tags and uploaders from FSD50K.metadata, a separate download.
    """
    dev = copy.columns("FSD50K.ground_truth/dev.csv", ["fname", "labels", "split"])
    held_out = copy.columns("FSD50K.ground_truth/eval.csv", ["fname", "labels"])
    vocabulary = copy.columns("FSD50K.ground_truth/vocabulary.csv", ["label"], header=["index", "label", "mid"])
    parts = [("dev", dev["fname"]), ("eval", held_out["fname"])]
    columns: dict[str, Any] = {}
    if tags:
        about = [
            clips.get(name, {})
            for part, names in parts
            for clips in [copy.json(f"FSD50K.metadata/{part}_clips_info_FSD50K.json")]
            for name in names
        ]
        columns = {"tags": [clip.get("tags", []) for clip in about], "groups": [clip.get("uploader") for clip in about]}
    return copy.corpus(
        [f"FSD50K.{part}_audio/{name}.wav" for part, names in parts for name in names],
        [labels.split(",") for labels in dev["labels"] + held_out["labels"]],
        classes=vocabulary["label"],
        splits=copy.splits(dev["split"]) + ["test"] * len(held_out["fname"]),
        **columns,
    )


FSD50K = register_corpus(
    CorpusAdapter(
        name="fsd50k",
        title="FSD50K",
        task="multi-label",
        layout="FSD50K.ground_truth/, FSD50K.dev_audio/, FSD50K.eval_audio/ and, for tags, FSD50K.metadata/",
        address="https://zenodo.org/records/4060432",
        licence="CC BY 4.0; each clip CC0, CC BY, CC BY-NC or CC Sampling+",
        counts={"clips": 51197, "classes": 200, "train": 36796, "valid": 4170, "test": 10231},
        read=_read,
    )
)
