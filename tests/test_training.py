"""The trainer: a run that was stopped ends as one that was not, and what goes wrong is told."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor

import soundloom
from helpers import toy_training
from helpers.killed_training import STEPS, Killed, killed_after, rows
from soundloom.errors import MissingExtraError
from soundloom.training import Run, TrainingError, TrainingProgress, TrainingSettings, Validation, fit
from soundloom.training.checkpoints import Checkpoints
from soundloom.training.prefetch import prefetch, shard
from soundloom.training.seeds import seeded, set_seed


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Tensor]]:
    """A run that nobody stopped."""
    return toy_training.learn(tmp_path_factory.mktemp("whole") / "run")


def test_learns(whole: tuple[Run, dict[str, Tensor]]) -> None:
    run, _ = whole
    found = rows(run.folder)
    assert float(found[-1]["loss"]) < 0.8 * float(found[0]["loss"])
    assert float(found[-1]["accuracy"]) > float(found[0]["accuracy"])
    assert (run.steps, run.early) == (STEPS, False)
    assert run.loss == pytest.approx(min(float(row["validation loss"]) for row in found if row["validation loss"]))


def test_rows_come_when_logged_or_validated_and_are_means(whole: tuple[Run, dict[str, Tensor]]) -> None:
    found = rows(whole[0].folder)
    assert [int(float(row["step"])) for row in found] == [3, 4, 6, 8, 9, 12]
    assert [row["step"] for row in found if row["validation loss"]] == ["4", "8", "12"]
    assert list(found[0]) == [
        "step",
        "loss",
        "accuracy",
        "learning rate",
        "seconds",
        "validation loss",
        "validation accuracy",
    ]


def test_the_run_folder_is_a_model(whole: tuple[Run, dict[str, Tensor]]) -> None:
    run, weights = whole
    model = soundloom.load(str(run.folder))
    assert toy_training.same(model.state_dict(), weights)
    assert np.isfinite(model.embed(np.zeros(40_000, np.float32))).all()
    assert np.array_equal(run.model().embed(np.ones(9000, np.float32)), model.embed(np.ones(9000, np.float32)))
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "settings.yaml",
        "metrics.csv",
        "curves.png",
        "checkpoints",
        "config.json",
        "model.safetensors",
        "README.md",
    }


def test_curves_are_a_picture_with_something_in_it(whole: tuple[Run, dict[str, Tensor]]) -> None:
    picture = imread(whole[0].folder / "curves.png")
    height, width, _ = picture.shape
    assert width == 1440
    assert height > 500
    # Three panels, of which each has lines in the colour of training.
    blue = np.abs(picture[..., :3] - np.array([0x00, 0x72, 0xB2]) / 255).max(axis=2) < 0.1
    assert blue[: height // 2, : width // 2].any()
    assert blue[: height // 2, width // 2 :].any()
    assert blue[height // 2 :, : width // 2].any()


def test_stops_early_and_keeps_the_best(tmp_path: Path) -> None:
    # Validated on classes turned round, so that learning makes it worse.
    def turned(number: int) -> dict[str, Tensor]:
        batch = toy_training.draw(10**6 + number)
        return {**batch, "classes": (batch["classes"] + 1) % 3}

    changes = {"steps": 40, "validate_every": 1, "patience": 3}
    run, best = toy_training.learn(tmp_path / "best", changes, validation=Validation(sampler=turned, batches=2))
    assert run.early
    assert run.best_step is not None
    assert run.steps == run.best_step + 3
    shorter = {**changes, "steps": run.best_step, "keep": "last"}
    assert toy_training.same(best, toy_training.learn(tmp_path / "short", shorter, validation=None)[1])
    last = toy_training.learn(
        tmp_path / "last", {**changes, "keep": "last"}, validation=Validation(sampler=turned, batches=2)
    )
    assert last[0].steps == run.steps
    assert not toy_training.same(best, last[1])


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_the_run(tmp_path: Path, value: float) -> None:
    def poisoned(step: int) -> dict[str, Tensor]:
        batch = toy_training.draw(step)
        return {**batch, "sounds": batch["sounds"] * value} if step == 6 else batch

    with pytest.raises(TrainingError, match=r"the loss of step 6 is nan; the checkpoint after 6 steps is kept"):
        toy_training.learn(tmp_path, sampler=poisoned)
    state = Checkpoints(tmp_path / "checkpoints").read("last")
    assert state is not None
    assert state["train_state"]["step"] == 6
    assert all(tensor.isfinite().all() for tensor in state["learner"].values())


def test_weights_that_are_no_numbers_are_never_kept(tmp_path: Path) -> None:
    # The loss is finite and its gradient is not: d/dx sqrt(x) at 0.
    class Steep(toy_training.Telling):
        def forward(self, stream: Any, batch: Any) -> dict[str, Tensor]:
            found = super().forward(stream, batch)
            return {"loss": found["loss"] + (self.head.bias.sum() * 0).sqrt()}

    learner = toy_training.stream()
    with pytest.raises(TrainingError, match="the weights after 1 steps are not finite; no checkpoint was kept"):
        fit(learner, Steep(learner.dim), toy_training.draw, settings=toy_training.settings(), folder=tmp_path)


def test_a_refused_batch_names_its_step(tmp_path: Path) -> None:
    def empty(step: int) -> dict[str, Tensor]:
        batch = toy_training.draw(step)
        return {**batch, "sounds": batch["sounds"][..., :0]} if step == 2 else batch

    with pytest.raises(TrainingError, match=r"^step 2: "):
        toy_training.learn(tmp_path, sampler=empty)


def test_chance_is_a_function_of_its_place_and_nobody_elses() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(3, 4):
        first = torch.rand(2)
    assert torch.equal(torch.rand(2), expected)
    set_seed(3, 4)
    assert torch.equal(torch.rand(2), first)
    set_seed(3, 5)
    assert not torch.equal(torch.rand(2), first)


def test_fitting_leaves_the_callers_torch_as_it_was(tmp_path: Path) -> None:
    learner = toy_training.stream()
    objective = toy_training.Telling(learner.dim)
    torch.manual_seed(7)
    expected = torch.rand(2)
    torch.manual_seed(7)
    fit(learner, objective, toy_training.draw, settings=toy_training.settings(steps=2), folder=tmp_path)
    assert torch.equal(torch.rand(2), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_batches_come_in_order_whoever_draws_them() -> None:
    def draw(step: int) -> dict[str, Tensor]:
        time.sleep(0.02 * (step % 2))
        return {"step": torch.tensor([step])}

    with prefetch(draw, range(3, 11)) as batches:
        assert [int(batch["step"]) for batch in batches] == list(range(3, 11))


def test_a_process_is_given_its_share_which_some_samplers_make_alone() -> None:
    class Sharing:
        def __call__(self, step: int) -> dict[str, Tensor]:
            raise AssertionError(f"the whole batch of step {step} was made")

        def share(self, step: int, rank: int, world: int) -> dict[str, Tensor]:
            return {"made": torch.arange(10 * step, 10 * step + 6)[rank::world]}

    with prefetch(Sharing(), range(1, 3), rank=1, world=2) as batches:
        assert [batch["made"].tolist() for batch in batches] == [[11, 13, 15], [21, 23, 25]]
    with prefetch(lambda step: {"made": torch.arange(step, step + 4)}, range(1, 3), rank=1, world=2) as batches:
        assert [batch["made"].tolist() for batch in batches] == [[3, 4], [4, 5]]


def test_shares_of_a_batch_make_the_batch() -> None:
    batch = {"a": torch.arange(12).view(6, 2), "b": torch.arange(6)}
    parts = [shard(batch, rank, 3) for rank in range(3)]
    for name, tensor in batch.items():
        assert torch.equal(torch.cat([part[name] for part in parts]), tensor)


@pytest.mark.slow
@pytest.mark.long
def test_two_processes_learn_as_one(tmp_path: Path) -> None:
    """Distributed data-parallel over two CPU processes, against one process with the whole batch."""
    script = tmp_path / "two.py"
    script.write_text(
        "import sys, pathlib\nfrom helpers import toy_training\n"
        "changes = {'devices': 2, 'device': 'cpu', 'steps': 6}\n"
        "toy_training.learn(pathlib.Path(sys.argv[1]), changes, attentive=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "two")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stderr

    toy_training.learn(tmp_path / "one", {"steps": 6}, attentive=True)
    for together, alone in zip(rows(tmp_path / "two"), rows(tmp_path / "one"), strict=True):
        if alone["validation loss"]:
            assert float(together["validation loss"]) == pytest.approx(float(alone["validation loss"]), rel=1e-5)
    ours, theirs = soundloom.load(str(tmp_path / "two")), soundloom.load(str(tmp_path / "one"))
    sound = np.random.default_rng(0).normal(size=16000).astype(np.float32) / 10
    assert ours.embed(sound) == pytest.approx(theirs.embed(sound), rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("changes", [{"optimiser": "sgd"}, {"optimiser": "adamw", "weight_decay": 0.1}, {"clip": 0.1}])
def test_every_optimiser_resumes(tmp_path: Path, changes: dict[str, Any]) -> None:
    changes = {"steps": 5, **changes}
    whole = toy_training.learn(tmp_path / "whole", changes)[1]
    with pytest.raises(Killed):
        toy_training.learn(tmp_path / "killed", changes, progress=killed_after(3))
    assert toy_training.same(toy_training.learn(tmp_path / "killed", changes)[1], whole)


def test_memory_order_changes_nothing_but_rounding(tmp_path: Path, whole: tuple[Run, dict[str, Tensor]]) -> None:
    run, _ = toy_training.learn(tmp_path, {"channels_last": False})
    assert run.loss == pytest.approx(whole[0].loss, rel=1e-3)


def test_the_rate_is_the_schedules(tmp_path: Path) -> None:
    changes = {"schedule": "linear", "warmup": 4, "rate": 0.4, "final_rate": 0.0, "log_every": 1, "optimiser": "sgd"}
    toy_training.learn(tmp_path, {**changes, "clip": 1e-6})
    rates = [float(row["learning rate"]) for row in rows(tmp_path)]
    assert rates == pytest.approx([0.1, 0.2, 0.3, 0.4, *(0.4 * (1 - shard / 8) for shard in range(8))])


def test_tells_how_far_it_is(tmp_path: Path) -> None:
    told: list[TrainingProgress] = []
    toy_training.learn(tmp_path, progress=told.append)
    assert [reached.step for reached in told] == list(range(1, STEPS + 1))
    assert [reached.step for reached in told if reached.validated] == [4, 8, 12]
    assert told[-1].left == 0
    assert told[-1].rate > 0


def test_logs_for_tensorboard_on_request(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    toy_training.learn(tmp_path, {"tensorboard": True})
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_devices_that_are_not_there_are_told(tmp_path: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one here")
    with pytest.raises(TrainingError, match="1 CUDA devices are wanted and 0 are here"):
        toy_training.learn(tmp_path, {"device": "cuda"})


@pytest.mark.parametrize("computes", [True, False])
def test_bf16_where_the_processor_only_imitates_it_is_said_to_be_slow(
    computes: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("soundloom.training.devices._computes_in_bf16", lambda: computes)
    toy_training.learn(tmp_path, {"precision": "bf16", "device": "cpu", "steps": 1})
    assert ("many times slower: use --precision 32" in caplog.text) == (not computes)


def test_without_lightning_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightning.fabric", None)
    with pytest.raises(MissingExtraError, match=r"pip install .*'soundloom\[train\]'"):
        toy_training.learn(tmp_path)


def test_settings_refuse_what_makes_no_sense() -> None:
    for changes, message in (
        ({"steps": 0}, "steps must be at least 1, got 0"),
        ({"rate": 0.0}, "rate must be above 0"),
        ({"warmup": 100_000}, "warmup must be fewer than the 100000 steps"),
        ({"schedule": "stairs"}, "schedule must be one of constant, linear"),
        ({"schedule": "exponential"}, "never reaches 0"),
        ({"batch": 9, "devices": 2}, "a batch of 9 cannot be parted equally among 2"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingSettings(**changes)
