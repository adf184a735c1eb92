"""The batched trainer against slow loops, and the probes built on it."""

from __future__ import annotations

import warnings
from functools import partial

import numpy as np
import pytest

from helpers.probe_data import QUICK, clustered
from soundloom.evaluation import (
    PROTOCOLS,
    ChunkSettings,
    FewShotSettings,
    KNNSettings,
    LinearProbeSettings,
    MLPSettings,
    ProbeTraining,
    Protocol,
    ShallowSettings,
    from_folds,
    from_parts,
    knn_probe,
    linear_probe,
    mlp_probe,
)
from soundloom.evaluation.probes import frame_classifier
from soundloom.evaluation.probes import frame_data as framewise
from soundloom.evaluation.probes.common import run_seeds
from soundloom.evaluation.probes.frame_classifier import FiveShotSettings, draw_few, few_shot, five_shot
from soundloom.evaluation.probes.sklearn_mlp import SklearnMLPSettings, sklearn_mlp_probe

THREE = [
    partial(linear_probe, settings=LinearProbeSettings(runs=1, training=ProbeTraining(epochs=60, batch_size=16))),
    partial(mlp_probe, settings=MLPSettings(hidden=32, runs=2, rate=1e-2, training=ProbeTraining(epochs=60))),
    knn_probe,
]


@pytest.mark.parametrize("probe", THREE, ids=["linear", "mlp", "knn"])
def test_probes_learn_what_is_there_and_nothing_else(probe):
    embeddings, labels, folds = clustered(spread=0.05)
    splits = from_folds(folds, labels)
    assert probe(embeddings, labels, splits).mean == 1
    noise = np.random.default_rng(1).standard_normal(embeddings.shape).astype(np.float32)
    assert probe(noise, labels, splits).mean == pytest.approx(0.2, abs=0.12)


@pytest.mark.parametrize("probe", THREE, ids=["linear", "mlp", "knn"])
def test_multi_hot_labels_are_scored_by_macro_map(probe):
    generator = np.random.default_rng(0)
    labels = (generator.random((200, 4)) < 0.4).astype(np.int64)
    embeddings = np.concatenate([labels, labels @ generator.standard_normal((4, 6))], axis=1).astype(np.float32)
    embeddings += 0.05 * generator.standard_normal(embeddings.shape).astype(np.float32)
    score = probe(embeddings, labels, from_folds(np.arange(200) % 3, labels))
    assert score.metric == "mAP"
    assert score.mean > 0.95
    assert set(score.per_class) == {0, 1, 2, 3}


def test_values_and_details_add_up():
    embeddings, labels, folds = clustered(spread=2.0)
    score = mlp_probe(
        embeddings, labels, from_folds(folds, labels), settings=MLPSettings(hidden=8, runs=4, training=QUICK)
    )
    by_split = np.array(score.details.by_split)
    assert by_split.shape == (3, 4)
    np.testing.assert_allclose(by_split.mean(axis=0), score.values)
    confusion = np.array(score.details.confusion)
    assert confusion.sum() == 4 * len(labels)
    assert score.per_class[2] == confusion[2, 2] / confusion[2].sum()


def test_knn_is_the_slow_vote():
    embeddings, labels, folds = clustered(spread=2.0)
    splits = from_folds(folds, labels)
    settings = KNNSettings(k=5, standardised=False)
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)

    def answer(query, known):
        similarity = units[known] @ units[query]
        nearest = np.argsort(-similarity)[:5]
        ranks = {}
        for neighbour in nearest:
            count, total = ranks.get(labels[known[neighbour]], (0, 0.0))
            ranks[labels[known[neighbour]]] = (count + 1, total + similarity[neighbour])
        return max(ranks, key=ranks.get)

    expected = [
        np.mean([answer(query, np.r_[split.train, split.valid]) == labels[query] for query in split.test])
        for split in splits
    ]
    np.testing.assert_allclose(knn_probe(embeddings, labels, splits, settings=settings).values, expected)
    everyone = np.arange(len(labels))
    expected = np.mean([answer(query, np.delete(everyone, query)) == labels[query] for query in everyone])
    assert knn_probe(embeddings, labels, settings=settings).values == (pytest.approx(expected),)


def test_the_perceptron_of_favory_s_code_is_scikit_learn_s_without_validation():
    from sklearn.neural_network import MLPClassifier
    from sklearn.preprocessing import StandardScaler

    embeddings, labels, _ = clustered(spread=2.0)
    named = np.array(["train", "train", "valid", "test", "test"])[np.arange(150) // 5 % 5]
    settings = SklearnMLPSettings(hidden=16, runs=2, epochs=30)
    score = sklearn_mlp_probe(embeddings, labels, from_parts(named, labels), settings=settings, seed=4)
    train, test = named == "train", named == "test"
    scaler = StandardScaler().fit(embeddings[train])
    expected = []
    for run in range(2):
        classifier = MLPClassifier(hidden_layer_sizes=(16,), max_iter=30, random_state=run_seeds(4, 0, 2)[run])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            classifier.fit(scaler.transform(embeddings[train]), labels[train])
        expected.append(classifier.score(scaler.transform(embeddings[test]), labels[test]))
    assert score.details.by_split == [pytest.approx(expected, abs=1e-9)]
    assert score.mean < 1
    # What validates is not looked at, unless it was carved out of training.
    other = embeddings.copy()
    other[named == "valid"] = 0
    again = sklearn_mlp_probe(other, labels, from_parts(named, labels), settings=settings, seed=4)
    assert again.details.by_split == score.details.by_split


# Every row of the table, on frames or clips.

SMALL = {
    "linear": LinearProbeSettings(runs=1, rates=(1e-3, 1e-2), training=QUICK),
    "mlp": MLPSettings(hidden=32, runs=2, rate=1e-2, training=QUICK),
    "sklearn-mlp": SklearnMLPSettings(hidden=32, runs=2),
    "shallow": ShallowSettings(hidden=16, layers=2, rate=1e-2, training=QUICK),
    "few-shot": FewShotSettings(segments=8, classifier=ShallowSettings(hidden=16, rate=1e-2, training=QUICK)),
    "few-shot-5": FiveShotSettings(classifier=ShallowSettings(hidden=16, rate=1e-2, training=QUICK)),
    "chunks": ChunkSettings(hidden=32, top=2, rate=1e-2, training=QUICK),
}


@pytest.mark.parametrize("name", [name for name, row in PROTOCOLS.items() if type(row) is Protocol])
@pytest.mark.parametrize("multi", [False, True], ids=["single", "multi-hot"])
def test_every_protocol_runs_and_hears_an_easy_set(name, multi):
    protocol = PROTOCOLS[name]
    embeddings, labels, folds = clustered(spread=0.3)
    targets = np.eye(5, dtype=np.int64)[labels] if multi else labels
    data = [embeddings, targets]
    if protocol.window is not None:
        clips = np.repeat(np.arange(150), 3)
        jitter = 0.1 * np.random.default_rng(0).standard_normal((450, 12)).astype(np.float32)
        data = [embeddings[clips] + jitter, clips, targets]
    if protocol.splits:
        data.append(from_folds(folds, targets))
    score = protocol.function(*data, settings=SMALL.get(name, protocol.settings()), seed=3)
    assert (score.protocol, score.seed) == (name, 3)
    assert score.mean > 0.85
    assert set(score.per_class) == set(range(5))


def test_clip_means_is_the_slow_mean():
    generator = np.random.default_rng(0)
    clips = generator.integers(0, 6, 50)
    values = generator.random((50, 3))
    wanted = np.array([4, 0, 2])
    expected = [values[clips == clip].mean(axis=0) for clip in wanted]
    np.testing.assert_allclose(framewise.clip_means(values, clips, wanted), expected)


def test_few_shots_are_few_and_of_every_class():
    labels = np.arange(100) % 4
    few = draw_few(np.arange(80), labels, 5, seed=1)
    np.testing.assert_array_equal(np.bincount(labels[few]), [5] * 4)
    assert few.max() < 80
    assert len(draw_few(np.arange(80), labels, 1000)) == 80


def test_few_shots_use_no_label_but_those_of_the_few():
    embeddings, labels, folds = clustered(spread=1.5)
    clips = np.repeat(np.arange(150), 2)
    (split, *_) = from_folds(folds, labels)
    settings = FewShotSettings(segments=5, draws=2, classifier=ShallowSettings(hidden=8, rate=1e-2, training=QUICK))
    first = few_shot(embeddings[clips], clips, labels, [split], settings=settings, seed=1)
    few = {int(clip) for draw in range(2) for clip in draw_few(split.train, labels, 5, seed=(1, 0, draw))}
    others = np.array([clip not in few for clip in range(150)])
    others[split.test] = False
    wrong = np.where(others, (labels + 1) % 5, labels)
    # Labels decide who is drawn; here the draws stay, and the labels of all who were not drawn change.
    with pytest.MonkeyPatch.context() as patch:
        as_before = partial(draw_few, split.train, labels)
        patch.setattr(frame_classifier, "draw_few", lambda _, __, segments, *, seed: as_before(segments, seed=seed))
        again = few_shot(embeddings[clips], clips, wrong, [split], settings=settings, seed=1)
    assert again.details.by_split == first.details.by_split
    assert first.details.trained == [[25, 25]]
    # A single clip a class spares none.
    one = FewShotSettings(segments=1, draws=1, classifier=settings.classifier)
    assert 0 < few_shot(embeddings[clips], clips, labels, [split], settings=one).mean < 1
    five = five_shot(embeddings[clips], clips, labels, [split], settings=FiveShotSettings(draws=1))
    assert (five.protocol, five.details.segments) == ("few-shot-5", 5)
