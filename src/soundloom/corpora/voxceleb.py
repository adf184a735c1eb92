"""VoxCeleb1, speaker identification: 153,516 utterances of 1,251 speakers (Nagrani, Chung & Zisserman 2017).

The parting is the published one, ``iden_split.txt``: all speakers in every split, no video in two. Verification
(pairs of utterances) is another task and is not read here.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["VOXCELEB1"]

_SPLITS = {"1": "train", "2": "valid", "3": "test"}


def _read(copy: Copy) -> Corpus:
    lines = [line.split() for line in copy.lines("iden_split.txt")]
    strange = [line for line in lines if len(line) != 2 or line[0] not in _SPLITS or line[1].count("/") != 2]
    if strange:
        raise copy.error("lines like '1 id10001/video/00001.wav' in iden_split.txt", " ".join(strange[0]))
    files = [file for _, file in lines]
    return copy.corpus(
        [f"wav/{file}" for file in files],
        [file.split("/")[0] for file in files],
        splits=[_SPLITS[number] for number, _ in lines],
        groups=[file.rsplit("/", 1)[0] for file in files],
    )


VOXCELEB1 = register_corpus(
    CorpusAdapter(
        name="voxceleb1",
        title="VoxCeleb1 speaker identification",
        task="single-label",
        layout="iden_split.txt and wav/{speaker}/{video}/{number}.wav (dev and test parts merged)",
        address="https://www.robots.ox.ac.uk/~vgg/data/voxceleb/vox1.html",
        licence="lists CC BY 4.0; the videos are their owners'",
        counts={"clips": 153516, "classes": 1251, "train": 138361, "valid": 6904, "test": 8251},
        read=_read,
    )
)
