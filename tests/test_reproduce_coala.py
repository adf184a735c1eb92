"""The paper's tables in miniature: two collections of beeps and hisses, trainings of a few steps."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from helpers.tagged_corpus import beeps_and_hisses
from soundloom.cli import main
from soundloom.evaluation.analysis.projection import principal_components
from soundloom.one_thread import one_thread
from soundloom.reproduce.coala import CASES, CoalaSettings
from soundloom.reproduce.coala_tables import CELLS, PAPER_CORRELATIONS, PAPER_TASKS, TITLES, markdown


def test_the_papers_numbers_say_what_the_paper_concludes() -> None:
    """Favory 2020, section 4: reconstruction helps; its embeddings lie closest to the acoustic features."""
    assert set(TITLES) == {*CASES, "mfcc"}
    for task in PAPER_TASKS.values():
        assert set(task) == set(TITLES)
        assert task["ae-c"] > task["e-c"] > task["cnn"]
    assert set(PAPER_CORRELATIONS) == set(CASES)
    for cell in CELLS:
        assert 1 > PAPER_CORRELATIONS["ae-c"][cell] > PAPER_CORRELATIONS["e-c"][cell] > 0


def test_the_page() -> None:
    tasks = {"urbansound8k": dict.fromkeys(TITLES, 0.5), "mine": {"ae-c": 0.25}}
    cells = {feature: dict.fromkeys(("mean", "variance", "skewness"), 0.1) for feature, _ in CELLS}
    page = markdown(tasks, {"mine": {"ae-c": cells}}, {"ae-c": 0.5, "chance": 0.1}, {"cnn": 0.3}, "about")
    assert "| AE-C | 50.0 (72.7) | 25.0 | 60.7 | 73.1 |" in page
    assert "| MFCCs | 50.0 (65.8) | - | 49.8 | 62.6 |" in page
    assert "0.10 (0.84)" in page
    assert "| chance | 0.1000 |" in page
    assert "|  | mAP over sounds |\n| --- | ---: |\n| cnn | 0.3000 |" in page


def test_principal_components_are_the_directions_of_most_variance() -> None:
    chance = np.random.default_rng(0)
    vectors = np.zeros((50, 6))
    vectors[:, :2] = chance.normal(size=(50, 2)) * [5, 0.01]  # standardised, both count
    vectors[:, 2] = vectors[:, 0] * 2
    found = principal_components(vectors, 4)
    assert found.shape == (50, 2)  # only two directions vary
    covariance = np.cov(found.T)
    assert covariance[0, 1] == pytest.approx(0, abs=1e-9)
    assert covariance[0, 0] >= covariance[1, 1]


def test_settings_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="runs must be at least 1, got 0"):
        CoalaSettings(runs=0)


@pytest.mark.slow
@pytest.mark.long
def test_in_miniature(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
    beeps_and_hisses(tmp_path / "learned", 12)
    tested = beeps_and_hisses(tmp_path / "tested", 25)
    tested.save(tmp_path / "tested.parquet")
    settings = {"fewest_sounds": 2, "validation": 0.25, "validate_every": 4, "warmup": 0, "log_every": 1}
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(settings))
    arguments = [
        "reproduce", "coala", "--on", str(tmp_path / "tested.parquet"), "--train-on", str(tmp_path / "learned"),
        "--out", str(tmp_path / "out"), "--preset", "small", "--config", str(tmp_path / "few.yaml"),
        "--tag-sources", "names", "--steps", "4", "--batch", "6", "--runs", "2", "--components", "3", "--json",
    ]  # fmt: skip
    with one_thread:
        told = CliRunner().invoke(main, arguments)
        assert told.exit_code == 0, told.output
        results = json.loads(told.stdout)
        again = CliRunner().invoke(main, arguments)
    assert json.loads(again.stdout)["tasks"] == results["tasks"]
    assert set(results["tasks"]["mine"]) == set(TITLES)
    assert results["tasks"]["mine"]["mfcc"] > 0.9
    assert all(0 <= value <= 1 for value in results["tasks"]["mine"].values())
    assert set(results["correlations"]["mine"]["ae-c"]) == {feature for feature, _ in CELLS}
    assert results["tags"] == 2
    assert results["ranked"] == 2
    assert set(results["retrieval"]) == {
        "ae-c", "ae-c, as a library ranks", "e-c", "e-c, as a library ranks", "cnn", "chance",
    }  # fmt: skip
    assert set(results["suggestions"]) == {
        "ae-c", "ae-c, decoded", "e-c", "cnn", "how frequent each is", "chance",
    }  # fmt: skip
    assert all(0 < value <= 1 for value in [*results["retrieval"].values(), *results["suggestions"].values()])
    assert results["learned from"] == "folder"
    assert (tmp_path / "out" / "tables.md").read_text().count("| AE-C |") == 2
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == results
