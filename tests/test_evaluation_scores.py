"""Metrics against scikit-learn and slow loops; intervals; splits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch
from sklearn import metrics

from soundloom.evaluation import scores, splits
from soundloom.evaluation.retrieval.average_precision import average_precision


@pytest.fixture
def random() -> np.random.Generator:
    """The same numbers for every test, whichever tests run before it."""
    return np.random.default_rng(0)


@pytest.mark.parametrize("levels", [2, 5, 1000], ids=["heavy ties", "ties", "hardly any tie"])
def test_average_precision_is_scikit_learns_whatever_the_ties(levels, random):
    values = random.integers(0, levels, (20, 57)).astype(np.float32)
    relevant = random.random((20, 57)) < 0.3
    ours = average_precision(torch.from_numpy(values), torch.from_numpy(relevant))
    theirs = [metrics.average_precision_score(hit, value) for hit, value in zip(relevant, values, strict=True)]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_average_precision_of_a_list_with_nothing_relevant_is_nan():
    assert average_precision(torch.randn(4), torch.zeros(4, dtype=torch.bool)).isnan()


def test_average_precision_of_one_item_is_one():
    assert average_precision(torch.zeros(1), torch.ones(1, dtype=torch.bool)) == 1


@pytest.mark.parametrize("degrees", [1, 2, 3, 4, 9, 29, 100])
def test_t_quantile_is_scipys(degrees):
    assert scores.t_quantile(degrees) == pytest.approx(scipy.stats.t.ppf(0.975, degrees), rel=1e-9)


def test_interval_is_that_of_the_mean():
    values = [0.5, 0.6, 0.55, 0.58]
    low, high = scipy.stats.t.interval(0.95, 3, np.mean(values), scipy.stats.sem(values))
    score = scores.summarise("p", "accuracy", values, seed=0)
    assert (score.mean - score.interval, score.mean + score.interval) == pytest.approx((low, high))


def test_a_single_value_has_no_interval():
    score = scores.summarise("p", "accuracy", [0.5], seed=0)
    assert score.interval is None
    assert str(score) == "p: accuracy 0.5000"


def test_no_values_are_refused():
    with pytest.raises(ValueError, match="no values"):
        scores.summarise("p", "accuracy", [], seed=0)


def test_single_label_metrics_are_scikit_learns(random):
    predictions, labels = random.random((80, 7)), random.integers(0, 7, 80)
    assert scores.accuracy(predictions, labels) == metrics.accuracy_score(labels, predictions.argmax(1))
    for k in (1, 3, 6):
        expected = metrics.top_k_accuracy_score(labels, predictions, k=k, labels=np.arange(7))
        assert scores.top_k_accuracy(predictions, labels, k) == pytest.approx(expected)
    confusion = scores.confusion_matrix(predictions, labels)
    np.testing.assert_array_equal(confusion, metrics.confusion_matrix(labels, predictions.argmax(1)))
    expected = metrics.recall_score(labels, predictions.argmax(1), average=None)
    np.testing.assert_allclose(list(scores.recalls(confusion).values()), expected)


def test_macro_map_leaves_out_classes_that_no_clip_has(random):
    predictions, labels = random.random((60, 4)), (random.random((60, 4)) < 0.3).astype(int)
    labels[:, 2] = 0
    kept = [0, 1, 3]
    expected = metrics.average_precision_score(labels[:, kept], predictions[:, kept], average="macro")
    assert scores.macro_map(predictions, labels) == pytest.approx(expected)
    assert np.isnan(scores.average_precisions(predictions, labels)[2])


def test_top_k_of_multi_hot_labels_counts_any_class_of_the_clip():
    predictions = np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [3.0, 2.0, 1.0]])
    labels = np.array([[0, 1, 1], [0, 0, 1], [0, 0, 0]])  # hit by the second; missed; nothing to hit
    assert scores.top_k_accuracy(predictions, labels, 2) == 0.5


@pytest.mark.parametrize(
    ("predictions", "labels", "message"),
    [
        (np.zeros((3, 2)), np.array([0, 1]), "labels are of 2 clips, the embeddings of 3"),
        (np.zeros((2, 2)), np.array([0, 2]), "labels speak of 3 classes, predictions of 2"),
        (np.full((2, 2), np.nan), np.array([0, 1]), "2 clips have predictions that are nan"),
        (np.zeros((2, 2)), np.array([0, -1]), "counted from 0, got -1"),
        (np.zeros((2, 2)), np.array([0.0, 1.0]), "must be integers, got float64"),
        (np.zeros((2, 2)), np.array([[0, 2], [1, 0]]), r"must be 0 or 1, got \[2\]"),
        (np.zeros((0, 2)), np.zeros(0, int), "at least one of each"),
    ],
)
def test_predictions_and_labels_that_do_not_belong_together_are_refused(predictions, labels, message):
    with pytest.raises(ValueError, match=message):
        scores.validate(predictions, labels)


def test_nothing_to_rank_is_refused(random):
    with pytest.raises(ValueError, match="nothing to rank"):
        scores.macro_map(random.random((3, 2)), np.zeros((3, 2), int))


# Splits.

LABELS = np.repeat(np.arange(5), 40)
FOLDS = np.tile(np.arange(1, 6), 40)


def test_folds_stay_as_they_are_and_validation_comes_from_training():
    for split, fold in zip(splits.from_folds(FOLDS, LABELS), range(1, 6), strict=True):
        np.testing.assert_array_equal(split.test, np.flatnonzero(fold == FOLDS))
        np.testing.assert_array_equal(np.sort(np.r_[split.train, split.valid]), np.flatnonzero(fold != FOLDS))
        np.testing.assert_array_equal(np.bincount(LABELS[split.valid]), [3] * 5)  # a tenth of 32
        assert split.name == str(fold)


def test_named_parts_stay_as_they_are():
    parts = np.array(["train", "valid", "test", "", "train", "test"])
    (split,) = splits.from_parts(parts, np.array([0, 0, 1, 0, 1, 0]))
    assert (split.train.tolist(), split.valid.tolist(), split.test.tolist()) == ([0, 4], [1], [2, 5])


def test_validation_is_carved_where_a_set_names_none():
    parts = np.where(np.arange(200) % 4 == 0, "test", "train")
    (split,) = splits.from_parts(parts, LABELS)
    assert not np.isin(split.valid, np.flatnonzero(parts == "test")).any()
    assert len(split.valid) == 15


def test_groups_are_not_torn_apart():
    groups = np.arange(200) // 4
    train, valid = splits.carve(np.arange(200), LABELS, groups=groups, fraction=0.2)
    assert not set(groups[train]) & set(groups[valid])
    np.testing.assert_array_equal(np.bincount(LABELS[valid]), [8] * 5)


def test_a_class_of_one_group_stays_in_training():
    groups = np.where(LABELS == 4, 1000, np.arange(200))
    train, valid = splits.carve(np.arange(200), LABELS, groups=groups)
    assert (LABELS[train] == 4).sum() == 40
    assert set(LABELS[valid]) == {0, 1, 2, 3}


def test_multi_hot_validation_serves_rare_classes(random):
    labels = random.random((500, 6)) < np.array([0.5, 0.3, 0.2, 0.1, 0.05, 0.02])
    train, valid = splits.carve(np.arange(500), labels, fraction=0.2)
    assert labels[train].any(axis=0).all()
    assert (labels[valid].sum(axis=0) >= np.round(0.2 * labels.sum(axis=0))).all()


def test_the_draw_follows_the_seed():
    first, again, other = (splits.carve(np.arange(200), LABELS, seed=seed)[1].tolist() for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: splits.from_folds(np.ones(200), LABELS), "at least two folds"),
        (lambda: splits.from_parts(np.repeat(["train", "tst"], 100), LABELS), r"got \['tst'\]"),
        (lambda: splits.from_parts(np.repeat("train", 200), LABELS), "test part of split 'test' is empty"),
        (lambda: splits.carve(np.arange(200), LABELS, fraction=1.0), "between 0 and 1, got 1.0"),
        (lambda: splits.carve(np.arange(5), np.arange(5)), "no validation part can be carved"),
        (lambda: splits.validate([], 3), "no split given"),
        (
            lambda: splits.validate([splits.Split("a", np.array([0, 1]), np.array([1]), np.array([2]))], 3),
            "two of its parts",
        ),
        (
            lambda: splits.validate([splits.Split("a", np.array([0]), np.array([1]), np.array([9]))], 3),
            "made for another corpus",
        ),
    ],
)
def test_unclean_splits_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_where_no_group_can_be_spared_clips_are_drawn_singly():
    labels = np.tile(np.arange(10), 6)  # three groups, each with every class twice, and a class of its own
    groups = np.repeat(["a", "b", "c"], 20)
    labels = np.concatenate([labels, [10, 10, 11, 11, 12, 12]])
    groups = np.concatenate([groups, ["a", "a", "b", "b", "c", "c"]])
    train, valid = splits.carve(np.arange(66), labels, groups=groups)
    assert len(valid) > 0
    assert set(labels[train]) == set(range(13))
