"""Training loop of any stream with any objective: batches, steps, validation, checkpoints, resuming.

Every step is a function of the weights, the optimiser's state and the step's number: the batch, the learning rate and
the random seed follow from the number (`prefetch`, `schedule`, `seeds`). So a checkpoint is small, and on a CPU a run
that is resumed from one ends with the same weights as a run that was never stopped.

With several devices each process takes its shard of every batch and gradients are averaged over processes: the batch is
that of one process, except for batch normalisation, whose statistics stay each process's own.

When not: models that do not fit on one device.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.models.model_card import Card
from soundloom.models.saved_model import CONFIG, check_savable, save_pretrained
from soundloom.objectives.base import Batch, BatchSampler, Objective
from soundloom.training.checkpoints import Checkpoints
from soundloom.training.curves import VALIDATION, plot_curves
from soundloom.training.devices import devices
from soundloom.training.flat_config import flatten
from soundloom.training.metrics_log import MetricsLog
from soundloom.training.optimiser import optimiser_of
from soundloom.training.prefetch import prefetch
from soundloom.training.progress import Throughput, TrainingProgress
from soundloom.training.run_folder import Run, prepare_folder
from soundloom.training.schedule import rate_at, set_rate
from soundloom.training.seeds import set_seed
from soundloom.training.settings import TrainingError, TrainingSettings
from soundloom.training.state import TrainState
from soundloom.workers.deferred_signals import deferred_signals

__all__ = ["Validation", "fit"]

# Phases that draw from different random numbers.
_TRAINING, _VALIDATING = 0, 1

_REPLOT_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class Validation:
    """Batches to validate on, the same every time.

    Attributes:
        sampler: number -> batch, none of whose sounds are trained on.
        batches: how many; at least 1.
    """

    sampler: BatchSampler
    batches: int

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise InvalidArgumentError(f"a validation needs 1 batch or more, got {self.batches}")


def fit(
    stream: Stream,
    objective: Objective,
    sampler: BatchSampler,
    *,
    settings: TrainingSettings,
    folder: Path,
    recipe: object = None,
    data: str = "",
    heading: str = "",
    validation: Validation | None = None,
    card: Card | None = None,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> Run:
    """Train a stream, or go on training it, and save it in a run folder (`soundloom.training.run_folder`).

    A finished run goes on when ``settings.steps`` is larger than before: its further steps have the learning rates that
    a run of so many steps has there, so a rate that had fallen to its end rises again to the longer schedule's.

    Args:
        stream: learns in place. It must start with the same weights whenever the run is started, as must the
            objective's heads.
        objective: the loss.
        sampler: step -> batch.
        settings: steps, rates, devices.
        folder: of the run; made if it does not exist.
        recipe: settings dataclass that decides the run, where that is more than ``settings``; written to
            ``settings.yaml``. A run is resumed with the same settings only, apart from fields whose metadata allow it.
        data: a line that identifies the training data; a run is resumed with the same data only.
        heading: comments above the settings in ``settings.yaml``.
        validation: batches to validate on; none if not given.
        card: what the model card says beyond what the model itself states.
        resume: go on from the folder's last checkpoint if there is one; else start anew.
        progress: called after every step.

    Raises:
        TrainingError: the folder is another run's or cannot be written; the loss or the weights are not finite; the
            objective refuses a batch; there is no such device.
        ModelError: the stream has parts that cannot be saved.
        MissingExtraError: Lightning is not installed.
    """
    check_savable(stream)
    recipe = settings if recipe is None else recipe
    with devices(settings) as fabric:
        if fabric.global_rank == 0:
            comments = "\n".join(filter(None, (heading, data)))
            prepare_folder(folder, recipe, comments, data=data, resume=resume)
        fabric.barrier()
        checkpoints = Checkpoints(folder / "checkpoints")
        loop = _Loop(
            fabric, stream, objective, settings, folder, checkpoints, {**flatten(recipe), "data": data}, progress
        )
        checkpoint = checkpoints.read("last")
        if checkpoint is not None:
            loop.load(checkpoint)
        if not loop.state.over:
            loop.run(sampler, validation)
        return loop.finish(card)


class _Learner(nn.Module):
    """Stream and objective as one module, which is what devices and processes share."""

    def __init__(self, stream: Stream, objective: Objective) -> None:
        super().__init__()
        self.stream = stream
        self.objective = objective

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        values: dict[str, Tensor] = self.objective(self.stream, batch)
        return values


class _Loop:
    def __init__(
        self,
        fabric: Any,
        stream: Stream,
        objective: Objective,
        settings: TrainingSettings,
        folder: Path,
        checkpoints: Checkpoints,
        about: dict[str, Any],
        progress: Callable[[TrainingProgress], None] | None,
    ) -> None:
        self.fabric, self.settings, self.folder, self.checkpoints = fabric, settings, folder, checkpoints
        self.about, self.progress = about, progress
        self.learner = _Learner(stream, objective).train()
        if settings.channels_last:
            self.learner.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = optimiser_of(self.learner, settings)
        compiled = torch.compile(self.learner) if settings.compile else self.learner
        self.module, self.stepper = fabric.setup(compiled, self.optimiser)
        self.is_main = fabric.global_rank == 0
        self.process = {"rank": fabric.global_rank, "world": fabric.world_size}
        self.state = TrainState()
        self.first = 0
        self.validation_loss: float | None = None
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.latest_loss: float | None = None
        self.throughput = Throughput()

    def load(self, checkpoint: dict[str, Any]) -> None:
        """Restore a checkpoint; a finished run of fewer steps is not over."""
        self.learner.load_state_dict(checkpoint["learner"])
        self.optimiser.load_state_dict(checkpoint["optimiser"])
        self.state = TrainState(**checkpoint["train_state"])
        self.first = self.state.step
        if self.settings.steps > checkpoint["about"]["steps"]:
            self.state.over, self.state.misses = False, 0

    def run(self, sampler: BatchSampler, validation: Validation | None) -> None:
        """All steps that are left."""
        settings, state = self.settings, self.state
        self.metrics = MetricsLog(self.folder, state.step, tensorboard=settings.tensorboard) if self.is_main else None
        self.started = time.monotonic() - state.seconds
        saved = plotted = time.monotonic()
        pinned = self.fabric.device.type == "cuda"
        try:
            steps = range(state.step, settings.steps)
            # Of several processes, one that stopped between two steps would leave the others waiting for it.
            deferred = deferred_signals(active=self.fabric.world_size == 1)
            with deferred as signals, prefetch(sampler, steps, **self.process, pinned=pinned) as batches:
                for batch in batches:
                    self._step(batch)
                    self._after_step(validation)
                    now = time.monotonic()
                    if state.over or signals.waits or now - saved >= 60 * settings.checkpoint_minutes:
                        self._save_checkpoint()
                        saved = now
                    signals.deliver()
                    if now - plotted >= _REPLOT_SECONDS:
                        self._plot()
                        plotted = now
                    if state.over:
                        break
        finally:
            self._plot()
            if self.metrics is not None:
                self.metrics.close()

    def finish(self, card: Card | None) -> Run:
        """Load the weights to keep, and save the model."""
        stream = self.learner.stream
        best = self.checkpoints.read("best") if self.settings.keep == "best" else None
        if best is not None:
            stream.load_state_dict(best["stream"])
        stream.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        stream.eval()
        if self.is_main and not (self.folder / CONFIG).is_file():
            save_pretrained(stream, self.folder, card=card)
        self.fabric.barrier()
        state = self.state
        return Run(
            folder=self.folder,
            steps=state.step,
            early=state.step < self.settings.steps,
            loss=state.best_loss,
            best_step=state.best_step,
            seconds=state.seconds,
            trained=state.step - self.first,
        )

    def _step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        settings, number = self.settings, self.state.step
        set_rate(self.optimiser, settings, number)
        set_seed(settings.seed, _TRAINING, number, self.fabric.global_rank)
        values = self._forward(batch, f"step {number}")
        self.fabric.backward(values["loss"])
        if settings.clip:
            self.fabric.clip_gradients(self.module, self.stepper, max_norm=settings.clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad()
        self.state.step += 1
        self.pending.append((number, {name: value.detach() for name, value in values.items()}))
        if self.fabric.device.type == "cpu":
            self._sync_metrics()

    def _after_step(self, validation: Validation | None) -> None:
        """Validate and log when due, report progress, and decide whether this was the last step."""
        settings, state = self.settings, self.state
        last = state.step == settings.steps
        due = validation is not None and (last or state.step % settings.validate_every == 0)
        means = self._validate(validation) if validation is not None and due else {}
        if due or last or state.step % settings.log_every == 0:
            self._log(means)
        self._report(validated=due)
        state.over = last or 0 < settings.patience <= state.misses

    def _forward(self, batch: Batch, where: str) -> dict[str, Tensor]:
        """The objective's values for this process's share of a batch."""
        try:
            values: dict[str, Tensor] = self.module(self.fabric.to_device(batch))
        except ValueError as error:
            raise TrainingError(f"{where}: {error}") from error
        return values

    def _sync_metrics(self) -> None:
        """Fetch the values of the last steps from the device, and check that the losses are finite.

        Raises:
            TrainingError: a loss is not finite.
        """
        for number, pending in self.pending:
            values = {name: float(value) for name, value in pending.items()}
            self.latest_loss = values["loss"]
            if not math.isfinite(self.latest_loss):
                raise self._diverged(f"the loss of step {number} is {self.latest_loss}")
            self.state.add(values)
        self.pending = []

    def _diverged(self, what: str) -> TrainingError:
        """The error of a run whose numbers are no longer finite."""
        last = self.checkpoints.read("last")
        kept = "no checkpoint was" if last is None else f"the checkpoint after {last['train_state']['step']} steps is"
        return TrainingError(
            f"{what}; {kept} kept in {self.checkpoints.folder}. Start over with a lower rate, a longer "
            "warmup, or clip at 1; or look for sounds that are not finite"
        )

    @torch.no_grad()
    def _validate(self, validation: Validation) -> dict[str, float]:
        """Means of the objective's values over the validation batches; the best weights so far are saved."""
        self.module.eval()
        sums: dict[str, Tensor] = {}
        with prefetch(validation.sampler, range(validation.batches), **self.process) as batches:
            for number, batch in enumerate(batches):
                set_seed(self.settings.seed, _VALIDATING, number, self.fabric.global_rank)
                for name, value in self._forward(batch, f"validation, batch {number}").items():
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
        self.module.train()
        means = {name: float(self.fabric.all_reduce(total)) / validation.batches for name, total in sums.items()}
        state, loss = self.state, means["loss"]
        if not math.isfinite(loss):
            raise self._diverged(f"the validation loss after {state.step} steps is {loss}")
        self.validation_loss = loss
        if state.is_best(loss) and self.is_main and self.settings.keep == "best":
            self.checkpoints.write("best", {"step": state.step, "stream": self.learner.stream.state_dict()})
        self.throughput.pause()
        return {VALIDATION + name: mean for name, mean in means.items()}

    def _log(self, validation_means: Mapping[str, float]) -> None:
        """Append a row to the metrics."""
        self._sync_metrics()
        state = self.state
        state.seconds = time.monotonic() - self.started
        means = state.take_means()
        others = {"learning rate": rate_at(self.settings, state.step - 1), "seconds": round(state.seconds, 3)}
        if self.metrics is not None:
            self.metrics.add({"step": state.step, **means, **validation_means, **others})

    def _save_checkpoint(self) -> None:
        """Write the last checkpoint.

        Raises:
            TrainingError: the weights are not finite, or it cannot be written.
        """
        self._sync_metrics()
        if not self.is_main:
            return
        if not all(bool(parameter.isfinite().all()) for parameter in self.learner.parameters()):
            raise self._diverged(f"the weights after {self.state.step} steps are not finite")
        self.state.seconds = time.monotonic() - self.started
        tensors = {"learner": self.learner.state_dict(), "optimiser": self.optimiser.state_dict()}
        self.checkpoints.write("last", {"about": self.about, "train_state": asdict(self.state), **tensors})

    def _plot(self) -> None:
        """Plot the curves; a file that cannot be written neither stops the run nor hides why it stopped."""
        if self.metrics is not None:
            with suppress(OSError):
                plot_curves(self.metrics.rows, self.folder.name, self.folder / "curves.png")

    def _report(self, *, validated: bool) -> None:
        """Report progress."""
        if self.progress is None or not self.is_main:
            return
        state, settings, throughput = self.state, self.settings, self.throughput
        throughput.step(state.step, self.latest_loss)
        reached = throughput.progress(state.step, settings.steps, batch=settings.batch)
        self.progress(replace(reached, validation=self.validation_loss, validated=validated))
