"""The batched trainer against slow loops, and the probes built on it."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

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
from soundloom.evaluation.probes.batched_mlp import predict, threads_that_pay, train
from soundloom.evaluation.probes.common import run_seeds, standardise_split, train_early_stopped, validate
from soundloom.evaluation.probes.frame_classifier import FiveShotSettings, draw_few, few_shot, five_shot
from soundloom.evaluation.probes.linear import fit
from soundloom.evaluation.probes.sklearn_mlp import SklearnMLPSettings, sklearn_mlp_probe
from soundloom.evaluation.splits import Split
from soundloom.evaluation.standardisation import moments, standardise


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for one another on a busy machine would take most of the time of problems this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


QUICK = ProbeTraining(epochs=12, patience=3, batch_size=16)


def clustered(clips=150, classes=5, dim=12, spread=1.0, seed=0):
    """Embeddings around a centre a class, their labels, and three folds."""
    generator = np.random.default_rng(seed)
    labels = np.arange(clips) % classes
    centres = generator.standard_normal((classes, dim))
    embeddings = centres[labels] + spread * generator.standard_normal((clips, dim))
    return embeddings.astype(np.float32), labels, np.arange(clips) // classes % 3


def parts(multi=False, seed=0):
    embeddings, labels, _ = clustered(seed=seed, spread=1.5)
    features = torch.from_numpy(embeddings)
    targets = torch.from_numpy(np.eye(5, dtype=np.float32)[labels]) if multi else torch.from_numpy(labels)
    return features[:90], targets[:90], features[90:], targets[90:]


def slow_network(features, hidden, classes, generator):
    """A perceptron of torch's own layers, drawn in the trainer's order."""
    layers = []
    for inside, outside in pairwise([features.shape[1], *hidden, classes]):
        layer = nn.Linear(inside, outside)
        with torch.no_grad():
            for parameter in (layer.weight, layer.bias):
                parameter.copy_((2 * torch.rand(parameter.shape, generator=generator) - 1) / inside**0.5)
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def slow_outputs(features, targets, test, seed, settings):
    """Test outputs of a linear classifier after the last epoch."""
    generator = torch.Generator().manual_seed(seed)
    network = slow_network(features, (), 5, generator)
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2, foreach=False)
    for _ in range(settings.epochs):
        for rows in torch.randperm(len(features), generator=generator).split(settings.batch_size):
            optimiser.zero_grad()
            functional.cross_entropy(network(features[rows]), targets[rows]).backward()
            optimiser.step()
    return network(test).detach()


def slow_train(features, targets, valid, valid_targets, hidden, loss, rate, seed, settings, classes=5):
    """One candidate, by torch's own layers and optimiser, drawn in the trainer's order."""
    measure = {
        "softmax": functional.cross_entropy,
        "logistic": functional.binary_cross_entropy_with_logits,
        "huber": functional.huber_loss,
    }[loss]
    generator = torch.Generator().manual_seed(seed)
    network = slow_network(features, hidden, classes, generator)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, foreach=False)
    lowest, best_epoch, best = float("inf"), 0, None
    for epoch in range(1, settings.epochs + 1):
        for rows in torch.randperm(len(features), generator=generator).split(settings.batch_size):
            optimiser.zero_grad()
            measure(network(features[rows]), targets[rows]).backward()
            optimiser.step()
        value = measure(network(valid), valid_targets).item()
        if value < lowest:
            lowest, best_epoch, best = value, epoch, network(valid).detach()
        elif epoch - best_epoch >= settings.patience:
            break
    return lowest, best_epoch, epoch, best


@pytest.mark.parametrize(
    ("hidden", "loss"), [((), "softmax"), ((), "logistic"), ((8,), "softmax"), ((8, 6), "logistic"), ((8,), "huber")]
)
def test_training_all_candidates_at_once_is_training_each_alone(hidden, loss):
    data = parts(multi=loss != "softmax")
    rates, seeds = [3e-3, 0.3], [5, 6, 7]
    settings = ProbeTraining(epochs=40, patience=4, batch_size=16)
    networks = train(*data, classes=5, hidden=hidden, loss=loss, rates=rates, seeds=seeds, settings=settings)
    outputs = predict(networks.parameters, data[2])
    assert len(networks.epochs.unique()) > 1, "all stop together: the test would not see a candidate leave"
    for run, seed in enumerate(seeds):
        for column, rate in enumerate(rates):
            lowest, best_epoch, epochs, best = slow_train(*data, hidden, loss, rate, seed, settings)
            assert networks.best_epoch[run, column] == best_epoch
            assert networks.epochs[run, column] == epochs
            assert networks.loss[run, column] == pytest.approx(lowest, rel=1e-4)
            tolerance = 1e-5 if rate < 0.1 else 1e-3  # a hundred times the step, a hundred times the rounding
            torch.testing.assert_close(outputs[run, column], best, rtol=tolerance, atol=tolerance)


def test_the_best_epoch_is_put_back():
    data = parts()
    networks = train(
        *data,
        classes=5,
        hidden=(),
        loss="softmax",
        rates=[1.0],
        seeds=[0],
        settings=ProbeTraining(epochs=30, patience=5),
    )
    loss = functional.cross_entropy(predict(networks.parameters, data[2])[0, 0], data[3])
    assert loss == pytest.approx(networks.loss.item(), rel=1e-5)


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    train(*parts(), classes=5, hidden=(4,), loss="softmax", rates=[1e-2], seeds=[0], settings=QUICK)
    assert torch.equal(before, torch.get_rng_state())


def test_small_work_takes_one_thread_and_gives_the_others_back():
    torch.set_num_threads(2)
    with threads_that_pay(10):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    with threads_that_pay(10**9):
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize("name", ["epochs", "patience", "batch_size"])
def test_settings_below_one_are_refused(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        ProbeTraining(**{name: 0})


def test_standardised_training_has_no_mean_and_unit_variance_and_constants_stay_zero():
    features = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([1e-3, 1.0, 1e3]) + 7
    features[:, 1] = 0.1
    changed = standardise(features, *moments(features))
    torch.testing.assert_close(changed.mean(0), torch.zeros(3), atol=1e-3, rtol=0)
    torch.testing.assert_close(changed[:, [0, 2]].std(0, correction=0), torch.ones(2), atol=1e-3, rtol=0)
    assert changed[:, 1].abs().max() < 1e-6


def test_linear_probe_reaches_logistic_regression():
    embeddings, labels, folds = clustered(clips=450, spread=1.5)
    splits = from_folds(folds, labels)
    expected = []
    for split in splits:
        known = np.r_[split.train, split.valid]
        mean, scale = embeddings[known].mean(0), embeddings[known].std(0)
        model = LogisticRegression(max_iter=1000).fit((embeddings[known] - mean) / scale, labels[known])
        expected.append(model.score((embeddings[split.test] - mean) / scale, labels[split.test]))
    score = linear_probe(embeddings, labels, splits)
    assert score.mean > np.mean(expected) - 0.03  # 13 clips of 450
    assert len(score.values) == 3
    assert score.interval is not None


def prepared(official=False, **options):
    embeddings, labels, folds = clustered(**options)
    (split, *_) = from_folds(folds, labels)
    return standardise_split(embeddings, labels, replace(split, carved=not official))


def exhaustive(data, settings, seeds):
    return train_early_stopped(data, hidden=(), rates=settings.rates, seeds=seeds, settings=settings.training)


@pytest.mark.parametrize("dim", [12, 300])
def test_the_search_finds_a_rate_as_good_as_an_exhaustive_one_finds(dim):
    data = prepared(dim=dim, spread=2.0 * (dim / 12) ** 0.25)
    settings = LinearProbeSettings(
        rates=(1e-5, 1e-4, 1e-3, 1e-2), runs=1, training=ProbeTraining(epochs=60, batch_size=16)
    )
    fitted = fit(settings, data, [0])
    every = exhaustive(data, settings, [0]).loss[0]
    assert every[settings.rates.index(fitted.rate)] < 1.15 * every.min()
    assert every.max() > 1.25 * every.min(), "all rates are as good: the test would not see a wrong one"


def test_where_the_best_rate_is_far_from_the_usual_one_the_search_goes_there():
    data = prepared()
    settings = LinearProbeSettings(rates=(1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4), runs=1, training=ProbeTraining(epochs=8))
    fitted = fit(settings, data, [0])
    assert fitted.rate == 1e-4
    settings = LinearProbeSettings(rates=(0.1, 100.0, 1000.0, 10000.0, 1e5), runs=1, training=ProbeTraining(epochs=8))
    fitted = fit(settings, data, [0])
    assert fitted.rate == 0.1


def test_halving_drops_the_worse_rates_and_leaves_the_others_as_they_were():
    rates = [1e-4, 1e-3, 1e-2, 1e-1]
    data, settings = parts(), ProbeTraining(epochs=9, patience=9, batch_size=16)
    common = {"classes": 5, "hidden": (), "loss": "softmax", "rates": rates, "seeds": [3], "settings": settings}
    every, halved = train(*data, **common), train(*data, halving_epoch=2, **common)
    assert sorted(halved.epochs[0].tolist()) == [2, 2, 4, 9]
    last = halved.epochs[0].argmax()
    assert last == halved.loss[0].argmin()
    torch.testing.assert_close(halved.loss[0, last], every.loss[0, last])
    for mine, theirs in zip(halved.parameters, every.parameters, strict=True):
        torch.testing.assert_close(mine[0, last], theirs[0, last], rtol=1e-4, atol=1e-5)


def test_carved_validation_chooses_and_then_all_training_clips_are_fitted():
    data = prepared(spread=1.5)
    settings = LinearProbeSettings(rates=(1e-2,), runs=2, training=QUICK)
    fitted = fit(settings, data, [5, 6])
    first = exhaustive(data, settings, [5])
    assert fitted.epochs == [first.best_epoch.item()] * 2
    features, targets = data.whole
    assert len(features) == len(data.train) + len(data.valid)
    for output, seed in zip(fitted.outputs, [5, 6], strict=True):
        slow = slow_outputs(features, targets, data.test, seed, replace(QUICK, epochs=fitted.epochs[0]))
        torch.testing.assert_close(output, slow, rtol=1e-3, atol=1e-4)


def test_official_validation_stops_each_run_and_is_never_fitted():
    data = prepared(official=True, spread=1.5)
    assert data.whole is None
    settings = LinearProbeSettings(rates=(1e-2,), runs=2, training=QUICK)
    fitted = fit(settings, data, [5, 6])
    both = exhaustive(data, settings, [5, 6])
    assert fitted.epochs == both.epochs[:, 0].tolist()
    torch.testing.assert_close(fitted.outputs, predict(both.parameters, data.test)[:, 0], rtol=1e-3, atol=1e-4)


def test_splits_say_whether_their_validation_was_carved():
    _, labels, folds = clustered()
    assert all(split.carved for split in from_folds(folds, labels))
    names = np.array(["train", "train", "test"])[folds]
    assert from_parts(names, labels)[0].carved
    assert not from_parts(np.array(["train", "valid", "test"])[folds], labels)[0].carved
    np.testing.assert_array_equal(from_parts(names, labels)[0].known, np.flatnonzero(names == "train"))


def test_the_number_of_threads_changes_nothing():
    embeddings, labels, folds = clustered(spread=2.0)
    probe = partial(linear_probe, embeddings, labels, from_folds(folds, labels))
    settings = LinearProbeSettings(rates=(1e-3, 1e-2), runs=2, training=QUICK)
    alone = probe(settings=settings)
    torch.set_num_threads(3)
    assert probe(settings=settings) == alone
    assert torch.get_num_threads() == 3


def test_a_probe_gives_the_same_numbers_again_and_others_for_another_seed():
    embeddings, labels, folds = clustered(spread=2.0)
    settings = MLPSettings(hidden=8, runs=3, training=QUICK)
    probe = partial(mlp_probe, embeddings, labels, from_folds(folds, labels), settings=settings)
    assert probe(seed=0) == probe(seed=0)
    assert probe(seed=0).values != probe(seed=1).values


def test_more_runs_leave_the_first_ones_as_they_were():
    embeddings, labels, folds = clustered(spread=2.0)
    splits = from_folds(folds, labels)
    few, many = (
        mlp_probe(embeddings, labels, splits, settings=MLPSettings(hidden=8, runs=runs, training=QUICK))
        for runs in (2, 4)
    )
    assert few.values == pytest.approx(many.values[:2], abs=0.02)  # rounding may turn a clip


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


# Refusals.


def cut():
    return Split("a", np.arange(0, 100), np.arange(100, 120), np.arange(120, 150))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda e, y: (e[:, 0], y), r"must be \[clips, dim\].*average frames over time first"),
        (lambda e, y: (e[:-1], y), "labels are of 150 clips, the embeddings of 149"),
        (lambda e, y: (e.astype(int), y), "must be floating point, got int64"),
        (lambda e, y: (np.where(np.arange(150)[:, None] == 3, np.nan, e), y), r"1 clips are not finite \(rows 3\)"),
        (lambda e, y: (np.where(e > 0, np.inf, -np.inf), y), "150 clips are not finite"),
        (lambda e, y: (e, np.zeros_like(y)), r"trains on 1 class\(es\); a classifier needs at least 2"),
        (lambda e, y: (e, y + 5 * np.isin(np.arange(150), cut().test)), "tests none of the classes it trains on"),
    ],
)
def test_what_cannot_be_probed_is_refused(change, message):
    embeddings, labels, _ = clustered()
    with pytest.raises(ValueError, match=message):
        validate(*change(embeddings, labels), [cut()])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: LinearProbeSettings(rates=()), "rates must be positive and ascending"),
        (lambda: LinearProbeSettings(rates=(1e-2, 1e-3)), "rates must be positive and ascending"),
        (lambda: LinearProbeSettings(runs=0), "runs must be at least 1"),
        (lambda: MLPSettings(hidden=0), "hidden must be positive, got 0"),
        (lambda: ShallowSettings(rate=0.0), "rate must be positive"),
        (lambda: ChunkSettings(top=0), "top must be positive"),
        (lambda: FewShotSettings(draws=0), "at least 1 segment and 1 draw"),
        (lambda: KNNSettings(k=0), "k must be at least 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f, c: (f, c[:-1]), "the clip's index of each of the 300 frames"),
        (lambda f, c: (f, c + 1), "frames name clips 1 to 150, there are labels of 150"),
        (lambda f, c: (f[c != 7], c[c != 7]), r"1 clips of split 'a' have no frame \(clips 7\)"),
    ],
)
def test_frames_that_do_not_belong_to_the_clips_are_refused(change, message):
    embeddings, labels, _ = clustered()
    clips = np.repeat(np.arange(150), 2)
    with pytest.raises(ValueError, match=message):
        framewise.validate(*change(embeddings[clips], clips), labels, [cut()])
