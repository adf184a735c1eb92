"""Runs of the toy training that are killed after some steps, and what they logged."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from soundloom.training import TrainingProgress

STEPS = 12


class Killed(BaseException):
    """What no one catches."""


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metrics.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def killed_after(step: int) -> Callable[[TrainingProgress], None]:
    """Kills the run after that step's work, before its checkpoint."""

    def kill(reached: TrainingProgress) -> None:
        if reached.step == step:
            raise Killed

    return kill
