"""The recipe of diverse embeddings, its linear model and its tagger, in miniature."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import soundloom
from helpers.diverse_tones import CLASSES, TINY, two_folds_of_tones
from soundloom import corpora
from soundloom.cli.tag_predictions import tag_files, write_tags
from soundloom.corpora import Corpus, CorpusError
from soundloom.embedder import Woven
from soundloom.encoders import Neuralogram
from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.feature_cache import form_of, prepare
from soundloom.frontends import NormalisedFrontend
from soundloom.objectives import TripletSettings
from soundloom.objectives.labels import LabelSettings
from soundloom.recipes import RunOptions
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.diverse import DIVERSE, PRESETS, DiverseRecipe
from soundloom.recipes.labels import LabelRecipe
from soundloom.recipes.linear import embed_windows
from soundloom.recipes.normalisation import standardise
from soundloom.recipes.triplet import TripletRecipe
from soundloom.tagger import Tagger
from soundloom.training import TrainingError, TrainingProgress, TrainingSettings
from soundloom.training.flat_config import flatten, resolve


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return two_folds_of_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def run(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "diverse"
    told: list[str] = []
    result = TINY.run(corpus, folder, RunOptions(progress=lambda progress: told.append(progress.name)))
    assert result.steps == 4 * 3  # 9 clips of two seconds, the last half filled, in batches of 8
    assert {name: told.count(name) for name in told} == {"network": 2, **dict.fromkeys(DIVERSE, 3)}
    return folder


def test_one_model_comes_out_that_loads_by_its_folder(run: Path, corpus: Corpus) -> None:
    model = soundloom.load(str(run))
    assert list(model.parts) == list(DIVERSE)
    assert model.dim == 256
    for name in DIVERSE:
        alone = soundloom.load(str(run / name))
        vector = model.embed(corpus.column("path")[0])
        np.testing.assert_array_equal(vector[model.parts[name]], alone.embed(corpus.column("path")[0]))


def test_the_neuralogram_hears_with_the_network_that_was_trained(run: Path) -> None:
    network = soundloom.load(str(run / "network"))
    frontend = soundloom.load(str(run / "neuralogram")).frontend
    assert isinstance(frontend, NormalisedFrontend)
    assert isinstance(frontend.inner, Neuralogram)
    trained, held = network.encoder.state_dict(), frontend.inner.network.state_dict()
    assert all(torch.equal(trained[key], held[key]) for key in trained)


def test_going_on_trains_nothing_twice_and_ends_with_the_same_bytes(run: Path, corpus: Corpus) -> None:
    before = {path: path.read_bytes() for path in (run / "model.safetensors", run / "tagger.safetensors")}
    told: list[int] = []
    TINY.run(corpus, run, RunOptions(progress=lambda progress: told.append(progress.step)))
    assert not told
    assert all(path.read_bytes() == content for path, content in before.items())
    with pytest.raises(TrainingError, match=r"holds a run with other settings: .*rate is 0\.001 there"):
        replace(TINY, training=replace(TINY.training, rate=0.5)).run(corpus, run)


FEW = ("pitch", "timbre")
"""Streams that learn quickly, where it does not matter which learn."""


def weights_of(folder: Path, streams: Sequence[str] = FEW) -> dict[str, bytes]:
    return {name: (folder / name / "model.safetensors").read_bytes() for name in streams}


@pytest.mark.slow
@pytest.mark.long
def test_side_by_side_stopped_and_resumed_gives_the_same_bytes(run: Path, corpus: Corpus, tmp_path: Path) -> None:
    told: list[str] = []

    def stop(progress: TrainingProgress) -> None:
        told.append(progress.name)
        if set(told) == set(FEW):
            raise KeyboardInterrupt

    several = replace(TINY, streams=FEW, jobs=2)
    with pytest.raises(KeyboardInterrupt):
        several.run(corpus, tmp_path, RunOptions(progress=stop))
    assert not (tmp_path / "config.json").exists()
    several.run(corpus, tmp_path, RunOptions(progress=lambda progress: told.append(progress.name)))
    assert weights_of(tmp_path) == weights_of(run)
    # Both went on: 3 steps each, of which those after the interruption were taken twice at most by a step.
    assert len(told) <= 2 * 3 + 2


def test_how_many_at_a_time_follows_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    for jobs, threads, expected in ((0, 1, 4), (0, 2, 3), (0, 8, 1), (0, 0, 1), (3, 0, 3), (9, 1, 4)):
        recipe = replace(TINY, jobs=jobs, training=replace(TINY.training, threads=threads))
        assert recipe.at_a_time() == expected


TRIPLETS = replace(
    TINY,
    objective="triplet",
    # The clips of this corpus have one whole second.
    triplet=TripletSettings(proximity=0.0),
)


@pytest.mark.slow
def test_streams_learn_from_sounds_alone(corpus: Corpus, tmp_path: Path) -> None:
    unlabelled = corpora.load(corpus.root)
    assert unlabelled.classes == ()
    with pytest.raises(CorpusError, match=r"has clips of 0 classes, .* train diverse --objective triplet"):
        TINY.run(unlabelled, tmp_path / "none")
    assert not (tmp_path / "none").exists()
    told: list[str] = []
    two = replace(TRIPLETS, streams=("timbre", "neuralogram"))
    two.run(unlabelled, tmp_path / "a", RunOptions(progress=lambda progress: told.append(progress.name)))
    assert told.count("network") == 2
    model = soundloom.load(str(tmp_path / "a"))
    assert (list(model.parts), model.dim) == (["timbre", "neuralogram"], 128)
    with pytest.raises(ModelError, match="no tagger"):
        Tagger.load(tmp_path / "a")
    network = soundloom.load(str(tmp_path / "a" / "network")).encoder.state_dict()
    untrained = build_stream("neuralogram", 0, "n").frontend.inner.network.state_dict()
    held = soundloom.load(str(tmp_path / "a" / "neuralogram")).frontend.inner.network.state_dict()
    assert all(torch.equal(network[key], held[key]) for key in held)
    assert not all(torch.equal(untrained[key], held[key]) for key in held)


@pytest.mark.slow
def test_labels_of_sounds_that_were_learned_alone_make_a_tagger(corpus: Corpus, tmp_path: Path) -> None:
    replace(TRIPLETS, streams=FEW).run(corpus, tmp_path / "a")
    assert Tagger.load(tmp_path / "a").classes == CLASSES
    # And by the recipe of triplets, a stream is the same.
    recipe = TripletRecipe(
        stream="pitch", validation=TINY.validation, objective=replace(TRIPLETS.triplet, shift=0),
        training=replace(TINY.training, steps=2),
    )  # fmt: skip
    alone = recipe.run(corpus, tmp_path / "pitch")
    assert alone.steps == 2
    replace(TRIPLETS, streams=("pitch",), epochs=0).run(corpus, tmp_path / "b")
    assert weights_of(tmp_path, ["pitch"]) == weights_of(tmp_path / "b", ["pitch"])


def test_a_neuralogram_is_not_trained_without_its_network(corpus: Corpus, tmp_path: Path) -> None:
    for recipe, name in (
        (TripletRecipe(stream="neuralogram"), "triplet"),
        (LabelRecipe(stream="neuralogram"), "labels"),
    ):
        with pytest.raises(TrainingError, match=f"diverse CORPUS --streams neuralogram --objective {name} trains both"):
            recipe.run(corpus, tmp_path / "run")


def test_a_folder_of_something_else_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(TrainingError, match="is not empty and holds no run"):
        TINY.run(corpus, tmp_path)


def test_windows_are_the_models_seconds(run: Path, corpus: Corpus) -> None:
    model = soundloom.load(str(run))
    windows = embed_windows(model, corpus)
    assert windows.clips.tolist() == [clip for clip in range(12) for _ in range(2)]
    samples = torch.from_numpy(soundfile.read(corpus.column("path")[3], dtype="float32")[0])[None, :16000]
    with torch.inference_mode():
        expected = model(samples)[0].numpy()
    # What was kept is in half precision.
    np.testing.assert_allclose(windows.vectors[6], expected, atol=0.02)


def test_a_stream_of_log_mel_windows_is_heard_in_its_own_and_not_in_seconds(corpus: Corpus) -> None:
    small = build_stream("transformer", 0, "small").eval()
    with pytest.raises(ModelError, match="small does not take seconds"):
        embed_windows(Woven([small, build_stream("timbre", 0, "timbre")]), corpus)
    windows = embed_windows(small, corpus)
    assert windows.clips.tolist() == list(range(12)), "1.5 s have one window of 0.96 s"
    samples = torch.from_numpy(soundfile.read(corpus.column("path")[3], dtype="float32")[0])[None, :15600]
    with torch.inference_mode():
        np.testing.assert_allclose(windows.vectors[3], small(samples)[0].numpy(), atol=0.02)


def test_ranges_are_those_of_what_is_trained_on(corpus: Corpus) -> None:
    from soundloom.objectives.labels import label_sampler

    stream = build_stream("timbre", 0, "timbre")
    dataset = prepare(corpus, form_of(stream))
    draw = label_sampler(dataset, corpus.label_matrix(), np.arange(6), batch=12, seed=0)
    standardise(stream, draw)
    values = dataset.form.representation(draw(0)["windows"], stream)
    torch.testing.assert_close(values.mean(dim=(0, 1, 3)), torch.zeros(12), rtol=0, atol=1e-3)
    torch.testing.assert_close(values.std(dim=(0, 1, 3), correction=0), torch.ones(12), rtol=0, atol=1e-3)
    with pytest.raises(ModelError, match="waveform: a WaveformPatches has no normalisation"):
        standardise(build_stream("waveform", 0, "waveform"), draw)


def test_a_file_is_tagged_by_the_mean_of_its_seconds(run: Path, corpus: Corpus) -> None:
    tagger = Tagger.load(run)
    tagged = tagger.tag(corpus.column("path")[5])
    assert tagger.classes == CLASSES
    assert tagged.starts.tolist() == [0.0, 1.0]
    assert tagged.ends.tolist() == [1.0, 1.5]
    np.testing.assert_allclose(tagged.clip, (tagged.seconds[0] + 0.5 * tagged.seconds[1]) / 1.5, rtol=1e-5)
    assert ((tagged.seconds >= 0) & (tagged.seconds <= 1)).all()
    part = tagger.tag(corpus.column("path")[5], start=1.0, end=1.5)
    assert (part.starts.tolist(), part.ends.tolist()) == ([1.0], [1.5])
    np.testing.assert_allclose(part.seconds, tagged.seconds[1:], atol=1e-5)


def test_tags_are_written_in_every_form(run: Path, corpus: Corpus, tmp_path: Path) -> None:
    from pyarrow import parquet

    paths = corpus.column("path")[:2]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    report = tag_files([*paths, broken], run, top=2, least=0.0)
    assert (report.files, report.seconds, [failure.path for failure in report.failed]) == (2, 3.0, [str(broken)])
    assert [row.path for row in report.rows] == [paths[0]] * 2 + [paths[1]] * 2
    assert report.rows[0].score >= report.rows[1].score
    frames = tag_files(paths[:1], run, frames=True, top=1, least=0.0).rows
    assert [(row.start, row.end) for row in frames] == [(0.0, 1.0), (1.0, 1.5)]
    write_tags(report.rows, tmp_path / "tags.csv")
    with open(tmp_path / "tags.csv", newline="", encoding="utf-8") as stream:
        assert [row["label"] for row in csv.DictReader(stream)] == [row.tag for row in report.rows]
    write_tags(report.rows, tmp_path / "tags.parquet")
    assert parquet.read_table(tmp_path / "tags.parquet").column("path").to_pylist() == [row.path for row in report.rows]
    write_tags(frames, tmp_path / "track.txt")
    assert (tmp_path / "track.txt").read_text().startswith("0.000000\t1.")
    write_tags(report.rows, tmp_path / "tracks")
    assert sorted(path.name for path in (tmp_path / "tracks").iterdir()) == ["0.wav.txt", "1.wav.txt"]
    assert write_tags(report.rows, tmp_path / "both.txt") == tmp_path / "both"
    assert sorted(path.name for path in (tmp_path / "both").iterdir()) == ["0.wav.txt", "1.wav.txt"]
    with pytest.raises(InvalidArgumentError, match=r"end it in \.csv, .*, or name a folder"):
        write_tags(report.rows, tmp_path / "tags.xml")


def test_the_logarithm_on_the_filters_maxima_is_a_choice_of_stream() -> None:
    plain, compressed = (build_stream(kind, 3, "x") for kind in ("waveform-maxima", "waveform"))
    assert (plain.encoder.settings.compress, compressed.encoder.settings.compress) == (False, True)  # type: ignore[union-attr]
    sound = torch.randn(1, 16000, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        found = [stream.eval().frames(sound).values for stream in (plain, compressed)]
    assert found[0].shape == found[1].shape
    assert not torch.allclose(*found)
    assert plain.fingerprint() != compressed.fingerprint()


def test_the_papers_preset_is_the_papers() -> None:
    recipe = PRESETS["paper"]
    assert (recipe.epochs, recipe.training.rate, recipe.training.final_rate) == (300, 2e-4, 1e-6)
    assert recipe.head == LabelSettings(loss="huber", hidden=2048)
    assert (recipe.validation, recipe.training.keep, recipe.training.schedule) == (0, "last", "exponential")
    for preset in PRESETS.values():
        assert resolve(preset, flatten(preset), "x") == preset, "every setting has one flat name"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"streams": ("pitch", "pitch")}, "streams must be different ones of .*pitch"),
        ({"streams": ("rhythm",)}, "got rhythm"),
        ({"objective": "tags"}, "objective is one of .*labels, .*, got 'tags'"),
        ({"jobs": -1}, "jobs must be 0 .by itself. or more, got -1"),
        ({"jobs": 2, "training": TrainingSettings(devices=2)}, "several devices learn one at a time"),
        ({"validation": 1.0}, "validation must be a share from 0 to below 1"),
        ({"epochs": -1}, "epochs must be 0 or more, got -1"),
    ],
)
def test_impossible_recipes_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DiverseRecipe(**settings)  # type: ignore[arg-type]


def test_any_stream_learns_from_labels(corpus: Corpus, tmp_path: Path) -> None:
    recipe = LabelRecipe(stream="timbre", validation=0.0, objective=TINY.head, training=TINY.training)
    result = recipe.run(corpus, tmp_path / "mine")
    model = result.model()
    assert (model.name, model.dim) == ("mine", 64)
    assert isinstance(model.frontend, NormalisedFrontend)
    assert not torch.equal(model.frontend.scale, torch.ones(12))


@pytest.mark.slow
def test_streams_learn_from_tags_too(corpus: Corpus, tmp_path: Path) -> None:
    import pyarrow as pa

    words = dict(zip(CLASSES, ("rumble", "hum", "whistle"), strict=True))
    tags = pa.array([[words[label]] for (label,) in corpus.column("labels")])
    table = corpus.table.set_column(corpus.table.column_names.index("tags"), "tags", tags)
    recipe = replace(TINY, streams=("timbre",), objective="alignment", epochs=0)
    recipe.run(replace(corpus, table=table), tmp_path / "run")
    stream = soundloom.load(str(tmp_path / "run" / "timbre"))
    assert not torch.equal(stream.frontend.scale, torch.ones(12))
    assert Tagger.load(tmp_path / "run").classes == CLASSES
