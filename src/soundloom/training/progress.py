"""Progress of a training: steps, throughput, time left."""

from __future__ import annotations

import math
import time
from collections import deque
from dataclasses import dataclass

__all__ = ["Throughput", "TrainingProgress"]


@dataclass(frozen=True, kw_only=True)
class TrainingProgress:
    """How far a run has come.

    Attributes:
        step: steps done.
        steps: steps to do.
        loss: mean training loss of late; None before it is known.
        validation: the last validation's loss; None before the first.
        rate: examples a second, of late; 0 before it is known.
        left: seconds that the rest will take at that rate, validations left out.
        validated: whether a validation has just been made.
        name: which run it is, where a recipe trains several.
    """

    step: int
    steps: int
    loss: float | None
    validation: float | None
    rate: float
    left: float
    validated: bool = False
    name: str = ""


_LAST_SHARE = 0.05
"""Of the last step's loss in the mean loss."""


class Throughput:
    """Steps a second over the last few dozen, validations left out, and the mean loss."""

    def __init__(self) -> None:
        self.rate = 0.0
        self.loss: float | None = None
        self._seen: deque[tuple[int, float]] = deque(maxlen=50)

    def step(self, done: int, loss: float | None) -> None:
        """A step is done."""
        self._seen.append((done, time.monotonic()))
        (first, since), (last, now) = self._seen[0], self._seen[-1]
        if last > first:
            self.rate = (last - first) / (now - since)
        if loss is not None:
            self.loss = loss if self.loss is None else self.loss + _LAST_SHARE * (loss - self.loss)

    def pause(self) -> None:
        """The time until the next step does not count."""
        self._seen.clear()

    def left(self, steps: int) -> float:
        """Seconds that so many steps take."""
        return steps / self.rate if self.rate else math.inf

    def progress(self, step: int, steps: int, *, batch: int) -> TrainingProgress:
        """How far a run has come.

        Args:
            step: steps done.
            steps: steps to do.
            batch: examples a step.
        """
        rate, left = batch * self.rate, self.left(steps - step)
        return TrainingProgress(step=step, steps=steps, loss=self.loss, validation=None, rate=rate, left=left)
