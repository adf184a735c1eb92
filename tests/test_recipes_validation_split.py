"""Split of a corpus into clips to learn from and clips to validate on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.recipes.validation_split import train_valid_split


def corpus_of(groups: list[str | None], labels: list[str]) -> Corpus:
    table = clip_table([f"/nowhere/{n}.wav" for n in range(len(groups))], labels, groups=groups)
    return Corpus(name="made", root=Path(), task="single-label", classes=tuple(sorted(set(labels))), table=table)


def test_no_group_is_learned_from_and_validated_on() -> None:
    groups = [f"g{n // 3}" if n < 60 else None for n in range(100)]
    corpus = corpus_of(groups, [("a", "b")[n % 2] for n in range(100)])
    for by_class in (False, True):
        learned, validated = train_valid_split(corpus, 0.1, 3, by_class=by_class)
        assert sorted([*learned, *validated]) == list(range(100))
        assert 5 <= len(validated) <= 15
        of = [{groups[clip] for clip in clips} - {None} for clips in (learned, validated)]
        assert not of[0] & of[1]
        again = train_valid_split(corpus, 0.1, 3, by_class=by_class)
        assert np.array_equal(validated, again[1])
        assert not np.array_equal(validated, train_valid_split(corpus, 0.1, 4, by_class=by_class)[1])
    assert len(train_valid_split(corpus, 0.0, 3, by_class=True)[1]) == 0
    with pytest.raises(CorpusError, match="set validation to 0"):
        train_valid_split(corpus_of(["one"] * 4, ["a"] * 4), 0.1, 0, by_class=False)


def test_a_split_does_not_look_at_labels_unless_asked() -> None:
    groups = [None] * 40
    one, other = corpus_of(groups, ["a"] * 40), corpus_of(groups, ["a", "b"] * 20)
    assert np.array_equal(
        train_valid_split(one, 0.2, 0, by_class=False)[1], train_valid_split(other, 0.2, 0, by_class=False)[1]
    )
