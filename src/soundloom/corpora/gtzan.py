"""GTZAN: 1,000 excerpts of 30 seconds, ten genres (Tzanetakis & Cook 2002), with the fault-filtered split.

The set has repeated, mislabelled and distorted excerpts; the fault-filtered lists (Kereliuk, Sturm & Larsen 2015)
leave those out and keep an artist on one side: 443 to train, 197 to validate, 290 to test. With 290 test clips a
score is uncertain by several points. Neither the audio nor the lists come with soundloom: the original address
is dead, and the copy that circulates has an unreadable ``jazz.00054``, which no list of names can show.
"""

from __future__ import annotations

import os

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.files import stem
from soundloom.corpora.table import Corpus

__all__ = ["GTZAN"]

_LISTS = {"train": "train_filtered.txt", "valid": "valid_filtered.txt", "test": "test_filtered.txt"}


def _read(copy: Copy, *, lists: str | os.PathLike[str] = ".") -> Corpus:
    """Read GTZAN.

    Args:
        copy: the set on disk.
        lists: the folder with train_filtered.txt, valid_filtered.txt and test_filtered.txt, below the root
            or anywhere else.
    """
    named = {split: copy.lines(os.path.join(lists, name)) for split, name in _LISTS.items()}
    by_name = {stem(path): path for path in copy.audio()}
    names = [stem(line) for lines in named.values() for line in lines]
    return copy.corpus(
        [by_name.get(name, f"genres/{name.split('.')[0]}/{name}.wav") for name in names],
        [name.split(".")[0] for name in names],
        splits=[split for split, lines in named.items() for _ in lines],
    )


GTZAN = register_corpus(
    CorpusAdapter(
        name="gtzan",
        title="GTZAN genres, fault-filtered",
        task="single-label",
        layout="genres/{genre}/{genre}.{number}.wav (or .au) and the lists {train,valid,test}_filtered.txt",
        address="https://github.com/jongpillee/music_dataset_split (the lists; the audio has no official address "
        "any more)",
        licence="none stated; excerpts of commercial recordings",
        counts={"clips": 930, "classes": 10, "train": 443, "valid": 197, "test": 290},
        read=_read,
    )
)
