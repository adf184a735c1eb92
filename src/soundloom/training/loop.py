"""The loop: draw, embed, compare, step; validate, record, keep.

Every step is a function of the weights, the optimiser's state and the step's number: the batch, the learning rate and
the seed of all chance follow from the number (`loading`, `schedule`, `randomness`). A checkpoint therefore holds
little, and a run that goes on from one ends, on a CPU, with the very weights of a run that was never stopped.

With several devices each process takes its share of the batch of a step; gradients are averaged over processes, so
the batch is that of one process, but for batch normalisation, whose statistics stay each process's own.

When not: models that do not fit on one device.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.models.model_card import Card
from soundloom.models.saved_model import CONFIG, save_pretrained
from soundloom.objectives.base import Batch, BatchSampler, Objective
from soundloom.training.checkpoints import Checkpoints
from soundloom.training.curves import VALIDATION, draw_curves
from soundloom.training.devices import devices
from soundloom.training.metrics_log import MetricsLog
from soundloom.training.optimiser import optimiser_of
from soundloom.training.prefetch import prefetch, shard
from soundloom.training.progress import Throughput, TrainingProgress
from soundloom.training.run import Run, prepare_folder
from soundloom.training.schedule import rate_at
from soundloom.training.seeding import set_seed
from soundloom.training.settings import TrainingError, TrainingSettings
from soundloom.training.state import TrainState

__all__ = ["Validation", "fit"]

# Two kinds of chance, that must not be the same.
_TRAINING, _VALIDATING = 0, 1

# Seconds after which the curves are drawn anew.
_REDRAWN = 60.0


@dataclass(frozen=True, kw_only=True)
class Validation:
    """What a model is validated on, the same every time.

    Attributes:
        draw: number -> batch, none of whose sounds are trained on.
        batches: how many; at least 1.
    """

    draw: BatchSampler
    batches: int

    def __post_init__(self) -> None:
        if self.batches < 1:
            raise InvalidArgumentError(f"a validation needs 1 batch or more, got {self.batches}")


def fit(
    stream: Stream,
    objective: Objective,
    draw: BatchSampler,
    *,
    settings: TrainingSettings,
    folder: Path,
    about: Mapping[str, Any] | None = None,
    data: str = "",
    heading: str = "",
    validation: Validation | None = None,
    card: Card | None = None,
    resume: bool = True,
    progress: Callable[[TrainingProgress], None] | None = None,
) -> Run:
    """Train a stream, or go on training it, and save it in a run folder (`soundloom.training.run`).

    Args:
        stream: what learns; its weights are those of the run in the end. What it begins with must be the same each
            time the run is begun, as must the objective's heads and the draws.
        objective: how.
        draw: step -> batch.
        settings: for how long, how fast, on what.
        folder: the run's; made if it is not there.
        about: everything that decides the run, as plain data by name, where that is more than the settings.
        data: a line that says what the batches are drawn from; a run is not resumed with other data.
        heading: comments above the settings in the folder.
        validation: what to validate on, if on anything.
        card: what the model card says besides what the model itself tells.
        resume: go on from the folder's last checkpoint, if there is one; else begin anew.
        progress: told after every step.

    Raises:
        TrainingError: the folder is another run's or cannot be written; the loss or the weights are no longer finite;
            the objective refuses a batch; there is no such device.
        MissingExtraError: Lightning is not installed.
    """
    about = {**(asdict(settings) if about is None else about)}
    with devices(settings) as fabric:
        if fabric.global_rank == 0:
            comments = "\n".join(filter(None, (heading, data)))
            dataset = prepare_folder(folder, about, comments, data=data, resume=resume)
        fabric.barrier()
        if fabric.global_rank != 0:
            checkpoints = Checkpoints(folder / "checkpoints")
            dataset = checkpoints, checkpoints.read("last")
        checkpoints, state = dataset
        loop = _Loop(fabric, stream, objective, settings, folder, checkpoints, {**about, "data": data}, progress)
        if state is not None:
            loop.load(state)
        if not loop.place.over:
            loop.run(draw, validation)
        return loop.finish(card)


class _Learner(nn.Module):
    """Stream and objective as the one module that devices and processes share."""

    def __init__(self, stream: Stream, objective: Objective) -> None:
        super().__init__()
        self.stream = stream
        self.objective = objective

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        found: dict[str, Tensor] = self.objective(self.stream, batch)
        return found


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
        self.place = TrainState()
        self.validated: float | None = None
        self.pending: list[tuple[int, dict[str, Tensor]]] = []
        self.latest: float | None = None
        self.pace = Throughput()

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and tells."""
        return bool(self.fabric.global_rank == 0)

    def load(self, state: dict[str, Any]) -> None:
        """Go to where a checkpoint is."""
        self.learner.load_state_dict(state["learner"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.place = TrainState(**state["place"])

    def run(self, draw: BatchSampler, validation: Validation | None) -> None:
        """All steps that are left."""
        settings, place = self.settings, self.place
        self.records = MetricsLog(self.folder, place.step, tensorboard=settings.tensorboard) if self.first else None
        self.begun = time.monotonic() - place.seconds
        kept = drawn = time.monotonic()
        pinned = self.fabric.device.type == "cuda"
        try:
            with prefetch(draw, range(place.step, settings.steps), pinned=pinned) as batches:
                for batch in batches:
                    self.step(batch)
                    self.look(validation)
                    now = time.monotonic()
                    if place.over or now - kept >= 60 * settings.checkpoint_minutes:
                        self.keep()
                        kept = now
                    if now - drawn >= _REDRAWN:
                        self.draw()
                        drawn = now
                    if place.over:
                        break
        finally:
            self.draw()
            if self.records is not None:
                self.records.close()

    def look(self, validation: Validation | None) -> None:
        """After a step: validate and record if it is time for it, tell, and find out whether this was the last."""
        settings, place = self.settings, self.place
        last = place.step == settings.steps
        due = validation is not None and (last or place.step % settings.validate_every == 0)
        found = self.validate(validation) if validation is not None and due else {}
        if due or last or place.step % settings.log_every == 0:
            self.record(found)
        self.tell(validated=due)
        place.over = last or 0 < settings.patience <= place.misses

    def step(self, batch: Batch) -> None:
        """One step of the optimiser."""
        settings, number = self.settings, self.place.step
        rate = rate_at(settings, number)
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        set_seed(settings.seed, _TRAINING, number, self.fabric.global_rank)
        found = self.compute(batch, f"step {number}")
        self.fabric.backward(found["loss"])
        if settings.clip:
            self.fabric.clip_gradients(self.module, self.stepper, max_norm=settings.clip, error_if_nonfinite=False)
        self.stepper.step()
        self.stepper.zero_grad()
        self.place.step += 1
        self.pending.append((number, {name: value.detach() for name, value in found.items()}))
        if self.fabric.device.type == "cpu":
            self.settle()

    def compute(self, batch: Batch, where: str) -> dict[str, Tensor]:
        """What the objective says of this process's share of a batch."""
        mine = self.fabric.to_device(shard(batch, self.fabric.global_rank, self.fabric.world_size))
        try:
            found: dict[str, Tensor] = self.module(mine)
        except ValueError as error:
            raise TrainingError(f"{where}: {error}") from error
        return found

    def settle(self) -> None:
        """Fetch the numbers of the last steps from the device, and look whether they are numbers.

        Raises:
            TrainingError: a loss is not finite.
        """
        for number, found in self.pending:
            values = {name: float(value) for name, value in found.items()}
            self.latest = values["loss"]
            if not math.isfinite(self.latest):
                raise self.broken(f"the loss of step {number} is {self.latest}")
            self.place.add(values)
        self.pending = []

    def broken(self, what: str) -> TrainingError:
        """The error of a run that went wrong."""
        last = self.checkpoints.read("last")
        kept = "no checkpoint was" if last is None else f"the checkpoint after {last['place']['step']} steps is"
        return TrainingError(
            f"{what}; {kept} kept in {self.checkpoints.folder}. Start over with a lower rate, a longer "
            "warmup, or clip at 1; or look for sounds that are not finite"
        )

    @torch.no_grad()
    def validate(self, validation: Validation) -> dict[str, float]:
        """Means of the objective's numbers over the validation; the best weights so far are kept."""
        self.module.eval()
        sums: dict[str, Tensor] = {}
        with prefetch(validation.draw, range(validation.batches)) as batches:
            for number, batch in enumerate(batches):
                set_seed(self.settings.seed, _VALIDATING, number, self.fabric.global_rank)
                for name, value in self.compute(batch, f"validation, batch {number}").items():
                    sums[name] = sums.get(name, torch.zeros_like(value)) + value
        self.module.train()
        means = {name: float(self.fabric.all_reduce(total)) / validation.batches for name, total in sums.items()}
        place, loss = self.place, means["loss"]
        if not math.isfinite(loss):
            raise self.broken(f"the validation loss after {place.step} steps is {loss}")
        self.validated = loss
        if place.judge(loss) and self.first and self.settings.keep == "best":
            self.checkpoints.write("best", {"step": place.step, "stream": self.learner.stream.state_dict()})
        self.pace.pause()
        return {VALIDATION + name: mean for name, mean in means.items()}

    def record(self, found: Mapping[str, float]) -> None:
        """A row of the records."""
        self.settle()
        place = self.place
        place.seconds = time.monotonic() - self.begun
        means = place.take_means()
        beside = {"learning rate": rate_at(self.settings, place.step - 1), "seconds": round(place.seconds, 3)}
        if self.records is not None:
            self.records.add({"step": place.step, **means, **found, **beside})

    def keep(self) -> None:
        """Write a checkpoint.

        Raises:
            TrainingError: the weights are not finite, or it cannot be written.
        """
        self.settle()
        if not self.first:
            return
        if not all(bool(parameter.isfinite().all()) for parameter in self.learner.parameters()):
            raise self.broken(f"the weights after {self.place.step} steps are not finite")
        self.place.seconds = time.monotonic() - self.begun
        state = {"learner": self.learner.state_dict(), "optimiser": self.optimiser.state_dict()}
        self.checkpoints.write("last", {"about": self.about, "place": asdict(self.place), **state})

    def draw(self) -> None:
        """Draw the curves; what cannot be written is no reason to stop, nor to hide the reason of having stopped."""
        if self.records is not None:
            with suppress(OSError):
                draw_curves(self.records.rows, self.folder.name, self.folder / "curves.png")

    def tell(self, *, validated: bool) -> None:
        """Report progress."""
        if self.progress is None or not self.first:
            return
        place, settings, pace = self.place, self.settings, self.pace
        pace.step(place.step, self.latest)
        self.progress(
            TrainingProgress(
                step=place.step,
                steps=settings.steps,
                loss=pace.loss,
                validation=self.validated,
                rate=pace.rate * settings.batch,
                left=pace.left(settings.steps - place.step),
                validated=validated,
            )
        )

    def finish(self, card: Card | None) -> Run:
        """Take the weights that are to be kept, and save the model."""
        stream = self.learner.stream
        best = self.checkpoints.read("best") if self.settings.keep == "best" else None
        if best is not None:
            stream.load_state_dict(best["stream"])
        stream.to("cpu", memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        stream.eval()
        if self.first and not (self.folder / CONFIG).is_file():
            save_pretrained(stream, self.folder, card=card)
        self.fabric.barrier()
        place = self.place
        return Run(
            folder=self.folder,
            steps=place.step,
            early=place.step < self.settings.steps,
            loss=place.best_loss,
            best_step=place.best_step,
            seconds=place.seconds,
        )
