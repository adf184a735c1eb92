"""The tables of Verma 2023 in miniature: two streams on tones of two folds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner

from helpers.diverse_tones import TINY, two_folds_of_tones
from soundloom.cli.reproduce_verma import command as reproduce_command
from soundloom.cli.reproduce_verma import fold_range
from soundloom.corpora import Corpus, CorpusError
from soundloom.recipes.diverse import DIVERSE
from soundloom.reproduce.reporter import Reporter
from soundloom.reproduce.verma import PAPER_TOP, markdown, reproduce, write


@pytest.fixture
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The tones."""
    return two_folds_of_tones(tmp_path_factory.mktemp("tones"))


@pytest.mark.slow
def test_every_subset_is_measured_and_the_papers_numbers_stand_beside(corpus: Corpus, tmp_path: Path) -> None:
    small = replace(TINY, streams=("pitch", "timbre"))
    # Fewer to test than to learn from: what is scored cannot be mistaken for what was learned.
    corpus = corpus.filter(mask=~np.isin(np.arange(len(corpus)), [6, 7]))
    told: list[str] = []
    found = reproduce(corpus, small, tmp_path, Reporter(say=told.append), folds=slice(1, 2))
    assert told == ["tones, fold-2: 6 clips to learn from, 4 to test"]
    assert found.folds == ("fold-2",)
    text = write(found, tmp_path)
    assert "| pitch | 27.2 | " in text
    assert "| pitch+timbre | - | " in text
    data = json.loads((tmp_path / "results.json").read_text())
    assert [subset["parts"] for subset in data["subsets"]] == [["pitch"], ["timbre"], ["pitch", "timbre"]]
    assert len(data["shares of each test clip's output"]["pitch"]) == 4
    assert (tmp_path / "subsets.png").stat().st_size > 1000
    kept = sorted(tmp_path.glob("*/outputs-*.npz"))
    assert [np.load(path)["pitch"].shape for path in kept] == [(8, 3)]  # two seconds of each tested clip
    stamps = [path.stat().st_mtime_ns for path in kept]
    again = reproduce(corpus, small, tmp_path, folds=slice(1, 2))
    assert markdown(again) == text
    assert [path.stat().st_mtime_ns for path in kept] == stamps


def test_a_corpus_without_a_test_part_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="tones has neither folds nor a train and a test part"):
        reproduce(corpus.filter(fold=1), TINY, tmp_path)
    refused = CliRunner().invoke(reproduce_command, ["--on", "a", "--on", "b", "--out", str(tmp_path)])
    assert "one corpus at a time, got 2" in refused.output
    with pytest.raises(CorpusError, match="tones has 2 test parts, which are none of those asked for"):
        reproduce(corpus, TINY, tmp_path, folds=slice(2, 3))


@pytest.mark.parametrize(("text", "meant"), [("3", slice(0, 3)), ("3-5", slice(2, 5)), ("2-2", slice(1, 2))])
def test_folds_are_the_first_ones_or_a_range(text: str, meant: slice) -> None:
    assert fold_range(text) == meant


@pytest.mark.parametrize("text", ["0", "5-3", "-3", "3-", "a", "1.5", "0-2", ""])
def test_what_is_no_range_of_folds_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="are no folds: give 3 for the first three, or 3-5"):
        fold_range(text)


def test_the_papers_numbers_are_of_its_streams() -> None:
    assert set(PAPER_TOP) == {*((name,) for name in DIVERSE), DIVERSE}
