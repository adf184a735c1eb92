"""Analyses of embeddings: ablation, correlation with acoustic statistics, projection."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from helpers.small_evaluations import quick_runs, render_families
from soundloom import audio, corpora
from soundloom.evaluation import (
    extraction,
)
from soundloom.evaluation.acoustic_features import acoustic_statistics
from soundloom.evaluation.analysis.correlation import correlation_analysis
from soundloom.evaluation.analysis.projection import principal_components
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.models import load


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return render_families(tmp_path_factory.mktemp("sounds"))


@pytest.fixture
def run(tmp_path):
    return quick_runs(tmp_path / "cache")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))


def test_an_ablation_measures_every_subset(sounds, run):
    model, corpus = load("logmel+mfcc"), corpora.load(sounds)
    result = run(model, corpus, ["linear", "ablation"])
    details = result.scores["ablation"].details
    assert list(details.subsets) == ["logmel", "mfcc", "logmel+mfcc"]
    assert result.scores["ablation"].values == result.scores["linear"].values
    assert details.chance == 0.25
    shares = sum(each.shapley for each in details.contributions.values())
    assert shares == pytest.approx(result.scores["linear"].mean - 0.25)
    alone = run(load("mfcc"), corpus, "linear").scores["linear"]
    assert details.subsets["mfcc"] == (alone.mean, alone.interval)


def test_acoustic_statistics_come_back_under_their_names(sounds, tmp_path):
    corpus = corpora.load(sounds).filter(label=["bell", "rain"])
    heard = extraction.extract_features(corpus, extraction.acoustic_extractor(), cache=tmp_path, workers=2)
    waveforms = [audio.read(path, extraction.ACOUSTIC_RATE) for path in corpus.column("path")]
    expected = acoustic_statistics(waveforms, extraction.ACOUSTIC_RATE)
    found = extraction.named_statistics(heard.vectors)
    assert {name: list(by) for name, by in found.items()} == {name: list(by) for name, by in expected.items()}
    for name, by in expected.items():
        for statistic, values in by.items():
            np.testing.assert_allclose(found[name][statistic], values, rtol=1e-6)
    assert extraction.extract_features(corpus, extraction.acoustic_extractor(), cache=tmp_path, workers=2).fresh == 0


def test_correlation_is_over_the_clips_that_both_could_hear(sounds, tmp_path):
    corpus = corpora.load(sounds)
    heard = extraction.extract_features(corpus, extraction.clip_extractor(load("logmel")), cache=tmp_path, workers=2)
    few = dataclasses.replace(heard, vectors=heard.vectors[:, :3])
    acoustics = extraction.extract_features(corpus, extraction.acoustic_extractor(), cache=tmp_path, workers=2)
    vectors, clips, positions = acoustics.vectors[1:], acoustics.clips[1:], acoustics.positions[1:]
    without = dataclasses.replace(acoustics, vectors=vectors, clips=clips, positions=positions)
    score = PROTOCOLS["correlation"].score([few, without], {}, settings=None, seed=0)
    assert score == correlation_analysis(few.vectors[1:], extraction.named_statistics(vectors))


def test_projection_shows_every_clip(sounds, run):
    result = run(load("logmel"), corpora.load(sounds), projection=True)
    assert result.projection.method == "t-SNE"
    assert len(result.projection.points) == len(result.projection.labels) == 32
    assert np.isfinite(result.projection.points).all()
    assert np.bincount(result.projection.labels).tolist() == [8, 8, 8, 8]


def test_projection_without_scikit_learn_is_principal_components(sounds, run, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = run(load("logmel"), corpora.load(sounds), projection=True)
    assert result.projection.method == "PCA"
    varied = np.asarray(result.projection.points).var(axis=0)
    assert varied[0] >= varied[1] > 0


def test_principal_components_of_a_line_are_its_coordinate():
    along = np.linspace(-1, 1, 9, dtype=np.float32)
    components = principal_components(np.stack([along, 3 * along, np.ones(9, np.float32)], axis=1), 5)
    assert components.shape == (9, 1)
    assert abs(np.corrcoef(components[:, 0], along)[0, 1]) == pytest.approx(1)
