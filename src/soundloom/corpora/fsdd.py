"""The Free Spoken Digit Dataset: 3,000 recordings, ten digits by six speakers, fifty takes of each.

Officially takes 0 to 4 are the test set. Then every speaker is known from training, which flatters a representation
that remembers voices: for digits, ``disjoint="speakers"`` gives six folds instead, a speaker each.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus, CorpusError

__all__ = ["FSDD_DIGITS", "FSDD_SPEAKERS"]

_NAME = r"(?P<digit>\d)_(?P<speaker>[^_/]+)_(?P<take>\d+)\.\w+"
_TEST_TAKES = 5


def _read_digits(copy: Copy, *, disjoint: str = "takes") -> Corpus:
    """Read the digits.

    Args:
        copy: the set on disk.
        disjoint: "takes" for the official test set, "speakers" for a fold per speaker.
    """
    if disjoint not in ("takes", "speakers"):
        raise CorpusError(f"fsdd-digits: disjoint is 'takes' or 'speakers', got {disjoint!r}")
    return _read(copy, "digit", disjoint)


def _read_speakers(copy: Copy) -> Corpus:
    return _read(copy, "speaker", "takes")


def _read(copy: Copy, label: str, disjoint: str) -> Corpus:
    found = copy.matching(_NAME, folder="recordings")
    speakers = sorted({about["speaker"] for _, about in found})
    takes = [int(about["take"]) for _, about in found]
    by_take = ["test" if take < _TEST_TAKES else "train" for take in takes]
    by_speaker = [speakers.index(about["speaker"]) + 1 for _, about in found]
    return copy.corpus(
        [file for file, _ in found],
        [about[label] for _, about in found],
        splits=by_take if disjoint == "takes" else None,
        folds=by_speaker if disjoint == "speakers" else None,
        groups=[about["speaker"] for _, about in found],
        extra={"take": takes},
    )


FSDD_DIGITS = register_corpus(
    CorpusAdapter(
        name="fsdd-digits",
        title="Free Spoken Digit Dataset, digits",
        task="single-label",
        layout="recordings/{digit}_{speaker}_{take}.wav",
        address="https://github.com/Jakobovski/free-spoken-digit-dataset",
        licence="CC BY-SA 4.0",
        counts={"clips": 3000, "classes": 10, "groups": 6},
        read=_read_digits,
    )
)

FSDD_SPEAKERS = register_corpus(
    CorpusAdapter(
        name="fsdd-speakers",
        title="Free Spoken Digit Dataset, speakers",
        task="single-label",
        layout=FSDD_DIGITS.layout,
        address=FSDD_DIGITS.address,
        licence=FSDD_DIGITS.licence,
        counts={"clips": 3000, "classes": 6, "train": 2700, "test": 300},
        read=_read_speakers,
    )
)
