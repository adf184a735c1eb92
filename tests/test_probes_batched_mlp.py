"""Training of all candidates at once, compared with each alone, and the search of the learning rate."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn import functional

from helpers.probe_data import QUICK, clustered
from soundloom.evaluation import (
    LinearProbeSettings,
    MLPSettings,
    ProbeTraining,
    from_folds,
    from_parts,
    linear_probe,
    mlp_probe,
)
from soundloom.evaluation.probes.batched_mlp import Perceptron, predict, threads_that_pay, train
from soundloom.evaluation.probes.common import standardise_split, train_early_stopped
from soundloom.evaluation.probes.linear import fit
from soundloom.evaluation.standardisation import moments, standardise

LINEAR = Perceptron(classes=5, loss="softmax")


@pytest.fixture(autouse=True)
def one_thread():
    """Threads that wait for one another on a busy machine would take most of the time of problems this small."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
    network = Perceptron(classes=5, hidden=hidden, loss=loss)
    networks = train(*data, network, rates=rates, seeds=seeds, settings=settings)
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
    networks = train(*data, LINEAR, rates=[1.0], seeds=[0], settings=ProbeTraining(epochs=30, patience=5))
    loss = functional.cross_entropy(predict(networks.parameters, data[2])[0, 0], data[3])
    assert loss == pytest.approx(networks.loss.item(), rel=1e-5)


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    train(*parts(), replace(LINEAR, hidden=(4,)), rates=[1e-2], seeds=[0], settings=QUICK)
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
    search = partial(train, *data, LINEAR, rates=rates, seeds=[3], settings=settings)
    every, halved = search(), search(halving_epoch=2)
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
