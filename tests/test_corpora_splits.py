"""Grouped splits: whole groups, all clips, right sizes, even classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from soundloom.corpora.splits import canonical_split, draw_splits


def deal(groups, labels, fractions, seed=0):
    groups, labels = np.asarray(groups, dtype=np.int64), np.asarray(labels, dtype=np.int64)
    return draw_splits(groups, np.arange(len(groups)), labels, fractions, seed=seed)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=3, max_size=40), st.integers(0, 5))
def test_no_group_is_cut_and_no_split_is_empty(groups_of, seed):
    groups = np.repeat(np.arange(len(groups_of)), [size for size, _ in groups_of])
    labels = np.repeat([label for _, label in groups_of], [size for size, _ in groups_of])
    splits = deal(groups, labels, (0.6, 0.2, 0.2), seed)
    assert set(splits) == {0, 1, 2}
    for group in range(len(groups_of)):
        assert len(set(splits[groups == group])) == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), min_size=30, max_size=80), st.integers(0, 5))
def test_sizes_are_within_one_group_of_their_shares(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    splits = deal(groups, np.zeros(len(groups)), (0.7, 0.15, 0.15), seed)
    due = np.array([0.7, 0.15, 0.15]) * len(groups)
    assert (np.abs(np.bincount(splits, minlength=3) - due) <= max(sizes)).all()


def test_single_clips_are_dealt_in_exact_proportion_in_every_class():
    labels = np.repeat(np.arange(5), 100)
    splits = deal(np.arange(500), labels, (0.7, 0.2, 0.1))
    for label in range(5):
        assert np.bincount(splits[labels == label]).tolist() == [70, 20, 10]


def test_classes_are_spread_evenly_where_groups_mix_them():
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(200), 10)
    labels = generator.choice(4, size=2000, p=[0.55, 0.25, 0.15, 0.05])
    splits = deal(groups, labels, (0.6, 0.2, 0.2))
    for label in range(4):
        shares = np.bincount(splits[labels == label], minlength=3) / (labels == label).sum()
        assert np.abs(shares - [0.6, 0.2, 0.2]).max() < 0.03


def test_a_class_that_one_group_holds_does_not_swell_the_largest_split():
    # Every clip its own group and its own class: nothing can be stratified, so the sizes alone decide.
    splits = deal(np.arange(100), np.arange(100), (0.8, 0.1, 0.1))
    assert np.bincount(splits).tolist() == [80, 10, 10]


def test_equal_groups_follow_the_published_numbers_of_actors():
    groups = np.repeat(np.arange(91), 6)
    splits = deal(groups, np.tile(np.arange(6), 91), (63 / 91, 9 / 91, 19 / 91))
    assert [len(set(groups[splits == split])) for split in range(3)] == [63, 9, 19]


def test_same_seed_same_splits_other_seed_others():
    labels = np.zeros(60)
    first, again, other = (deal(np.arange(60), labels, (0.5, 0.25, 0.25), seed) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_clips_without_labels_are_dealt_by_size():
    nothing = np.empty(0, dtype=np.int64)
    splits = draw_splits(np.arange(10), nothing, nothing, (0.5, 0.0, 0.5), seed=0)
    assert np.bincount(splits, minlength=3).tolist() == [5, 0, 5]


def test_three_groups_fill_three_splits_however_small_the_shares():
    splits = deal([0, 1, 2], [0, 0, 0], (0.98, 0.01, 0.01))
    assert sorted(splits) == [0, 1, 2]


@pytest.mark.parametrize("fractions", [(0.5, 0.2, 0.2), (1.2, -0.1, -0.1)])
def test_shares_must_make_a_whole(fractions):
    with pytest.raises(ValueError, match="sum to one"):
        deal([0, 1, 2], [0, 0, 0], fractions)


def test_fewer_groups_than_splits_are_refused():
    with pytest.raises(ValueError, match=r"2 groups of sounds .* cannot be divided into 3 splits"):
        deal([0, 0, 1], [0, 1, 0], (0.6, 0.2, 0.2))


def test_spellings_of_splits():
    assert [canonical_split(name) for name in ("Training", "val", "eval", "dev", "fold1", "")] == [
        "train",
        "valid",
        "test",
        "valid",
        None,
        None,
    ]
