"""Progress as a line now and then, with the time left, where standard error is a file or a pipe and no terminal."""

from __future__ import annotations

import time

from soundloom.cli.console import clock, echo

__all__ = ["EVERY", "ProgressLines"]

EVERY = 30.0
"""Seconds between two lines; what takes less prints none."""


class ProgressLines:
    """Prints how far a work is, on standard error.

    Args:
        what: the work, such as indexing.
        unit: what is counted, such as files.
    """

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._began: float | None = None
        self._printed = 0.0

    def advance(self, done: int, total: int, detail: str = "") -> None:
        """Print a line if the last is long enough ago.

        Args:
            done: how many are done.
            total: of how many.
            detail: what else is said, such as a rate.
        """
        now = time.monotonic()
        if self._began is None:
            self._began = self._printed = now
        if now - self._printed < EVERY or not done:
            return
        self._printed = now
        left = (now - self._began) / done * (total - done)
        said = ", ".join(filter(None, (f"{done} of {total} {self._unit}", detail, f"{clock(left)} left")))
        echo(f"{self._what}: {said}", err=True)
