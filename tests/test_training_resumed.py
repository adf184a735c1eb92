"""Trainings that were killed or stopped: they resume to the same weights, or say why not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers import toy_training
from helpers.killed_training import STEPS, Killed, killed_after, rows
from soundloom.errors import ModelError
from soundloom.training import Run, TrainingError, fit, loop
from soundloom.training.checkpoints import Checkpoints


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, dict[str, Tensor]]:
    """A run that nobody stopped."""
    return toy_training.learn(tmp_path_factory.mktemp("whole") / "run")


@pytest.mark.parametrize("step", [1, 4, 5, 8, 11, 12])
def test_a_killed_run_ends_with_the_same_weights(
    tmp_path: Path, whole: tuple[Run, dict[str, Tensor]], step: int
) -> None:
    with pytest.raises(Killed):
        toy_training.learn(tmp_path / "run", progress=killed_after(step))
    assert not (tmp_path / "run" / "config.json").exists()
    run, weights = toy_training.learn(tmp_path / "run")
    assert toy_training.same(weights, whole[1])
    assert (run.loss, run.best_step) == (whole[0].loss, whole[0].best_step)
    timeless = [[{**row, "seconds": ""} for row in rows(folder)] for folder in (run.folder, whole[0].folder)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_keeps_every_finished_step(
    number: int, tmp_path: Path, whole: tuple[Run, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signals come in the middle of a step, and the last checkpoint is far away."""

    def stop(*_: object) -> None:
        raise Killed

    def forward(self: object, batch: object, where: str) -> object:
        if where == "step 6":
            signal.raise_signal(number)
        return forward_before(self, batch, where)

    before = signal.signal(number, stop)
    forward_before = loop._Loop._forward
    try:
        with monkeypatch.context() as patched:
            patched.setattr(loop._Loop, "_forward", forward)
            with pytest.raises(Killed):
                toy_training.learn(tmp_path / "run", {"checkpoint_minutes": 60.0})
        assert signal.getsignal(number) is stop
    finally:
        signal.signal(number, before)
    kept = Checkpoints(tmp_path / "run" / "checkpoints").read("last")
    assert kept is not None
    assert kept["train_state"]["step"] == 7
    assert toy_training.same(toy_training.learn(tmp_path / "run")[1], whole[1])


@pytest.mark.slow
def test_killed_far_from_a_checkpoint_and_more_than_once(
    tmp_path: Path, whole: tuple[Run, dict[str, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Checkpoints.write

    def seldom(self: Checkpoints, name: str, state: dict[str, Any]) -> None:
        if name == "best" or state["train_state"]["step"] % 5 == 0 or state["train_state"]["over"]:
            write(self, name, state)

    monkeypatch.setattr(Checkpoints, "write", seldom)
    for step in (4, 9, 9, 11):
        with pytest.raises(Killed):
            toy_training.learn(tmp_path / "run", progress=killed_after(step))
    assert toy_training.same(toy_training.learn(tmp_path / "run")[1], whole[1])


@pytest.mark.slow
@pytest.mark.long
def test_killed_by_the_system(tmp_path: Path, whole: tuple[Run, dict[str, Tensor]]) -> None:
    """As users have it: SIGKILL, at whatever moment, and the same command again."""
    script = (
        "import sys, time, pathlib\nfrom helpers import toy_training\n"
        "toy_training.learn(pathlib.Path(sys.argv[1]), progress=lambda reached: time.sleep(float(sys.argv[2])))\n"
    )
    folder, environment = tmp_path / "run", {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}

    def command(pause: float) -> list[str]:
        return [sys.executable, "-W", "error::UserWarning", "-c", script, str(folder), str(pause)]

    process = subprocess.Popen(command(0.2), env=environment)
    deadline = time.monotonic() + 120
    while not (folder / "checkpoints" / "last.pt").exists() and time.monotonic() < deadline:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "config.json").exists()
    done = subprocess.run(command(0), env=environment, capture_output=True, text=True, check=True)
    # Nothing is said that was not asked for.
    assert (done.stdout, done.stderr) == ("", "")
    ours = {f"parts.0.{name}": tensor for name, tensor in whole[1].items()}
    from safetensors.torch import load_file

    assert toy_training.same(load_file(folder / "model.safetensors"), ours)


def test_a_run_that_is_over_is_not_run_again(whole: tuple[Run, dict[str, Tensor]]) -> None:
    def never(step: int) -> dict[str, Tensor]:
        raise AssertionError(step)

    again, weights = toy_training.learn(whole[0].folder, sampler=never)
    assert again == whole[0]
    assert toy_training.same(weights, whole[1])


def test_a_finished_run_goes_on_for_more_steps(tmp_path: Path, whole: tuple[Run, dict[str, Tensor]]) -> None:
    """With a constant rate the longer run is the one that was never finished in between, to the bit."""
    toy_training.learn(tmp_path / "run", {"steps": 5, "warmup": 1})
    with pytest.raises(Killed):
        toy_training.learn(tmp_path / "run", {"warmup": 0}, progress=killed_after(8))
    assert not (tmp_path / "run" / "config.json").exists()  # the model of 5 steps is not this run's
    with pytest.raises(TrainingError, match="steps is 12 there and 13 here; after 7 steps it is not finished"):
        toy_training.learn(tmp_path / "run", {"steps": 13})
    run, _ = toy_training.learn(tmp_path / "run", {"warmup": 0})
    assert (run.steps, run.early) == (STEPS, False)
    toy_training.learn(tmp_path / "plain", {"steps": 5})
    longer, weights = toy_training.learn(tmp_path / "plain")
    assert (longer.steps, longer.best_step) == (STEPS, whole[0].best_step)
    assert toy_training.same(weights, whole[1])
    assert [row["step"] for row in rows(longer.folder)] == ["3", "4", "5", "6", "8", "9", "12"]
    with pytest.raises(TrainingError, match="steps is 12 there and 11 here"):
        toy_training.learn(tmp_path / "plain", {"steps": 11})


def test_the_rates_of_further_steps_are_those_of_the_longer_schedule(tmp_path: Path) -> None:
    changes = {"schedule": "linear", "rate": 0.4, "log_every": 1, "optimiser": "sgd", "clip": 1e-6}
    for steps in (4, 8):
        toy_training.learn(tmp_path, {**changes, "steps": steps})
    rates = [float(row["learning rate"]) for row in rows(tmp_path)]
    assert rates == pytest.approx([*(0.4 * (1 - k / 4) for k in range(4)), *(0.4 * (1 - k / 8) for k in range(4, 8))])


def test_a_run_that_stopped_early_goes_on_only_for_more_steps(tmp_path: Path) -> None:
    changes = {"validate_every": 1, "patience": 2, "rate": 0.5, "optimiser": "sgd"}
    early, _ = toy_training.learn(tmp_path, {**changes, "steps": 40})
    assert early.early
    assert toy_training.learn(tmp_path, {**changes, "steps": 40})[0] == early
    longer, _ = toy_training.learn(tmp_path, {**changes, "steps": 41})
    assert longer.steps > early.steps


def test_checkpoints_of_earlier_versions_resume(tmp_path: Path, whole: tuple[Run, dict[str, Tensor]]) -> None:
    """They call the state "place", and know no settings that came later."""
    with pytest.raises(Killed):
        toy_training.learn(tmp_path / "run", progress=killed_after(7))
    checkpoints = Checkpoints(tmp_path / "run" / "checkpoints")
    old = checkpoints.read("last")
    assert old is not None
    old["place"] = old.pop("train_state")
    del old["about"]["threads"], old["format"]
    checkpoints.write("last", old)
    with pytest.raises(TrainingError, match="threads is 0 there and 1 here"):
        toy_training.learn(tmp_path / "run", {"threads": 1})
    assert toy_training.same(toy_training.learn(tmp_path / "run")[1], whole[1])


def test_what_cannot_be_saved_is_refused_before_training(tmp_path: Path) -> None:
    class Foreign(type(toy_training.stream().encoder)):  # type: ignore[misc]
        """Of this function, where no other process finds it."""

    learner = toy_training.stream()
    learner.encoder.__class__ = Foreign
    with pytest.raises(ModelError, match="cannot save"):
        fit(
            learner,
            toy_training.Telling(learner.dim),
            toy_training.draw,
            settings=toy_training.settings(),
            folder=tmp_path / "run",
        )
    assert not (tmp_path / "run").exists()


def test_other_settings_or_data_are_refused_and_named(tmp_path: Path) -> None:
    toy_training.learn(tmp_path, {"steps": 4})
    with pytest.raises(TrainingError, match=r"other settings: rate is 0\.01 there and 0\.02 here"):
        toy_training.learn(tmp_path, {"steps": 4, "rate": 0.02})
    with pytest.raises(TrainingError, match="data is '' there and 'other' here"):
        toy_training.learn(tmp_path, {"steps": 4}, data="other")
    toy_training.learn(tmp_path, {"steps": 4, "checkpoint_minutes": 9.0})
    run, _ = toy_training.learn(tmp_path, {"steps": 5, "rate": 0.02}, resume=False)
    assert run.steps == 5


def test_nothing_of_a_run_that_is_started_anew_is_left(tmp_path: Path) -> None:
    toy_training.learn(tmp_path, {"steps": 4})
    stale = [tmp_path / name for name in ("tagger.json", "tagger.safetensors", "tags.safetensors", "vocabulary.json")]
    for file in stale:
        file.write_text("of the model before")
    (tmp_path / "notes.txt").write_text("mine")
    toy_training.learn(tmp_path, {"steps": 4})
    assert all(file.is_file() for file in stale)  # the run goes on, and is over
    toy_training.learn(tmp_path, {"steps": 4}, resume=False)
    assert not any(file.exists() for file in stale)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainingError, match="not empty and holds no run"):
        toy_training.learn(tmp_path)
    assert (tmp_path / "config.json").read_text() == "{}"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device here that is always full")
def test_a_full_disk_is_told_and_the_last_checkpoint_kept(tmp_path: Path, whole: tuple[Run, dict[str, Tensor]]) -> None:
    with pytest.raises(Killed):
        toy_training.learn(tmp_path / "run", progress=killed_after(7))
    fresh = tmp_path / "run" / "checkpoints" / "last.pt.writing"
    fresh.symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"cannot write the checkpoint .* No space left on device"):
        toy_training.learn(tmp_path / "run")
    assert not fresh.is_symlink()
    assert toy_training.same(toy_training.learn(tmp_path / "run")[1], whole[1])


def test_a_damaged_checkpoint_is_told(tmp_path: Path) -> None:
    toy_training.learn(tmp_path, {"steps": 4})
    path = tmp_path / "checkpoints" / "last.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(TrainingError, match="is damaged"):
        toy_training.learn(tmp_path, {"steps": 4})


def test_checkpoints_execute_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.system, (f"touch {tmp_path / 'executed'}",)

    torch.save({"format": 1, "evil": Evil()}, tmp_path / "last.pt")
    with pytest.raises(TrainingError, match="is damaged"):
        Checkpoints(tmp_path).read("last")
    assert not (tmp_path / "executed").exists()
