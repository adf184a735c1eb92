"""State of a run as plain data: everything of a checkpoint but its tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["TrainState"]


@dataclass(kw_only=True)
class TrainState:
    """Where a run stands.

    Attributes:
        step: steps done.
        over: whether no more are to be done.
        seconds: time taken, interruptions left out.
        best_loss: lowest validation loss; None before the first.
        best_step: steps done when it was measured.
        misses: validations since then.
        sums: of the objective's values in the steps since the last row of the metrics.
        counted: how many steps.
    """

    step: int = 0
    over: bool = False
    seconds: float = 0.0
    best_loss: float | None = None
    best_step: int | None = None
    misses: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counted: int = 0

    def add(self, values: Mapping[str, float]) -> None:
        """Add the objective's values of a step."""
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.counted += 1

    def take_means(self) -> dict[str, float]:
        """The means of the values added since the last call."""
        means = {name: total / self.counted for name, total in self.sums.items()}
        self.sums, self.counted = {}, 0
        return means

    def is_best(self, loss: float) -> bool:
        """Record a validation loss; whether it is the lowest so far."""
        best = self.best_loss is None or loss < self.best_loss
        if best:
            self.best_loss, self.best_step, self.misses = loss, self.step, 0
        else:
            self.misses += 1
        return best
