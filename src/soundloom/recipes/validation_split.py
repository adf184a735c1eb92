"""Split of a corpus into clips to learn from and clips to validate on; groups stay together."""

from __future__ import annotations

import hashlib

import numpy as np
from jaxtyping import Int64

from soundloom.corpora import Corpus, CorpusError
from soundloom.corpora.clips import label_pairs
from soundloom.corpora.splits import draw_splits
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset

__all__ = ["check_share", "fingerprint", "groups_of", "train_valid_split"]


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
    groups = np.array([numbers.setdefault(key, len(numbers)) for key in groups_of(corpus)], dtype=np.int64)
    owners, classes = label_pairs(corpus.table, corpus.classes) if by_class else (everything[:0], everything[:0])
    try:
        splits = draw_splits(groups, owners, classes, (1 - share, share, 0.0), seed=seed)
    except ValueError as error:
        raise CorpusError(f"{corpus.name}: {error}; set validation to 0 to do without one") from None
    return np.flatnonzero(splits == 0), np.flatnonzero(splits == 1)


def groups_of(corpus: Corpus) -> list[tuple[str, str]]:
    """The split group of each clip: its `group`, or its file if it has none."""
    named = zip(corpus.column("group"), corpus.column("path"), strict=True)
    return [("path", path) if group is None else ("group", group) for group, path in named]


def fingerprint(corpus: Corpus, dataset: FeatureDataset) -> str:
    """A line that identifies a collection: its name, its size, and a hash of its clips."""
    digest = hashlib.sha256(dataset.lengths.astype("<i8").tobytes())
    for path, labels in zip(corpus.column("path"), corpus.column("labels"), strict=True):
        digest.update(f"\0{path.replace(chr(92), '/').rpartition('/')[2]}\0{labels}".encode(errors="surrogatepass"))
    decoded = int((dataset.lengths > 0).sum())
    return f"{corpus.name}, {decoded} of {len(corpus)} clips heard, {digest.hexdigest()[:16]}"
