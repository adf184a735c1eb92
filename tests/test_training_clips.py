"""Clips that a run was trained on: kept beside it, recognised by content and region, and told beside every figure."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundloom
from helpers.command_line import run
from soundloom import corpora
from soundloom.corpora import Corpus, clip_table
from soundloom.errors import ModelError
from soundloom.evaluation import KNNSettings
from soundloom.evaluation.runner import evaluate
from soundloom.evaluation.training_clips import TrainingClips, find_training_clips, keep_training_clips
from soundloom.models.saved_model import TRAINING_CLIPS, save_pretrained

RATE = 16_000
SMALL = ("--steps", 2, "--batch", 4, "--stream", "transformer", "--warmup", 0, "--validation", 0.25)


def write(folder: Path, seeds: range) -> Path:
    """A hum and a hiss for each seed, in a folder of each kind."""
    times = np.arange(round(2.5 * RATE)) / RATE
    for seed in seeds:
        hiss = np.random.default_rng(seed).normal(0, 0.1, len(times))
        hum = 0.2 * np.sin(2 * np.pi * (100 + 20 * seed) * times)
        for kind, samples in (("hiss", hiss), ("hum", hum + 0.01 * hiss)):
            (folder / kind).mkdir(parents=True, exist_ok=True)
            soundfile.write(folder / kind / f"{seed}.wav", samples, RATE)
    return folder


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> object:
    patch = pytest.MonkeyPatch()
    patch.setenv("SOUNDLOOM_HOME", str(tmp_path_factory.mktemp("home")))
    yield
    patch.undo()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on twelve sounds in ``old``, and ``half``: eight of them under other names, beside twelve others."""
    folder = tmp_path_factory.mktemp("trained")
    write(folder / "old", range(6))
    write(folder / "half", range(6, 12))
    for kind in ("hiss", "hum"):
        for seed in range(4):
            shutil.copyfile(folder / "old" / kind / f"{seed}.wav", folder / "half" / kind / f"copy{seed}.wav")
    done = run("train", "triplet", folder / "old", "--out", folder / "run", *SMALL)
    assert done.exit_code == 0, done.output
    return folder


def test_a_figure_says_how_many_of_its_clips_were_learned_from(trained: Path) -> None:
    settings = {"knn": KNNSettings(k=1)}
    half = evaluate(str(trained / "run"), trained / "half", "knn", settings=settings, workers=1)
    assert (half.trained_on, half.clips) == (8, 20)
    assert half.caution == "trained on 8 of these 20 clips"
    assert str(half).splitlines()[0] == "run on folder: 20 of 20 clips, trained on 8 of these 20 clips"
    assert "trained on 8 of these 20 clips" in half._repr_html_()
    # Those to validate on count as well.
    every = evaluate(str(trained / "run"), trained / "old", "knn", settings=settings, workers=1)
    assert (every.trained_on, every.clips) == (12, 12)
    none = evaluate("logmel", trained / "old", "knn", settings=settings, workers=1)
    assert (none.trained_on, none.caution) == (0, "")
    woven = evaluate(f"logmel+{trained / 'run'}", trained / "half", "knn", settings=settings, workers=1)
    assert woven.trained_on == 8


def test_commands_say_so_beside_their_figures(trained: Path, tmp_path: Path) -> None:
    on = ("--on", trained / "half", "--protocol", "knn", "-j", "1")
    done = run("evaluate", trained / "run", "mfcc", *on, "-o", tmp_path / "report")
    assert done.exit_code == 0, done.output
    assert "run on folder: trained on 8 of these 20 clips" in done.stdout.splitlines()
    assert "mfcc on folder: trained" not in done.output
    assert "run on folder: trained on 8 of these 20 clips" in (tmp_path / "report" / "report.html").read_text()
    kept = json.loads((tmp_path / "report" / "results.json").read_text())["results"]
    assert [row["trained_on"] for row in kept] == [8, 0]
    assert run("evaluate", "--join", tmp_path / "report" / "results.json").stdout.count("trained on 8") == 1

    save_pretrained(soundloom.load("yamnet", weights="random"), tmp_path / "layered")
    keep_training_clips(tmp_path / "layered", corpora.load(trained / "old"), [], 1)
    layers = run("layers", tmp_path / "layered", *on)
    assert layers.exit_code == 0, layers.output
    (line,) = (line for line in layers.stdout.splitlines() if "trained on" in line)
    assert line.startswith("yamnet#1, yamnet#2, ")
    assert line.endswith(" on folder: trained on 8 of these 20 clips")


def test_the_clips_of_models_that_a_training_began_with_count(trained: Path, tmp_path: Path) -> None:
    new = write(tmp_path / "new", range(12, 16))
    done = run("train", "triplet", new, "--out", tmp_path / "again", "--init", trained / "run", *SMALL)
    assert done.exit_code == 0, done.output
    clips = find_training_clips(tmp_path / "again")
    assert len(clips) == 12 + 8
    assert (clips.count(corpora.load(trained / "half")), clips.count(corpora.load(new))) == (8, 8)


def regions(path: Path, *spans: tuple[float, float | None]) -> Corpus:
    starts, ends = zip(*spans, strict=True)
    table = clip_table([str(path)] * len(spans), ["a"] * len(spans), starts=list(starts), ends=list(ends))
    return Corpus(name="regions", root=path.parent, task="single-label", classes=("a",), table=table)


def test_regions_count_where_they_overlap(trained: Path) -> None:
    path = trained / "old" / "hum" / "0.wav"
    clips = TrainingClips.of(regions(path, (0.2, 0.4), (0.8, None)), 1)
    assert clips.count(regions(path, (0.0, 0.2), (0.4, 0.8)), 1) == 0  # beside them
    assert clips.count(regions(path, (0.0, 0.3), (0.25, 0.35), (0.3, 0.9), (1.0, 1.1), (0.0, None)), 1) == 5
    assert clips.count(regions(trained / "old" / "hum" / "1.wav", (0.2, 0.4)), 1) == 0


def test_clips_of_other_weights_and_damaged_files_are_not_believed(trained: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(trained / "run", tmp_path / "run")
    assert len(find_training_clips(folder)) == 12
    save_pretrained(soundloom.load("logmel"), folder)
    assert len(find_training_clips(folder)) == 0
    shutil.copyfile(trained / "run" / "model.safetensors", folder / "model.safetensors")
    (folder / TRAINING_CLIPS).write_bytes(b"x")
    with pytest.raises(ModelError, match=r"training_clips\.safetensors is damaged .*: delete it"):
        find_training_clips(folder)
