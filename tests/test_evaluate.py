"""Models measured on small corpora: what is heard, what is remembered, what is refused, and which layers."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile

import soundloom
from helpers.small_evaluations import quick_runs, render_families
from soundloom import audio, corpora
from soundloom.embedder import Embedder
from soundloom.evaluation import (
    KNNSettings,
    LinearProbeSettings,
    extraction,
    from_folds,
    from_parts,
    knn_probe,
)
from soundloom.evaluation.protocol_inputs import splits_of, targets_of
from soundloom.evaluation.results import EvaluationError
from soundloom.evaluation.runner import evaluate, protocol_choices, protocol_names
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


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))


def in_folds(root):
    """The sounds as a corpus of two folds, by a CSV."""
    paths = sorted(root.rglob("*.wav"))
    rows = [f"{path.relative_to(root)},{path.parent.name},{int(path.stem) % 2 + 1}" for path in paths]
    (root / "clips.csv").write_text("\n".join(["path,label,fold", *rows]))
    return corpora.load(root / "clips.csv")


def test_a_score_is_the_protocols_own_on_the_models_own_embeddings(folder, run):
    corpus, model = in_folds(folder), load("logmel")
    result = run(model, corpus, "knn", seed=3)
    vectors = np.stack([model.embed(path) for path in corpus.column("path")])
    splits = from_folds(np.array(corpus.column("fold")), corpus.label_ids(), seed=3)
    assert result.scores == {"knn": knn_probe(vectors, corpus.label_ids(), splits, settings=KNNSettings(k=3), seed=3)}
    assert (result.clips, result.embedded, result.left_out, result.dim) == (32, 32, (), 128)
    assert result.measurements["knn"].settings == {"k": 3, "standardised": True}
    assert str(result).splitlines()[0] == "logmel on csv: 32 of 32 clips"


def test_protocols_on_frames_hear_windows_of_their_length(sounds, run, extracted_lengths):
    corpus, model = corpora.load(sounds), load("logmel")
    heard = extraction.extract_features(corpus, extraction.window_extractor(model, 0.96), workers=1)
    assert max(extracted_lengths) <= 1.25 * 0.96 * 16000
    for row in (0, 31):
        samples = audio.read(corpus.column("path")[row], 16000)
        pieces = list(audio.segments([samples], 16000, 0.96, 0.96))
        expected = np.stack([model.embed_samples(piece.samples) for piece in pieces])
        np.testing.assert_array_equal(heard.vectors[heard.clips == row], expected)


def test_a_clip_of_minutes_is_embedded_as_the_model_would(tmp_path, run):
    samples = np.random.default_rng(0).normal(0, 0.1, 8000 * 130).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", samples, 8000)
    (tmp_path / "c.csv").write_text("path,label\nlong.wav,a")
    model = load("logmel")
    heard = extraction.extract_features(
        corpora.load(tmp_path / "c.csv"), extraction.clip_extractor(model), cache=tmp_path, workers=1
    )
    np.testing.assert_array_equal(heard.vectors[0], model.embed(tmp_path / "long.wav"))


def test_changed_clips_are_kept_apart_from_the_clips(folder, run):
    path, model = folder / "rain" / "0.wav", load("logmel")
    (folder / "one.csv").write_text(f"path,label\n{path},a")
    corpus = corpora.load(folder / "one.csv")
    quieter = extraction.Disturbance("quieter", lambda samples: samples * np.float32(0.1))
    plain, changed, again = (
        extraction.extract_features(corpus, extraction.clip_extractor(model, change), cache=folder, workers=1)
        for change in (None, quieter, quieter)
    )
    samples = audio.read(path, model.sample_rate)
    np.testing.assert_array_equal(plain.vectors[0], model.embed_samples(samples))
    np.testing.assert_array_equal(changed.vectors[0], model.embed_samples(samples * np.float32(0.1)))
    assert [plain.fresh, changed.fresh, again.fresh] == [1, 1, 0]
    np.testing.assert_array_equal(again.vectors, changed.vectors)


def test_regions_of_a_file_are_clips_of_their_own(folder, run):
    path = folder / "rain" / "0.wav"
    rows = [f"{path},a,0,0.2", f"{path},b,0.2,0.4", f"{path},a,0,0.2"]
    (folder / "regions.csv").write_text("\n".join(["path,label,start,end", *rows]))
    corpus, model = corpora.load(folder / "regions.csv"), load("logmel")
    heard = extraction.extract_features(corpus, extraction.clip_extractor(model), cache=folder, workers=2)
    assert heard.fresh == 2
    np.testing.assert_array_equal(heard.vectors[1], model.embed(path, start=0.2, end=0.4))
    np.testing.assert_array_equal(heard.vectors[0], heard.vectors[2])
    assert heard.clips.tolist() == heard.positions.tolist() == [0, 1, 2]


def test_clips_that_cannot_be_heard_are_left_out_by_name(folder, run):
    (folder / "bell" / "0.wav").write_bytes(b"no sound at all")
    (folder / "drum" / "3.wav").write_bytes(b"")
    corpus = corpora.load(folder, check="none")
    (folder / "rain" / "7.wav").unlink()
    result = run(load("logmel"), corpus, ["knn", "few-shot"])
    names = [left.path.removeprefix(f"{folder}/") for left in result.left_out]
    assert names == ["bell/0.wav", "drum/3.wav", "rain/7.wav"]
    assert all(left.reason for left in result.left_out)
    assert {measured.clips for measured in result.measurements.values()} == {29}


def test_a_corpus_of_which_nothing_can_be_heard_is_refused(folder, run):
    corpus = corpora.load(folder)
    for path in folder.rglob("*.wav"):
        path.write_bytes(b"nothing")
    with pytest.raises(EvaluationError, match="none of its clips could be decoded"):
        run(load("logmel"), corpus)


def test_an_embedding_that_is_not_finite_costs_its_clip(sounds, run, monkeypatch):
    embed = Embedder.embed_samples

    def overflowing(self, samples):
        return np.full(self.dim, np.inf, np.float32) if len(samples) == shortest else embed(self, samples)

    shortest = min(len(soundfile.read(path)[0]) for path in sounds.rglob("*.wav"))
    monkeypatch.setattr(Embedder, "embed_samples", overflowing)
    result = run(load("logmel"), corpora.load(sounds))
    assert [left.reason for left in result.left_out] == ["its embedding is not finite: did the model overflow?"]


def test_a_refused_protocol_does_not_cost_the_others(sounds, run):
    result = run(load("logmel"), corpora.load(sounds), ["knn", "ablation", "correlation"])
    assert set(result.scores) == {"knn"}
    assert "weave two or more" in result.refused["ablation"]
    assert "too few" in result.refused["correlation"]
    with pytest.raises(EvaluationError, match="ablation on folder: the model has the one part logmel"):
        run(load("logmel"), corpora.load(sounds), "ablation")


def test_mistakes_are_told(sounds, run):
    corpus, model = corpora.load(sounds), load("logmel")
    with pytest.raises(EvaluationError, match=r"no protocol lineer: did you mean 'linear'\? Choose from .*linear"):
        evaluate(model, corpus, "lineer")
    with pytest.raises(
        EvaluationError, match="settings of 'knn' are a mapping or a KNNSettings, got a LinearProbeSettings"
    ):
        evaluate(model, corpus, "knn", settings={"knn": LinearProbeSettings()})
    with pytest.raises(EvaluationError, match=r"settings for \['mlp'\]"):
        evaluate(model, corpus, "knn", settings={"mlp": None})


def test_names_paths_and_mappings_are_taken_as_on_the_command_line(sounds, tmp_path):
    cache = tmp_path / "cache"
    result = evaluate("logmel", str(sounds), "knn", settings={"knn": {"k": 3}}, cache=cache)
    plain = evaluate(load("logmel"), corpora.load(sounds), "knn", settings={"knn": KNNSettings(k=3)}, cache=cache)
    assert result.scores == plain.scores
    assert result.measurements["knn"].settings == plain.measurements["knn"].settings == {"k": 3, "standardised": True}
    for given, message in (
        ((None, str(sounds)), "model is a NoneType: give a name"),
        (("logmel", None), "corpus is a NoneType: give a folder"),
    ):
        with pytest.raises(EvaluationError, match=message):
            evaluate(*given, "knn")
    with pytest.raises(EvaluationError, match=r"settings of 'knn': unknown kk\. The keys are k, standardised"):
        evaluate("logmel", sounds, "knn", settings={"knn": {"kk": 3}})
    with pytest.raises(EvaluationError, match=r"settings of 'knn'\.k should be a whole number, got '3'"):
        evaluate("logmel", sounds, "knn", settings={"knn": {"k": "3"}})


def test_names_stand_for_protocols():
    assert protocol_names(["retrieval", "linear", "clips", "leave-one-out"]) == [
        "query-by-example",
        "leave-one-out",
        "linear",
        "chunks",
    ]
    assert {name for choice in protocol_choices() for name in protocol_names(choice)} <= set(protocol_choices())


def test_splits_are_the_corpus_own_or_drawn_from_the_seed(sounds, folder):
    corpus = corpora.load(sounds)
    labels = targets_of(corpus)
    (first,), (second,), (other,) = (splits_of(corpus, labels, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.test, second.test)
    assert first.test.tolist() != other.test.tolist()
    parted = corpus.with_grouped_splits((0.5, 0.25, 0.25), seed=5)
    parts = np.array(parted.column("split"))
    (own,) = splits_of(parted, labels, seed=0)
    np.testing.assert_array_equal(own.test, from_parts(parts, labels)[0].test)
    assert [split.name for split in splits_of(in_folds(folder), labels, seed=0)] == ["1", "2"]


def test_groups_hold_together_in_validation_unless_the_corpus_tears_them(folder):
    paths = sorted(folder.rglob("*.wav"))

    def carved(group):
        rows = [f"{path},{path.parent.name},{int(path.stem) % 2 + 1},{group(path)}" for path in paths]
        (folder / "groups.csv").write_text("\n".join(["path,label,fold,group", *rows]))
        corpus = corpora.load(folder / "groups.csv")
        return corpus, splits_of(corpus, corpus.label_ids(), seed=0)

    # Pairs of takes 0 and 2, 1 and 3, ... lie in one fold each.
    corpus, splits = carved(lambda path: f"{path.parent.name}{int(path.stem) % 2}{int(path.stem) // 4}")
    groups = np.array(corpus.column("group"))
    assert [set(groups[split.train]) & set(groups[split.valid]) for split in splits] == [set(), set()]
    # A speaker is a class, and in every fold: by group, nothing could be carved.
    assert [len(split.valid) for split in carved(lambda path: path.parent.name)[1]] == [4, 4]


def test_folds_that_some_clips_lack_are_refused(folder, run):
    corpus = in_folds(folder)
    text = (folder / "clips.csv").read_text()
    (folder / "clips.csv").write_text(text.removesuffix("2"))
    with pytest.raises(EvaluationError, match="1 clips are in no fold"):
        run(load("logmel"), corpora.load(folder / "clips.csv"))
    assert len(corpus) == 32


def test_several_labels_a_clip_are_measured_by_map(folder, run):
    rows = [
        f"{path.relative_to(folder)},{path.parent.name}|{'low' if int(path.stem) < 4 else 'high'},{number % 2}"
        for number, path in enumerate(sorted(folder.rglob("*.wav")))
    ]
    (folder / "tags.csv").write_text("\n".join(["path,labels,fold", *rows]))
    result = run(load("logmel"), corpora.load(folder / "tags.csv"), ["linear", "knn", "ablation"])
    assert result.scores["linear"].metric == "mAP"
    assert len(result.scores["knn"].per_class) == 6


def test_clips_without_labels_are_refused(folder, run):
    flat = folder / "flat"
    flat.mkdir()
    shutil.copy(folder / "rain" / "0.wav", flat)
    with pytest.raises(EvaluationError, match="have no labels"):
        run(load("logmel"), corpora.load(flat))


def test_the_public_door(sounds, tmp_path):
    corpus = soundloom.corpora.load(sounds)
    result = soundloom.evaluate(soundloom.load("logmel"), corpus, protocol="retrieval", cache=tmp_path)
    assert set(result.scores) == {"query-by-example", "leave-one-out"}
    json.dumps(dataclasses.asdict(result))
