"""Settings of the trainer: steps, optimiser, schedule, validation, devices."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from soundloom.errors import InvalidArgumentError, TrainingError

__all__ = ["TrainingError", "TrainingSettings"]

Optimiser = Literal["adam", "adamw", "sgd"]
Schedule = Literal["constant", "linear", "cosine", "exponential"]
Device = Literal["auto", "cpu", "cuda"]
Precision = Literal["32", "bf16"]
Keep = Literal["best", "last"]


@dataclass(frozen=True, kw_only=True)
class TrainingSettings:
    """The trainer.

    Attributes:
        steps: batches to learn from. A finished run goes on when there are more, at the rates of the longer schedule.
        batch: examples a step, on all devices together.
        optimiser: "adam", "adamw" (weight decay apart from the gradient) or "sgd".
        rate: highest learning rate.
        final_rate: learning rate that the schedule ends with.
        schedule: from the one to the other: "constant" (never), "linear", "cosine" or "exponential".
        warmup: first steps, over which the rate rises linearly from 0.
        weight_decay: of all parameters.
        momentum: of "sgd".
        clip: longest gradient, in its norm over all parameters; 0 for any.
        validate_every: steps from one validation to the next.
        patience: validations without a lower loss after which the run stops early; 0 for never.
        keep: weights that become the model: "best" in validation, where there is one, or "last".
        log_every: steps that are averaged into a row of metrics.csv.
        checkpoint_minutes: time from one checkpoint to the next; what is done since the last is done again on resuming.
        seed: of every random number.
        device: "cpu", "cuda", or "auto" for the latter where there is one.
        devices: of them in each machine; batches are parted among them.
        nodes: machines.
        threads: of computation on a processor, which decide how sums round; 0 for as many as torch finds.
        precision: numbers to compute with: "32" bits, or "bf16" mixed with them: for GPUs, and for processors
            that compute in it (on others it is many times slower).
        channels_last: convolutions keep the channels of a cell side by side, which is faster.
        compile: compile the model before the first step: a minute that long runs of small models gain back.
        tensorboard: log for TensorBoard, too.
    """

    steps: int = field(default=100_000, metadata={"length": True})
    batch: int = 128
    optimiser: Optimiser = "adam"
    rate: float = 1e-4
    final_rate: float = 0.0
    schedule: Schedule = "constant"
    warmup: int = field(default=0, metadata={"length": True})
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip: float = 0.0
    validate_every: int = 500
    patience: int = 0
    keep: Keep = "best"
    log_every: int = 50
    checkpoint_minutes: float = field(default=2.0, metadata={"resumable": True})
    seed: int = 0
    device: Device = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = field(default=0, metadata={"since": 0})
    precision: Precision = "32"
    channels_last: bool = True
    compile: bool = False
    tensorboard: bool = field(default=False, metadata={"resumable": True})

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "validate_every", "log_every", "devices", "nodes"):
            self._check(name, getattr(self, name) >= 1, "at least 1")
        for name in (
            "final_rate",
            "warmup",
            "weight_decay",
            "clip",
            "patience",
            "checkpoint_minutes",
            "seed",
            "threads",
        ):
            self._check(name, getattr(self, name) >= 0, "0 or more")
        self._check("rate", self.rate > 0, "above 0")
        self._check("momentum", 0 <= self.momentum < 1, "at least 0 and below 1")
        self._check("warmup", self.warmup < self.steps, f"fewer than the {self.steps} steps, a tenth of them say")
        for name, choices in _CHOICES.items():
            self._check(name, getattr(self, name) in choices, f"one of {', '.join(choices)}")
        if self.schedule == "exponential" and self.final_rate == 0:
            raise InvalidArgumentError(
                "an exponential schedule never reaches 0: give a final_rate above it, such as 1e-6"
            )
        if self.batch % (self.devices * self.nodes):
            raise InvalidArgumentError(
                f"a batch of {self.batch} cannot be parted equally among {self.devices * self.nodes} devices"
            )

    def lasting(self, steps: int) -> TrainingSettings:
        """The same for another number of steps; a warmup that would not end before them takes a tenth of them."""
        warmup = self.warmup if self.warmup < steps else steps // 10
        return replace(self, steps=steps, warmup=warmup)

    def _check(self, name: str, fits: bool, allowed: str) -> None:
        if not fits:
            raise InvalidArgumentError(f"{name} must be {allowed}, got {getattr(self, name)!r}")


_CHOICES: dict[str, tuple[str, ...]] = {
    "optimiser": get_args(Optimiser),
    "schedule": get_args(Schedule),
    "device": get_args(Device),
    "precision": get_args(Precision),
    "keep": get_args(Keep),
}
