"""What corpora, results and embedders show in a notebook: their facts, as escaped HTML."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

import soundloom
from soundloom.corpora import Corpus, clip_table


def test_corpora_embedders_and_results_show_their_facts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label in ("a<b", "c"):
        (tmp_path / label).mkdir()
        for number in range(4):
            soundfile.write(tmp_path / label / f"{number}.wav", 0.1 * rng.normal(size=8000), 16000)
    corpus = soundloom.corpora.load(tmp_path)
    shown = corpus._repr_html_()
    assert "a&lt;b 4, c 4" in shown
    assert "<b " not in shown
    model = soundloom.load("logmel+mfcc")
    assert repr(model).startswith(f"<{type(model).__name__} {model.name!r}: {model.dim} numbers (")
    assert "\n" not in repr(model)
    shown = model._repr_html_()
    assert "<td>logmel+mfcc</td>" in shown
    assert f"<td>{model.dim}</td>" in shown
    assert "16,000 Hz" in shown
    result = soundloom.evaluate(model, corpus, ["linear", "knn"])
    shown = result._repr_html_()
    assert f"<td>{result.measurements['linear'].score.mean:.4f}</td>" in shown
    assert "not measured" in shown
    assert "k is 10" in shown


def test_many_classes_are_counted(tmp_path: Path) -> None:
    names = [f"class{number:02}" for number in range(25)]
    table = clip_table([f"/{name}.wav" for name in names], names)
    shown = Corpus(name="many", root=tmp_path, task="single-label", classes=tuple(names), table=table)._repr_html_()
    assert "class19 1 and 5 more" in shown
