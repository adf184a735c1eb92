"""Layers and their fusion on tasks of a second, for an encoder whose layers know different things."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from torch import Tensor

from soundloom.cli import main
from soundloom.corpora import Corpus, load
from soundloom.embedder import Stream
from soundloom.encoders import Encoder
from soundloom.errors import InvalidArgumentError
from soundloom.evaluation.probes.batched_mlp import ProbeTraining
from soundloom.evaluation.probes.linear import LinearProbeSettings
from soundloom.evaluation.runner import evaluate
from soundloom.evaluation.training_clips import TrainingClips
from soundloom.frontends import LogMel
from soundloom.models import save_pretrained
from soundloom.reproduce import niizumi
from soundloom.reproduce.reporter import Reporter

RATE = 16000
QUICK = LinearProbeSettings(runs=1, rates=(1e-2, 1e-1), training=ProbeTraining(epochs=30, patience=30, batch_size=16))


class Split(Encoder):
    """Four layers over 64 bands: the first two hold the lower bands, the others the upper; 2 and 3 in full."""

    available = (1, 2, 3, 4)
    stride = 1

    def layers(self, representation: Tensor, wanted: Sequence[int]) -> list[Tensor]:
        """Bands of the log-mel, some of them drowned in a constant."""
        self.check_wanted(wanted)
        low, high = representation[:, :, :32], representation[:, :, 32:]
        every = {1: low.clamp(max=-4.0), 2: low, 3: high, 4: high.clamp(max=-4.0)}
        return [every[layer] for layer in wanted]

    def baseline(self, representation: Tensor) -> Tensor:
        """The last layer."""
        return self.layers(representation, [4])[0].flatten(1, 2)


@pytest.fixture(scope="module")
def model() -> Stream:
    return Stream("split", LogMel.vggish(), Split(), layers=None, pooling="mean").eval()


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> list[Corpus]:
    """Where a low tone is, and where a high one is; each sound has both."""
    folder = tmp_path_factory.mktemp("tasks")
    random, times = np.random.default_rng(0), np.arange(RATE // 2) / RATE
    rows: dict[str, list[str]] = {"low": [], "high": []}
    for number in range(60):
        low, high = random.integers(0, 3, 2)
        tones = (hertz * random.uniform(0.98, 1.02) for hertz in ((200, 320, 500)[low], (3000, 4200, 6000)[high]))
        sound = sum(0.2 * np.sin(2 * np.pi * tone * times) for tone in tones)
        soundfile.write(folder / f"{number}.wav", sound + 0.01 * random.standard_normal(len(times)), RATE)
        for task, label in (("low", low), ("high", high)):
            rows[task].append(f"{number}.wav,{'train' if number < 40 else 'test'},{task} {label}")
    for task, lines in rows.items():
        (folder / f"{task}.csv").write_text("\n".join(["path,split,label", *lines]) + "\n")
    return [replace(load(str(folder / f"{task}.csv")), name=task) for task in rows]


def test_the_layers_that_know_a_task_are_fused(model: Stream, tasks: list[Corpus], tmp_path: Path) -> None:
    lines: list[str] = []
    (study,) = niizumi.reproduce(
        {"split": model}, tasks, tmp_path / "out", Reporter(say=lines.append), settings=QUICK, cache=tmp_path / "cache"
    )
    choice = study.choice
    assert (choice.middle_tasks, choice.late_tasks) == (("low",), ("high",))
    assert study.fused == f"split#{choice.middle}#{choice.late}"
    assert choice.middle in (1, 2)
    assert choice.late in (3, 4)
    means = study.means()
    assert list(means)[:2] == ["split", study.fused]
    assert means[study.fused] > max(mean for name, mean in means.items() if name != study.fused)
    # Every number is the one that evaluation has for the model of that name.
    for alone in (model, model.with_layers([2]), model.with_layers([choice.middle or 0, choice.late or 0])):
        for task in tasks:
            expected = evaluate(alone, task, "linear", settings={"linear": QUICK}, cache=tmp_path / "other", workers=1)
            kept = [
                row for row in (*study.layers, *study.compared) if (row.model, row.corpus) == (alone.name, task.name)
            ]
            assert [row.scores["linear"].values for row in kept] == [expected.scores["linear"].values]
            assert kept[0].fingerprint == expected.fingerprint
    assert sum("linear: accuracy" in line for line in lines) == 2 * (4 + 2)


def test_what_was_measured_is_not_measured_again(
    model: Stream, tasks: list[Corpus], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learned = TrainingClips.of(tasks[1].filter(split="train"), 1)
    monkeypatch.setattr(niizumi, "find_training_clips", {"split": learned}.__getitem__)
    arguments = {"settings": QUICK, "cache": tmp_path / "cache", "layers": (2, 3)}
    first = niizumi.reproduce({"split": model}, tasks[:1], tmp_path / "out", **arguments)  # type: ignore[arg-type]
    lines: list[str] = []
    reporter = Reporter(say=lines.append)
    both = niizumi.reproduce({"split": model}, tasks, tmp_path / "out", reporter, **arguments)  # type: ignore[arg-type]
    assert sum("linear: accuracy" in line for line in lines) == 2 + 3  # the new task, and the old one's new fusion
    assert both[0].layers[:2] == first[0].layers
    monkeypatch.setattr(niizumi, "evaluate_features", None)
    monkeypatch.setattr(niizumi, "extract_features", lambda *_, **__: pytest.fail("embedded again"))
    again = niizumi.reproduce({"split": model}, tasks, tmp_path / "out", **arguments)  # type: ignore[arg-type]
    assert niizumi.markdown(again) == niizumi.markdown(both)
    assert "\nsplit, split#2#3 on low: trained on 40 of these 60 clips.\n" in niizumi.markdown(again)
    with pytest.raises(InvalidArgumentError, match="there is no layer 7"):
        niizumi.reproduce({"split": model}, tasks, tmp_path / "out", layers=[7])
    with pytest.raises(InvalidArgumentError, match="one model or more on one corpus or more"):
        niizumi.reproduce({}, tasks, tmp_path / "out")


def test_tables_and_figures(model: Stream, tasks: list[Corpus], tmp_path: Path) -> None:
    studies = niizumi.reproduce({"split": model}, tasks, tmp_path / "out", settings=QUICK, cache=tmp_path / "cache")
    text = niizumi.write(studies, tmp_path / "out")
    assert "| | low | high |" in text
    assert text.count("| split#2 |") == 1
    assert f"M = {studies[0].choice.middle} for low; L = {studies[0].choice.late} for high" in text
    assert (tmp_path / "out" / "tables.md").read_text() == text
    figure = (tmp_path / "out" / "layers-split.svg").read_text()
    assert figure.startswith("<svg")
    assert "mean of late tasks" in figure
    assert "Layers of split" in (tmp_path / "out" / "report.html").read_text()
    assert len(json.loads((tmp_path / "out" / "results.json").read_text())["results"]) == 2 * (4 + 2)


@pytest.mark.slow
def test_the_command(tasks: list[Corpus], tmp_path: Path) -> None:
    """A saved transformer of three layers, by its folder."""
    from soundloom.encoders import AST, ASTSettings
    from soundloom.frontends import Fbank

    torch.manual_seed(0)
    small = AST(ASTSettings(width=16, hidden=16, depth=3, heads=2))
    window = Stream("mine", Fbank(), small, layers=None, pooling="mean", min_samples=2800).eval()
    save_pretrained(window, tmp_path / "mine")
    on = [part for task in tasks for part in ("--on", f"{task.root}/{task.name}.csv")]
    command = ["reproduce", "niizumi", *on, "--model", str(tmp_path / "mine"), "--runs", "1", "-o", str(tmp_path / "o")]
    done = CliRunner().invoke(main, [*command, "--cache", str(tmp_path / "cache"), "-j", "1"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "Table III" in done.stdout
    assert (tmp_path / "o" / "report.html").is_file()
