"""Scores of every layer of an encoder, and which two to fuse."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from helpers.small_evaluations import QUICK, quick_runs, render_families
from soundloom import corpora
from soundloom.embedder import Stream
from soundloom.encoders import Encoder
from soundloom.errors import ModelError
from soundloom.evaluation.analysis.layers import (
    all_layers,
    choose,
    curves,
    evaluate_layers,
    layered_streams,
    single_layers,
)
from soundloom.evaluation.results import EvaluationError
from soundloom.frontends import LogMel
from soundloom.models import MODELS, load, save_pretrained


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return render_families(tmp_path_factory.mktemp("sounds"))


@pytest.fixture
def run(tmp_path):
    return quick_runs(tmp_path / "cache")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))


class Pyramid(Encoder):
    """Three layers of different channels, bins and frames, one of them without a time axis."""

    available = (1, 2, 3)
    stride = 4

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.5))

    def layers(self, representation, wanted):
        self.check_wanted(wanted)
        first = representation * self.scale
        second = nn.functional.avg_pool2d(first, 2).repeat(1, 3, 1, 1)
        third = second.amax(dim=(2, 3), keepdim=True)
        return [(first, second, third)[layer - 1] for layer in wanted]


def pyramid(*layers, pooling="mean"):
    return Stream("pyramid", LogMel.jansen(), Pyramid(), layers=layers, pooling=pooling, min_samples=1600)


@pytest.mark.parametrize("pooling", ["mean", "max", "mean+max", "mean,deviation"])
def test_a_layer_on_its_own_is_its_columns_of_all_layers(pooling):
    stream = pyramid(1, 2, 3, pooling=pooling)
    samples = np.random.default_rng(0).normal(0, 0.1, 12345).astype(np.float32)
    everything = stream.embed(samples)
    singles = single_layers(stream)
    assert list(singles) == [1, 2, 3]
    for alone, columns in singles.values():
        np.testing.assert_array_equal(alone.embed(samples), everything[columns])
    together = np.sort(np.concatenate([columns for _, columns in singles.values()]))
    np.testing.assert_array_equal(together, np.arange(stream.dim))


def test_the_parts_of_a_woven_model_that_have_layers():
    found = layered_streams(load())
    assert [stream.name for stream in found] == ["timbre#1#2#3#4#5#6", "general#1#2#3#4#5"]


def test_all_layers_of_a_published_architecture_in_one_pass():
    every = all_layers(load("coala", weights="random"))
    samples = np.random.default_rng(0).normal(0, 0.1, 60_000).astype(np.float32)
    everything = every.embed(samples)
    singles = single_layers(every)
    assert list(singles) == list(every.encoder.available)
    for layer, (alone, columns) in singles.items():
        by_name = load(f"coala#{layer}", weights="random")
        assert (alone.name, alone.fingerprint()) == (by_name.name, by_name.fingerprint())
        np.testing.assert_array_equal(by_name.embed(samples), everything[columns])


def test_layers_are_heard_once_and_measured_as_models_of_their_own(sounds, tmp_path, extracted_lengths, run):
    corpus = corpora.load(sounds)
    stream = pyramid(1, 2, 3)
    results = evaluate_layers(stream, corpus, "knn", settings={"knn": QUICK["knn"]}, cache=tmp_path / "layers")
    assert len(extracted_lengths) == 32
    for layer, result in results.items():
        alone = run(single_layers(stream)[layer][0], corpus)
        assert alone.model == f"pyramid#{layer}"
        assert (result.model, result.fingerprint, result.dim) == (alone.model, alone.fingerprint, alone.dim)
        assert result.scores == alone.scores
        assert result.measurements["knn"].config == alone.measurements["knn"].config
    found = curves(results.values())
    assert {key: {task: list(curve) for task, curve in tasks.items()} for key, tasks in found.items()} == {
        ("pyramid", "knn"): {"folder": [1, 2, 3]}
    }


def test_layers_need_layers_and_a_protocol_on_clips(sounds):
    corpus = corpora.load(sounds)
    with pytest.raises(
        EvaluationError, match="'logmel' has no layers to compare: the encoder of logmel, Identity, has a single"
    ):
        layered_streams(load("logmel"))
    with pytest.raises(EvaluationError, match="names layers already"):
        all_layers(load("coala#3", weights="random"))
    with pytest.raises(EvaluationError, match="woven of logmel, mfcc: layers are of a single stream"):
        all_layers(load("logmel+mfcc"))
    with pytest.raises(EvaluationError, match=r"encoder of logmel, Identity, .*; the encoder of mfcc"):
        layered_streams(load("logmel+mfcc"))
    with pytest.raises(EvaluationError, match="woven of logmel, mfcc: layers are of a single stream"):
        evaluate_layers(load("logmel+mfcc"), corpus)
    with pytest.raises(EvaluationError, match="is not a stream of named layers"):
        evaluate_layers(load("coala", weights="random"), corpus)
    stream = pyramid(1, 2)
    with pytest.raises(EvaluationError, match=r"a protocol on clips, of .*linear"):
        evaluate_layers(stream, corpus, "shallow")


def test_layers_of_a_saved_model(tmp_path):
    model = load("coala", weights="random")
    save_pretrained(model, tmp_path / "mine")
    samples = np.random.default_rng(0).normal(0, 0.1, 60_000).astype(np.float32)
    fused = load(f"{tmp_path / 'mine'}#2#4")
    np.testing.assert_array_equal(fused.embed(samples), load("coala#2#4", weights="random").embed(samples))
    assert fused.name == "coala#2#4"
    assert all_layers(load(str(tmp_path / "mine"))).wanted == MODELS["coala"].layers
    with pytest.raises(ModelError, match="there is no layer"):
        load(f"{tmp_path / 'mine'}#99")


def test_single_results_are_no_curve(sounds, run):
    assert curves([run(load("logmel"), corpora.load(sounds))]) == {}


# Table III and figures 2 to 4 of Niizumi 2022 in miniature: environmental tasks peak late, speech in the middle.
LAYERS = (2, 5, 8, 10, 13, 15, 18, 20, 22)


VGGISH = {
    "esc50": dict(zip(LAYERS, (0.40, 0.55, 0.65, 0.75, 0.80, 0.83, 0.80, 0.75, 0.68), strict=True)),
    "gtzan": dict(zip(LAYERS, (0.40, 0.50, 0.60, 0.65, 0.70, 0.72, 0.74, 0.73, 0.75), strict=True)),
    "speech-commands": dict(zip(LAYERS, (0.60, 0.75, 0.88, 0.91, 0.89, 0.80, 0.50, 0.30, 0.14), strict=True)),
    "voxceleb1": dict(zip(LAYERS, (0.30, 0.40, 0.50, 0.52, 0.48, 0.40, 0.20, 0.12, 0.09), strict=True)),
}


def test_the_middle_and_the_late_layer_are_those_of_the_paper():
    choice = choose(VGGISH)
    assert (choice.middle, choice.late) == (10, 15)
    assert choice.late_tasks == ("esc50", "gtzan")
    assert choice.middle_tasks == ("speech-commands", "voxceleb1")
    assert choice.late_means[15] == pytest.approx((0.83 + 0.72) / 2)
    assert list(choice.middle_means) == list(LAYERS)


def test_the_middle_layer_of_an_odd_number_is_not_late():
    assert choose({"task": {1: 0.1, 2: 0.9, 3: 0.2}}).middle == 2
    assert choose({"task": {1: 0.1, 2: 0.2, 3: 0.9}}).late == 3
    assert choose({"task": {1: 0.1, 2: 0.9}}).late == 2


def test_of_equal_layers_the_earlier_counts():
    choice = choose({"task": {1: 0.1, 2: 0.9, 3: 0.5, 4: 0.9}})
    assert (choice.middle, choice.late, choice.late_means) == (2, None, {})


def test_averages_decide_even_where_a_middle_task_is_best_served_late():
    tasks = {"a": {1: 0.9, 2: 0.0, 3: 0.0, 4: 0.85}, "b": {1: 0.0, 2: 0.9, 3: 0.0, 4: 0.85}}
    choice = choose(tasks)
    assert choice.middle_tasks == ("a", "b")
    assert choice.middle == 4


def test_tasks_on_different_layers_cannot_be_compared():
    with pytest.raises(ValueError, match="measured on the same layers"):
        choose({"a": {1: 0.5, 2: 0.5}, "b": {1: 0.5}})
    with pytest.raises(ValueError, match="measured on the same layers"):
        choose({})
