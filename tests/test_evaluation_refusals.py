"""What a corpus's labels and splits forbid is refused before a sound is embedded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom import corpora
from soundloom.errors import EvaluationError
from soundloom.evaluation import extraction
from soundloom.evaluation.runner import evaluate


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Eight noises; nothing can be embedded."""
    for number in range(8):
        soundfile.write(tmp_path / f"{number}.wav", np.random.default_rng(number).normal(0, 0.1, 8000), 16000)
    monkeypatch.setattr(extraction, "extract_features", None)
    return tmp_path


@pytest.mark.parametrize(
    ("columns", "protocol", "why"),
    [
        ("path", "leave-one-out", "leave-one-out on .*: its clips have no labels"),
        ("path,label", "leave-one-out", "leave-one-out on .*a class of two clips or more, and a clip outside it"),
        ("path,label", "query-by-example", "query-by-example on .*a class of two clips or more, and a clip outside it"),
        ("path,label,fold", "linear", "linear on .*a classifier needs at least 2"),
        ("path,label,fold", "few-shot", "few-shot on .*a classifier needs at least 2"),
        ("path,label,fold", "knn", "there are only 4 clips to ask"),
    ],
)
def test_before_a_sound_is_embedded(folder: Path, columns: str, protocol: str, why: str) -> None:
    rows = (f"{number}.wav,noise,{number % 2}".split(",")[: columns.count(",") + 1] for number in range(8))
    (folder / "clips.csv").write_text("\n".join([columns, *map(",".join, rows)]))
    with pytest.raises(EvaluationError, match=why):
        evaluate("logmel", corpora.load(folder / "clips.csv"), [protocol], cache=folder / "cache")


def test_fewer_clips_than_a_ranking_looks_at(folder: Path) -> None:
    rows = [f"{number}.wav,{'ab'[number % 2]}" for number in range(8)]
    (folder / "clips.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(EvaluationError, match="k is 10, but a clip has only 7 others"):
        evaluate("logmel", corpora.load(folder / "clips.csv"), "leave-one-out", cache=folder / "cache")
