"""Split of a corpus into clips to learn from and clips to validate on; groups stay together.

Clips of recordings that a test collection holds can be left out first, by the numbers of their Freesound recordings:
these stay in addresses such as ``https://freesound.org/s/202517/``, or are the group of a clip (ESC-50, whose groups
are nothing else).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from soundloom import corpora
from soundloom.corpora import Corpus, CorpusError
from soundloom.corpora.clips import label_pairs
from soundloom.corpora.splits import draw_splits
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset

__all__ = ["check_share", "fingerprint", "recordings_of", "train_valid_split", "without_recordings"]

_ADDRESS = re.compile(r"freesound\.org/(?:people/[^/\s]+/sounds/|s/)(\d+)")


def check_share(validation: float) -> None:
    """Refuse a share of clips to validate on that would leave none to learn from.

    Raises:
        InvalidArgumentError: it is not from 0 to below 1.
    """
    if not 0 <= validation < 1:
        raise InvalidArgumentError(f"validation must be a share from 0 to below 1, got {validation}")


def train_valid_split(
    corpus: Corpus, share: float, seed: int, *, by_class: bool
) -> tuple[Int64[np.ndarray, " learned"], Int64[np.ndarray, " validated"]]:
    """The clips to learn from and those to validate on, by their places; no group and no file in both.

    Args:
        corpus: the clips.
        share: of them to validate on; 0 for none.
        seed: of the draw.
        by_class: keep every class at its share, too; else labels are not looked at.

    Raises:
        CorpusError: there are fewer than two groups to part.
    """
    everything = np.arange(len(corpus))
    if share == 0:
        return everything, everything[:0]
    numbers: dict[tuple[str, str], int] = {}
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in corpus.split_groups()], dtype=np.int64)
    owners, classes = label_pairs(corpus.table, corpus.classes) if by_class else (everything[:0], everything[:0])
    try:
        splits = draw_splits(groups, owners, classes, (1 - share, share, 0.0), seed=seed)
    except ValueError as error:
        raise CorpusError(f"{corpus.name}: {error}; set validation to 0 to do without one") from None
    return np.flatnonzero(splits == 0), np.flatnonzero(splits == 1)


def fingerprint(corpus: Corpus, dataset: FeatureDataset) -> str:
    """A line that identifies a collection: its name, its size, and a hash of its clips."""
    digest = hashlib.sha256(dataset.lengths.astype("<i8").tobytes())
    for path, labels in zip(corpus.column("path"), corpus.column("labels"), strict=True):
        digest.update(f"\0{path.replace(chr(92), '/').rpartition('/')[2]}\0{labels}".encode(errors="surrogatepass"))
    decoded = int((dataset.lengths > 0).sum())
    return f"{corpus.name}, {decoded} of {len(corpus)} clips heard, {digest.hexdigest()[:16]}"


def recordings_of(corpus: Corpus) -> list[set[str]]:
    """The numbers of the Freesound recordings of each clip; empty where none is named."""
    texts = [corpus.column(field.name) for field in corpus.table.schema if pa.types.is_string(field.type)]
    groups = [group or "" for group in corpus.column("group")]
    numbered = bool(groups) and all(group.isdigit() for group in groups)
    return [
        set(_ADDRESS.findall(" ".join(text or "" for text in row))) | ({group} if numbered else set())
        for group, row in zip(groups, zip(*texts, strict=True), strict=True)
    ]


def without_recordings(corpus: Corpus, others: Sequence[str]) -> tuple[Corpus, list[str]]:
    """A corpus without the clips of recordings that other collections hold.

    Args:
        corpus: the clips.
        others: collections, each as CORPUS=ROOT.

    Returns:
        The clips that are left, and the paths of those that are not.

    Raises:
        CorpusError: a collection cannot be read or names no recordings, or no clip is left.
    """
    taken: set[str] = set()
    for text in others:
        name, _, root = text.partition("=")
        found = set().union(*recordings_of(corpora.load(name, root) if root else corpora.load(text)))
        if not found:
            raise CorpusError(f"{text} names no Freesound recordings: shared recordings cannot be found by them")
        taken |= found
    kept = [not numbers & taken for numbers in recordings_of(corpus)]
    if not any(kept):
        raise CorpusError(f"{corpus.name}: every clip is of a recording that is in {', '.join(others)}")
    left_out = [path for path, mine in zip(corpus.column("path"), kept, strict=True) if not mine]
    return replace(corpus, table=corpus.table.filter(pa.array(kept))), left_out
