"""Models measured on small corpora: what is heard, what is remembered, what is refused, and which layers."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from torch import nn

import soundloom
from soundloom import audio, corpora
from soundloom.embedder import Embedder, Stream
from soundloom.encoders import Encoder
from soundloom.errors import ModelError
from soundloom.evaluation import (
    FewShotSettings,
    KNNSettings,
    LinearProbeSettings,
    ProbeTraining,
    ShallowSettings,
    extraction,
    from_folds,
    from_parts,
    knn_probe,
)
from soundloom.evaluation.acoustic_features import acoustic_statistics
from soundloom.evaluation.analysis.correlation import correlation_analysis
from soundloom.evaluation.analysis.layers import (
    all_layers,
    choose,
    curves,
    evaluate_layers,
    layered_streams,
    single_layers,
)
from soundloom.evaluation.analysis.projection import principal_components
from soundloom.evaluation.embedding_cache import EmbeddingCacheError, Shards, Writer, key_of
from soundloom.evaluation.protocol_inputs import splits_of, targets_of
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.reference_scores import PUBLISHED, elsewhere, published
from soundloom.evaluation.results import EvaluationError, corpus_digest, join, read, write
from soundloom.evaluation.runner import default_cache, evaluate, protocol_choices, protocol_names
from soundloom.frontends import LogMel
from soundloom.models import MODELS, load, save_pretrained
from soundloom.synth import render

FAMILIES = ("bell", "drum", "flute", "rain")
QUICK = {
    "linear": LinearProbeSettings(rates=(1e-2,), runs=2, training=ProbeTraining(epochs=5)),
    "ablation": LinearProbeSettings(rates=(1e-2,), runs=2, training=ProbeTraining(epochs=5)),
    "knn": KNNSettings(k=3),
    "few-shot": FewShotSettings(
        segments=4, draws=2, classifier=ShallowSettings(hidden=8, training=ProbeTraining(epochs=3))
    ),
}


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    """A folder of folders: four families of eight sounds."""
    folder = tmp_path_factory.mktemp("sounds")
    for family in FAMILIES:
        (folder / family).mkdir()
        for index in range(8):
            sound = render(family, index)
            soundfile.write(folder / family / f"{index}.wav", sound.samples, sound.sample_rate)
    return folder


@pytest.fixture
def folder(sounds, tmp_path):
    """A copy to change."""
    return shutil.copytree(sounds, tmp_path / "sounds")


@pytest.fixture
def run(tmp_path):
    """`evaluate` with quick settings and a cache of its own."""

    def run(model, corpus, protocol="knn", **options):
        names = protocol_names(protocol)
        settings = {name: QUICK[name] for name in names if name in QUICK}
        return evaluate(model, corpus, names, settings=settings, cache=tmp_path / "cache", workers=2, **options)

    return run


@pytest.fixture
def extracted_lengths(monkeypatch):
    """The length of every waveform that is embedded."""
    lengths = []
    embed = Embedder.embed_samples

    def counted(self, samples):
        lengths.append(len(samples))
        return embed(self, samples)

    monkeypatch.setattr(Embedder, "embed_samples", counted)
    return lengths


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
    heard = extraction.extract_features(
        corpus, extraction.window_extractor(model, 0.96), cache=default_cache(), workers=1
    )
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


def test_only_what_is_new_is_embedded(folder, run, extracted_lengths):
    def embedded(model="logmel", protocol="knn"):
        extracted_lengths.clear()
        result = run(load(model), corpora.load(folder), protocol)
        assert result.embedded == len(extracted_lengths)
        return len(extracted_lengths)

    assert embedded() == 32
    assert embedded() == 0
    assert embedded(protocol=["linear", "retrieval"]) == 0
    soundfile.write(folder / "bell" / "0.wav", np.random.default_rng(0).normal(0, 0.1, 9000), 16000)
    assert embedded() == 1
    (folder / "bell" / "0.wav").rename(folder / "bell" / "moved.wav")
    assert embedded() == 0
    shutil.copy(folder / "drum" / "1.wav", folder / "drum" / "again.wav")
    assert embedded() == 0
    assert embedded("mfcc") == 32  # another listener; the copy is the same sound
    assert embedded() == 0


def test_the_same_numbers_from_the_cache(sounds, run):
    first, second = (run(load("logmel"), corpora.load(sounds), ["linear", "knn"]) for _ in range(2))
    assert second.embedded == 0
    assert first.scores == second.scores
    assert [each.config for each in first.measurements.values()] == [
        each.config for each in second.measurements.values()
    ]
    assert (
        run(load("logmel"), corpora.load(sounds), seed=1).measurements["knn"].config != first.measurements["knn"].config
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_shard_is_noticed_deleted_and_computed_again(sounds, run, tmp_path, damage, caplog):
    before = run(load("logmel"), corpora.load(sounds))
    (shard,) = (tmp_path / "cache").rglob("*.shard")
    data = bytearray(shard.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    shard.write_bytes({"flip": data, "cut": data[:-100], "empty": b"", "foreign": b"PK\x03\x04 not ours"}[damage])
    after = run(load("logmel"), corpora.load(sounds))
    assert "damaged" in caplog.text
    assert (after.embedded, after.scores) == (32, before.scores)
    assert run(load("logmel"), corpora.load(sounds)).embedded == 0


def test_a_shard_of_another_size_is_damaged(tmp_path):
    with Writer(Shards(tmp_path, 3)) as writer:
        writer.put(key_of(b"x", None, None), np.zeros((2, 3), np.float32))
    assert Shards(tmp_path, 4).read({key_of(b"x", None, None)}) == {}


def test_rows_that_wait_are_written_when_work_is_interrupted(tmp_path):
    keys = [key_of(b"content", start, None) for start in (0.0, 1.0)]
    shards = Shards(tmp_path, 2)

    def interrupted():
        with Writer(shards) as writer:
            writer.put(keys[0], np.ones((1, 2), np.float32))
            writer.put(keys[1], np.zeros((3, 2), np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = shards.read(keys)
    np.testing.assert_array_equal(found[keys[0]], [[1, 1]])
    assert found[keys[1]].shape == (3, 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".shard"]


def test_full_shards_are_written_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("soundloom.evaluation.embedding_cache._SHARD_BYTES", 100)
    shards = Shards(tmp_path, 8)
    with Writer(shards) as writer:
        for number in range(10):
            writer.put(key_of(bytes([number]), None, None), np.full((1, 8), number, np.float32))
        assert len(list(tmp_path.glob("*.shard"))) == 2
    found = shards.read({key_of(bytes([number]), None, None) for number in range(10)})
    assert sorted(float(rows[0, 0]) for rows in found.values()) == list(range(10))


def test_a_cache_that_cannot_be_written_is_told(sounds, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddingCacheError, match="choose another folder"):
        evaluate(load("logmel"), corpora.load(sounds), "knn", cache=tmp_path / "file")


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
    with pytest.raises(EvaluationError, match=r"settings of 'knn'\.k should be int, got '3'"):
        evaluate("logmel", sounds, "knn", settings={"knn": {"k": "3"}})


def test_names_stand_for_protocols():
    assert protocol_names(["retrieval", "linear", "clips", "leave-one-out"]) == [
        "query-by-example",
        "leave-one-out",
        "linear",
        "chunks",
    ]
    assert {name for choice in protocol_choices() for name in protocol_names(choice)} <= set(protocol_choices())


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
    without = dataclasses.replace(acoustics, vectors=acoustics.vectors[1:], positions=acoustics.positions[1:])
    score = PROTOCOLS["correlation"].score([few, without], {}, settings=None, seed=0)
    assert score == correlation_analysis(few.vectors[1:], extraction.named_statistics(acoustics.vectors[1:]))


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
    assert abs(np.corrcoef(components[:, 0], along)[0, 1]) == pytest.approx(1)
    np.testing.assert_allclose(components[:, 1:], 0, atol=1e-5)


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


def test_the_public_door(sounds, tmp_path):
    corpus = soundloom.corpora.load(sounds)
    result = soundloom.evaluate(soundloom.load("logmel"), corpus, protocol="retrieval", cache=tmp_path)
    assert set(result.scores) == {"query-by-example", "leave-one-out"}
    json.dumps(dataclasses.asdict(result))
