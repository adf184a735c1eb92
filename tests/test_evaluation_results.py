"""Results of evaluations in files, joined, and beside published ones."""

from __future__ import annotations

import shutil

import pytest

from helpers.small_evaluations import quick_runs, render_families
from soundloom import corpora
from soundloom.evaluation.reference_scores import PUBLISHED, elsewhere, published
from soundloom.evaluation.results import EvaluationError, corpus_digest, join, read, write
from soundloom.evaluation.runner import protocol_choices
from soundloom.models import load


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return render_families(tmp_path_factory.mktemp("sounds"))


@pytest.fixture
def folder(sounds, tmp_path):
    """A copy to change."""
    return shutil.copytree(sounds, tmp_path / "sounds")


@pytest.fixture
def run(tmp_path):
    return quick_runs(tmp_path / "cache")


def test_results_are_the_same_when_read_again(sounds, run, tmp_path):
    result = run(
        load("logmel+mfcc"), corpora.load(sounds), ["linear", "knn", "ablation", "correlation"], projection=True
    )
    write(tmp_path / "new" / "results.json", [result, result])
    assert read(tmp_path / "new" / "results.json") == [result, result]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["results.json"]


def test_what_is_not_results_is_told(tmp_path):
    with pytest.raises(EvaluationError, match="cannot read"):
        read(tmp_path / "nowhere.json")
    for text in ("[]", "{", '{"format": 1}', '{"format": 1, "results": [{"model": "x"}]}'):
        (tmp_path / "r.json").write_text(text)
        with pytest.raises(EvaluationError, match=r"give a results\.json"):
            read(tmp_path / "r.json")
    (tmp_path / "r.json").write_text('{"format": 99, "results": []}')
    with pytest.raises(EvaluationError, match="format 99"):
        read(tmp_path / "r.json")


def test_joining_makes_one_of_what_belongs_together(sounds, run):
    corpus = corpora.load(sounds)
    knn, linear = (
        run(load("logmel"), corpus, ["knn", "ablation"], projection=True),
        run(load("logmel"), corpus, "linear"),
    )
    other_seed, other_model = run(load("logmel"), corpus, seed=1), run(load("mfcc"), corpus)
    joined = join([knn, other_model, linear, other_seed])
    assert [(each.model, each.seed, list(each.scores)) for each in joined] == [
        ("logmel", 0, ["knn", "linear"]),
        ("mfcc", 0, ["knn"]),
        ("logmel", 1, ["knn"]),
    ]
    assert joined[0].projection == knn.projection
    assert list(joined[0].refused) == ["ablation"]


def test_a_corpus_digest_sees_labels_and_splits_but_not_the_place(sounds, folder):
    corpus = corpora.load(sounds)
    assert corpus_digest(corpora.load(folder)) == corpus_digest(corpus)
    assert corpus_digest(corpus.with_grouped_splits((0.5, 0.25, 0.25), seed=0)) != corpus_digest(corpus)
    assert corpus_digest(corpus.filter(label=["bell", "rain"])) != corpus_digest(corpus)


def test_published_numbers_stand_beside_the_same_model_corpus_and_protocol_only():
    assert published("cnn14-niizumi#3#6", "esc50", "linear", "accuracy").value == 0.93
    assert published("vggish-niizumi#10#15", "speech-commands", "linear", "accuracy").value == 0.914
    assert published("mfcc-favory", "urbansound8k", "sklearn-mlp", "accuracy").value == 0.658
    assert published("cnn14#3#6", "esc50", "linear", "accuracy") is None
    assert published("COLA", "esc50", "linear", "accuracy") is None
    assert published("cnn14#3#6", "esc50", "knn", "accuracy") is None
    assert published("cnn14#2#6", "esc50", "linear", "accuracy") is None
    assert published("cnn14#3#6", "esc50", "linear", "mAP") is None
    assert [row.model for row in elsewhere("esc50", "linear", "accuracy")][:2] == ["M2D-CLAP 2025", "CLAP 2023"]


def test_published_numbers_are_of_corpora_and_protocols_there_are():
    assert {row.corpus for row in PUBLISHED} <= set(corpora.CORPORA)
    assert {row.protocol for row in PUBLISHED} <= set(protocol_choices())
    keys = [(row.model, row.corpus, row.protocol, row.metric) for row in PUBLISHED]
    assert len(set(keys)) == len(keys)
    assert all(0 < row.value < 1 and row.source for row in PUBLISHED)
