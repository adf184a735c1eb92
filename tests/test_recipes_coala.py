"""The recipe: patches, ranges, cases, and a run that can be searched by tag."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from click.testing import CliRunner
from safetensors.torch import load_file

import soundloom
from helpers.tagged_corpus import beeps_and_hisses, quick
from soundloom.cli import main
from soundloom.corpora import CorpusError, clip_table
from soundloom.embedder import Stream
from soundloom.feature_cache import MelEnergies, prepare
from soundloom.frontends import LogMel, NormalisedFrontend
from soundloom.objectives.alignment import AlignmentSettings
from soundloom.objectives.labels import LabelBatchSampler
from soundloom.one_thread import one_thread
from soundloom.recipes import coala
from soundloom.recipes.coala import PRESETS, tagged
from soundloom.recipes.max_energy_patches import band_ranges, loudest_starts, shifted
from soundloom.tags import AlignedTags, suggest_tags
from soundloom.training import TrainingError


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    with one_thread:
        yield


@pytest.mark.parametrize("loudness", ["logarithm", "energy"])
def test_the_loudest_patch_as_loops(tmp_path: Path, loudness: str) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 2)
    frontend = LogMel.coala()
    dataset = prepare(corpus, MelEnergies(frontend), folder=tmp_path / "prepared")
    size, step = 20, 3
    starts = loudest_starts(dataset, frontend, size=size, step=step, loudness=loudness)
    padded = frontend.frames(10 * 22000)
    for clip in range(len(corpus)):
        rows = dataset.restore(dataset.take(np.array([clip]), np.array([0]), padded))[0].double()
        values = (rows + 1.19e-7).log() if loudness == "logarithm" else rows**2
        sums = [float(values[first : first + size].sum()) for first in range(0, padded - size + 1, step)]
        best = max(sums)
        assert sums[starts[clip] // step] == pytest.approx(best, rel=1e-6)
        assert starts[clip] % step == 0


def test_a_patch_is_moved_within_its_clip() -> None:
    starts, lengths = np.array([0, 60, 60, 0, 24]), np.array([40, 100, 400, 200, 30])
    earliest, room = shifted(starts, lengths, size=50, shift=20)
    for clip, (start, length) in enumerate(zip(starts, lengths, strict=True)):
        moved = [row for row in range(start - 20, start + 21) if row >= 0 and (row + 50 <= length or row <= start)]
        assert (earliest[clip], earliest[clip] + room[clip]) == (moved[0], moved[-1])
    earliest, room = shifted(starts, lengths, size=50, shift=0)
    np.testing.assert_array_equal(earliest, starts)
    assert not room.any()


def test_bands_come_to_the_range_of_the_patches(tmp_path: Path) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 2)
    frontend = LogMel.coala()
    dataset = prepare(corpus, MelEnergies(frontend), folder=tmp_path / "prepared")
    clips, starts = np.array([0, 1, 3]), np.array([0, 4, 0])
    factor, shift = band_ranges(dataset, frontend, clips, starts, 30)
    patches = frontend.compress(dataset.restore(dataset.take(clips, starts, 30)))
    scaled = patches * factor + shift
    torch.testing.assert_close(scaled.amin(dim=(0, 1)), torch.zeros(96), atol=1e-4, rtol=0)
    torch.testing.assert_close(scaled.amax(dim=(0, 1)), torch.ones(96), atol=1e-4, rtol=0)
    silence = band_ranges(dataset, frontend, clips[:1], np.array([400]), 30)  # beyond its end: every band constant
    assert torch.isfinite(silence[0]).all()
    with pytest.raises(ValueError, match="no patches"):
        band_ranges(dataset, frontend, clips[:0], starts[:0], 30)


def test_presets_are_the_papers() -> None:
    paper = PRESETS["paper"]
    assert (paper.training.optimiser, paper.training.rate, paper.training.batch) == ("sgd", 0.005, 128)
    assert (paper.epochs, PRESETS["paper-cnn"].epochs, paper.training.momentum) == (200, 20, 0)
    assert (paper.objective.audio_weight, paper.objective.tag_weight, paper.objective.contrast_weight) == (5, 5, 10)
    assert PRESETS["small-e-c"].objective == PRESETS["paper-e-c"].objective
    printed = PRESETS["paper-equation-10"]
    assert (printed.objective, replace(printed, objective=paper.objective)) == (AlignmentSettings.paper(), paper)
    with pytest.raises(ValueError, match="keep must be 'last'"):
        replace(paper, training=replace(paper.training, keep="best"))


def test_sounds_without_tags_are_left_out(tmp_path: Path) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 3)
    known, vocabulary = tagged(corpus, quick("small"))
    assert vocabulary.tags == ("beep", "electronic", "hissing", "noise")
    assert known.column("labels")[:2] == [["beep", "electronic"], ["hissing", "noise"]]
    few, short = tagged(corpus, replace(quick("small"), vocabulary=replace(quick("small").vocabulary, most_tags=1)))
    assert short.tags == ("beep",)
    assert len(few) == 3
    with pytest.raises(CorpusError, match=r"mine has no tags in embedded: take them from elsewhere"):
        tagged(corpus, replace(quick("small"), tag_sources=("embedded",)))


def test_words_of_few_groups_are_left_out(tmp_path: Path) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 3)
    # Every beep is of one group; of the hisses each is its own.
    groups = ["beeps" if label == ["beep"] else None for label in corpus.column("labels")]
    grouped = replace(
        corpus,
        table=clip_table(corpus.column("path"), corpus.column("labels"), tags=corpus.column("tags"), groups=groups),
    )
    recipe = quick("small")
    recipe = replace(recipe, vocabulary=replace(recipe.vocabulary, fewest_groups=2))
    assert tagged(grouped, recipe)[1].tags == ("hissing", "noise")
    assert tagged(corpus, recipe)[1].tags == ("beep", "electronic", "hissing", "noise")


@pytest.mark.parametrize("shift", [0, 30])
def test_patches_are_moved_as_far_as_the_recipe_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shift: int
) -> None:
    chance = np.random.default_rng(0)
    corpus = beeps_and_hisses(tmp_path / "sounds", 2)
    for path in corpus.column("path"):
        soundfile.write(path, 0.1 * chance.normal(size=6 * 16000), 16000)
    drawn: list[LabelBatchSampler] = []

    def recorded(**given: Any) -> LabelBatchSampler:
        drawn.append(LabelBatchSampler(**given))
        return drawn[-1]

    monkeypatch.setattr(coala, "LabelBatchSampler", recorded)
    recipe = quick("small-e-c", 2)
    recipe = replace(recipe, shift=shift, training=replace(recipe.training, batch=2))
    recipe.run(corpus, tmp_path / "run")
    rooms = np.concatenate([draw.room for draw in drawn if draw.room is not None])
    assert (0 < rooms.min() <= rooms.max() <= 2 * shift) if shift else not rooms.any()


@pytest.mark.parametrize(
    "case", ["small", *(pytest.param(name, marks=pytest.mark.slow) for name in ("small-e-c", "small-cnn"))]
)
def test_a_run_learns_tags_and_keeps_them(tmp_path: Path, case: str) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds")
    run = quick(case).run(corpus, tmp_path / "run")
    model = soundloom.load(str(tmp_path / "run"))
    assert isinstance(model, Stream)
    assert isinstance(model.frontend, NormalisedFrontend)
    assert (model.name, model.dim) == ("run", 1152)
    assert not torch.equal(model.frontend.scale, torch.ones(96))  # the scaler is the training set's
    tags = AlignedTags.load(tmp_path / "run")
    vectors = np.stack([model.embed(path) for path in corpus.column("path")])
    in_common = tags.common(torch.from_numpy(vectors))
    torch.testing.assert_close(tags.centre, in_common, atol=0.05, rtol=0)
    found = suggest_tags(tags, vectors, k=2)
    words = {"beep": {"beep", "electronic"}, "hiss": {"hissing", "noise"}}
    right = [words[label] for (label,) in corpus.column("labels")]
    share = np.mean([found[place][0].tag in right[place] for place in range(len(right))])
    assert share > 0.8
    settings = yaml.safe_load((run.folder / "settings.yaml").read_text())
    assert settings["contrast_weight"] == (0 if case == "small-cnn" else 10)


def test_a_finished_run_is_found_again(tmp_path: Path) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 6)
    quick("small-e-c", 2).run(corpus, tmp_path / "run")
    before = load_file(tmp_path / "run" / "tags.safetensors")
    (tmp_path / "run" / "tags.safetensors").unlink()
    quick("small-e-c", 2).run(corpus, tmp_path / "run")  # killed between the model and its tags
    after = load_file(tmp_path / "run" / "tags.safetensors")
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    assert set(after) == set(before)


def test_any_stream_learns_tags(tmp_path: Path) -> None:
    corpus = beeps_and_hisses(tmp_path / "sounds", 6)
    with pytest.raises(TrainingError, match="set audio_weight to 0"):
        replace(quick("small", 2), stream="resnet-small").run(corpus, tmp_path / "refused")
    replace(quick("small-e-c", 2), stream="resnet-small").run(corpus, tmp_path / "run")
    tags = AlignedTags.load(tmp_path / "run")
    assert tags.dim == soundloom.load(str(tmp_path / "run")).dim
    assert tags.direction(["beep"]).shape == (tags.dim,)


def test_on_the_command_line(tmp_path: Path) -> None:
    beeps_and_hisses(tmp_path / "sounds", 4)
    arguments = [
        "train", "coala", str(tmp_path / "sounds"), "--out", str(tmp_path / "run"), "--preset", "small-e-c",
        "--tag-sources", "names", "--fewest-sounds", "2", "--steps", "2", "--batch", "4", "--warmup", "0",
    ]  # fmt: skip
    told = CliRunner().invoke(main, arguments)
    assert told.exit_code == 0, told.output
    assert AlignedTags.load(tmp_path / "run").vocabulary.tags == ("beep", "hiss")
