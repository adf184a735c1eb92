"""Backgrounds of detectors: made of collections, kept beside their model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

import soundloom
from soundloom.cli import main
from soundloom.detectors.background import Background, find_background
from soundloom.detectors.embedding_space import EmbeddingSpace
from soundloom.errors import DetectorError, InvalidArgumentError
from soundloom.library.tags.logistic_regression import average_precision
from soundloom.models.saved_model import BACKGROUND, PACKAGED

RATE = 16_000


MODEL = "logmel"


def labelled(rng: np.random.Generator, kinds: int, each: int) -> tuple[np.ndarray, list[str]]:
    """Embeddings of sounds whose kinds differ in eight columns, and which differ far more in eight others."""
    centres = np.repeat(rng.normal(size=(kinds, 8)), each, axis=0)
    rest = 4 * rng.normal(size=(kinds * each, 8))
    within = 0.5 * rng.normal(size=(kinds * each, 8))
    # Turned, so that no column is of one sort alone.
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(16, 16)))[0]
    embeddings = np.concatenate([centres + within, rest], axis=1) @ turn
    return embeddings.astype(np.float32), [str(kind) for kind in np.repeat(np.arange(kinds), each)]


def test_a_background_turns_away_from_what_differs_within_kinds() -> None:
    rng = np.random.default_rng(0)
    parts = {"all": slice(0, 16)}
    background = Background.fit(*labelled(rng, 60, 5), parts, {})
    embeddings, labels = labelled(rng, 40, 10)
    unlabelled, _ = labelled(rng, 300, 1)
    truth = np.array([label == "0" for label in labels])
    examples, tested = np.flatnonzero(truth)[:3], np.setdiff1d(np.arange(400), np.flatnonzero(truth)[:3])
    found = {}
    for name, one in {"with": background, "without": None}.items():
        space = EmbeddingSpace.fit(unlabelled, parts, {}, one)
        vectors = space.transform(embeddings)[:, : space.decorrelated]
        found[name] = average_precision(vectors[tested] @ vectors[examples].mean(axis=0), truth[tested])
    assert found["with"] > found["without"] + 0.2
    few = EmbeddingSpace.fit(unlabelled[:0], parts, {}, background)
    assert few.decorrelated == 16  # by the background's own sounds
    with pytest.raises(InvalidArgumentError, match="share labels"):
        Background.fit(unlabelled, [str(number) for number in range(300)], parts, {})


def test_a_background_lies_beside_its_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = soundloom.load()
    packaged = find_background("loom", model)
    assert packaged is not None
    assert packaged.sounds.shape[1] == model.dim
    assert (PACKAGED / "loom" / BACKGROUND).stat().st_size < 1_000_000
    packaged.write(tmp_path / BACKGROUND, model)
    again = Background.read(tmp_path / BACKGROUND, model)
    assert again is not None
    np.testing.assert_allclose(again.within, packaged.within, atol=1e-5)
    assert Background.read(tmp_path / BACKGROUND, soundloom.load(MODEL)) is None
    assert find_background(MODEL, soundloom.load(MODEL)) is None
    (tmp_path / BACKGROUND).write_bytes(b"x")
    with pytest.raises(DetectorError, match="soundloom detector background"):
        Background.read(tmp_path / BACKGROUND, model)


def test_a_background_is_made_of_a_labelled_collection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundloom.detectors.background.PACKAGED", tmp_path / "models")
    model = soundloom.load(MODEL)
    rng = np.random.default_rng(0)
    lines = ["path,label"]
    for number in range(2 * model.dim + 4):
        soundfile.write(tmp_path / f"{number}.wav", rng.normal(0, 0.1, RATE // 4), RATE)
        lines.append(f"{number}.wav,{'ab'[number % 2]}")
    (tmp_path / "sounds.csv").write_text("\n".join(lines))
    words = ["detector", "background", str(tmp_path / "sounds.csv"), "-m", MODEL, "-j", "1"]
    result = CliRunner().invoke(main, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found = find_background(MODEL, model)
    assert found is not None
    assert found.within.shape == (model.dim, model.dim)
    beside = (tmp_path / "models" / MODEL / BACKGROUND).read_bytes()
    result = CliRunner().invoke(main, [*words, "-o", str(tmp_path / "named")], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert (tmp_path / "named").read_bytes() == beside
