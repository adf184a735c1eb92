"""The tables of Jansen 2017, from training to the picture, on sounds of a second."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from soundloom import corpora
from soundloom.cli import main
from soundloom.corpora import Corpus, clip_table
from soundloom.evaluation.results import EvaluationError
from soundloom.feature_cache import form_of, prepare
from soundloom.objectives import only
from soundloom.recipes.architectures import build_stream
from soundloom.recipes.triplet import PRESETS, TripletRecipe
from soundloom.reproduce import jansen
from soundloom.reproduce import jansen_tables as tables
from soundloom.reproduce.jansen import JansenResult, JansenSettings, reproduce
from soundloom.reproduce.reporter import Reporter
from soundloom.reproduce.result_cache import ResultCache
from soundloom.reproduce.window_embeddings import embedded, log_mel

# --- tables


def test_recovery_is_the_paper_s_share_of_the_gap() -> None:
    # The percentages that the paper prints beside its mAPs.
    printed = {
        "noise": (15, 14, 6),
        "translation": (23, 19, 12),
        "mixing": (18, 17, 11),
        "proximity": (38, 72, 74),
        "joint": (41, 80, 84),
    }
    for row, shares in printed.items():
        for column, share in zip(tables.COLUMNS, shares, strict=True):
            found = tables.recovery(tables.PAPER, row, column)
            assert found is not None
            assert 100 * found == pytest.approx(share, abs=0.6)


def test_without_a_gap_there_is_nothing_to_recover() -> None:
    flat = {"topline": {"retrieval": 0.5}, "log-mel": {"retrieval": 0.5}, "joint": {"retrieval": 0.6}}
    assert tables.recovery(flat, "joint", "retrieval") is None
    assert tables.recovery({"joint": {"retrieval": 0.6}}, "joint", "retrieval") is None
    assert str(tables.RecoveryCell(0.6, 0.575, None, 0.41)) == "0.600 (0.575 41 %)"


def test_markdown_has_a_line_a_row_and_the_paper_s_numbers() -> None:
    text = tables.markdown("esc50", tables.PAPER, {"joint": 0.4}, tables.PAPER_FEW)
    lines = [line for line in text.splitlines() if line.startswith("| joint unsupervised |")]
    assert lines == [
        "| joint unsupervised | 0.575 41 % (0.575 41 %) | 0.244 80 % (0.244 80 %) | 0.259 84 % (0.259 84 %) | 0.400 |"
    ]
    assert "| network from scratch | 0.072 (0.072) |" in text


def test_bars_are_drawn_whatever_the_collection_is_called(tmp_path: Path) -> None:
    name = "no formula: $\\frac$, no letter of any font: \U0010fffd"
    tables.draw_bars(name, tables.PAPER, tables.PAPER_FEW, tmp_path / "bars.png")
    assert (tmp_path / "bars.png").read_bytes().startswith(b"\x89PNG")


def test_the_cache_measures_once_what_depends_on_the_same(tmp_path: Path) -> None:
    calls = []

    def measure() -> float:
        calls.append(None)
        return 0.5 + len(calls)

    path = tmp_path / "measured.json"
    assert ResultCache(path).get_or_compute("a", [1, "x"], measure) == 1.5
    assert ResultCache(path).get_or_compute("a", [1, "x"], measure) == 1.5
    assert ResultCache(path).get_or_compute("a", [2, "x"], measure) == 2.5
    path.write_text("{")
    with pytest.raises(EvaluationError, match="remove the file to measure anew"):
        ResultCache(path)


# --- measuring


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four classes of twelve clips, each class a tone of its own in noise; three seconds each, some shorter."""
    folder = tmp_path_factory.mktemp("sounds")
    generator = np.random.default_rng(0)
    for number, name in enumerate("abcd"):
        (folder / name).mkdir()
        for clip in range(12):
            seconds = 3.0 if clip else 0.5
            times = np.arange(round(16000 * seconds)) / 16000
            tone = np.sin(2 * np.pi * (400 * (number + 1) + generator.normal(0, 20)) * times)
            noisy = 0.2 * tone + generator.normal(0, 0.05, len(times))
            soundfile.write(folder / name / f"{clip}.wav", noisy.astype(np.float32), 16000)
    return folder


def folded(folder: Path) -> Corpus:
    """The sounds in two folds."""
    whole = corpora.load(folder)
    paths = sorted(whole.column("path"))
    return Corpus(
        name="tones",
        root=folder,
        task="single-label",
        classes=whole.classes,
        table=clip_table(
            paths, [Path(path).parent.name for path in paths], folds=[1 + place % 2 for place in range(len(paths))]
        ),
        split_origin="listed",
    )


def small(steps: int) -> object:
    return replace(
        PRESETS["small"],
        validation=0.0,
        training=replace(PRESETS["small"].training, steps=steps, batch=8, warmup=0, device="cpu"),
    )


def test_windows_are_the_aligned_ones_each_embedded_alone(sounds: Path) -> None:
    corpus, stream = folded(sounds), build_stream("resnet-small", 0, "s")
    stream.eval()
    dataset = prepare(corpus, form_of(stream))
    windows = embedded(stream, dataset)
    assert np.bincount(windows.clips).tolist() == [
        1 if path.endswith("/0.wav") else 3 for path in corpus.column("path")
    ]
    energies = dataset.restore(dataset.take(np.array([5]), np.array([96]), 96))
    with torch.inference_mode():
        alone = stream.embed_window(stream.frontend.compress(energies).transpose(1, 2).unsqueeze(1))[0].numpy()
    place = np.flatnonzero(windows.clips == 5)[1]
    np.testing.assert_allclose(windows.vectors[place], alone, atol=1e-5)
    np.testing.assert_allclose(
        windows.means()[5], windows.vectors[windows.clips == 5].mean(axis=0), rtol=1e-5, atol=1e-6
    )
    flat = log_mel(stream, dataset)
    assert flat.vectors.shape == (len(windows.clips), 64 * 96)


@pytest.mark.slow
@pytest.mark.long
def test_both_tables_are_measured_and_a_second_run_measures_nothing(sounds: Path, tmp_path: Path) -> None:
    corpus, told = folded(sounds), []
    settings = JansenSettings(splits=1, epochs=2, segments=2, draws=1, scratch_steps=2)
    arguments = (corpus, corpora.load(sounds), small(2), settings, tmp_path, Reporter(say=told.append))
    found = reproduce(*arguments)  # type: ignore[arg-type]
    assert isinstance(found, JansenResult)
    assert found.splits == ("1",)
    assert list(found.table) == [row for row in tables.TITLES if not row.startswith("few")]
    assert list(found.few) == ["few log-mel", "few scratch", "few joint"]
    assert all(0 < value <= 1 for row in found.table.values() for value in row.values())
    # There is a topline a split, none for all clips.
    assert found.whole.keys() == found.table.keys() - {"topline"}
    runs = {folder.name for folder in (tmp_path / "runs").iterdir()}
    assert runs == {"noise", "translation", "mixing", "proximity", "joint", "topline-tones-1", "scratch-tones-1-1"}
    stamp = (tmp_path / "measured.json").stat().st_mtime_ns
    assert reproduce(*arguments) == found  # type: ignore[arg-type]
    assert (tmp_path / "measured.json").stat().st_mtime_ns == stamp


@pytest.mark.slow
@pytest.mark.long
def test_learned_embeddings_are_measured_at_unit_length_if_asked(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lengths: list[np.ndarray] = []
    measure = jansen.shallow_classifier

    def spy(vectors: np.ndarray, *rest: object, **more: object) -> object:
        lengths.append(np.linalg.norm(vectors, axis=1))
        return measure(vectors, *rest, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(jansen, "shallow_classifier", spy)
    settings = JansenSettings(splits=1, epochs=1, segments=0, unit_length=True)
    reproduce(folded(sounds), corpora.load(sounds), small(1), settings, tmp_path)  # type: ignore[arg-type]
    unit = [np.allclose(row, 1, atol=1e-5) for row in lengths]
    assert unit == [False] * 2 + [True] * (len(unit) - 2)  # log-mel, by two classifiers, then all that learned


@pytest.mark.slow
def test_the_topline_never_hears_the_clips_it_is_tested_on(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = []
    run = TripletRecipe.run

    def spy(recipe: TripletRecipe, corpus: Corpus, out: Path, *named: object, **options: object) -> object:
        learned.append((recipe, corpus, out.name))
        return run(recipe, corpus, out, *named, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(TripletRecipe, "run", spy)
    corpus = folded(sounds)
    settings = JansenSettings(epochs=1, segments=0)
    reproduce(corpus, corpora.load(sounds), small(1), settings, tmp_path)  # type: ignore[arg-type]
    toplines = {name: (recipe, known) for recipe, known, name in learned if name.startswith("topline")}
    assert toplines.keys() == {"topline-tones-1", "topline-tones-2"}
    for name, (recipe, known) in toplines.items():
        assert {str(fold) for fold in known.column("fold")} == {"2" if name.endswith("1") else "1"}
        assert recipe.objective.shares == {"labelled": 1.0}
    joint = next(recipe for recipe, _, name in learned if name == "joint")
    assert joint.objective.shares == dict.fromkeys(("noise", "translation", "mixing", "proximity"), 0.25)
    assert only("labelled")["labelled"] == 1.0


@pytest.mark.slow
@pytest.mark.long
def test_the_command_prints_and_keeps_the_tables(sounds: Path, tmp_path: Path) -> None:
    flags = ["--preset", "small", "--steps", "1", "--batch", "8", "--segments", "2", "--draws", "1", "--epochs", "1"]
    flags += ["--scratch-steps", "1", "--folds", "1", "--device", "cpu", "-o", str(tmp_path / "out")]
    # Of so few clips there are no pairs to spare for validating.
    (tmp_path / "settings.yaml").write_text("validation: 0.0\n")
    flags += ["--config", str(tmp_path / "settings.yaml")]
    ran = CliRunner().invoke(
        main, ["reproduce", "jansen", "--on", str(sounds), "--train-on", str(sounds), *flags], catch_exceptions=False
    )
    assert ran.exit_code == 0, ran.output
    assert "supervised triplets (topline)" in ran.output
    assert "network from scratch" in ran.output
    kept = json.loads((tmp_path / "out" / "results.json").read_text())
    assert kept["paper"] == "Jansen 2017"
    (corpus,) = kept["corpora"]
    assert corpus["table 1"]["joint"]["retrieval"]["paper"] == 0.575
    assert (tmp_path / "out" / "tables.md").read_text().startswith("## ")
    assert (tmp_path / "out" / f"{corpus['corpus']}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", [{"runs": 0}, {"draws": 0}, {"splits": -1}, {"scratch_steps": 0}, {"segments": -1}])
def test_settings_say_what_is_wrong_with_them(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be at least"):
        JansenSettings(**wrong)
