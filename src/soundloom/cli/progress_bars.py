"""Progress of commands on standard error: bars on a terminal, else a line now and then with the time left."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from soundloom.cli.console import cell, clock, echo

if TYPE_CHECKING:
    from soundloom.feature_cache import CacheProgress
    from soundloom.library import FileProgress
    from soundloom.training import TrainingProgress

__all__ = ["followed", "progress_bar", "step_bar"]

_EVERY = 30.0
"""Seconds between two lines; what takes less prints none."""


class _Advance(Protocol):
    def __call__(self, done: int, total: int, detail: str = ...) -> None: ...


@contextmanager
def step_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of steps done, of how many, with the time left; lines if standard error is not a terminal.

    It is shown from the first step on: a model that is fetched before has a bar of its own.

    Args:
        what: the work, such as indexing.
        unit: what is counted, such as files.
    """
    with _advancing(what, unit) as advance:
        yield advance


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[FileProgress], None]]:
    """A bar of files, as `step_bar`, with the rate beside it."""
    began = time.monotonic()
    with _advancing(what, "files") as advance:

        def reach(files: FileProgress) -> None:
            elapsed = max(time.monotonic() - began, 1e-3)
            rate = f"{files.done / elapsed:.0f} files/s, {files.seconds / elapsed:.0f} x real time"
            advance(files.done, files.total, rate)

        yield reach


@contextmanager
def _advancing(what: str, unit: str) -> Iterator[_Advance]:
    """A bar, or lines; beside the bar stands the unit, or a detail that is given instead."""
    from rich import progress
    from rich.console import Console

    console = Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(what, unit).advance
        return
    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[detail]}"),
        progress.TimeRemainingColumn(),
    )
    bar = progress.Progress(*columns, console=console, transient=True)
    task = bar.add_task(what, total=None, detail=unit)

    def advance(done: int, total: int, detail: str = unit) -> None:
        bar.start()
        bar.update(task, completed=done, total=total, detail=detail)

    try:
        yield advance
    finally:
        bar.stop()


@contextmanager
def followed() -> Iterator[tuple[Callable[[CacheProgress], None], Callable[[TrainingProgress], None]]]:
    """Callbacks for clips that are prepared and for steps of training: a bar each while it is running.

    A line is printed for every validation, for the end of each of several trainings, and for every file that is left
    out, once. Where standard error is not a terminal, there are these lines only.
    """
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[detail]}"),
    )
    console = Console(stderr=True, highlight=False)
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        tasks: dict[str, Any] = {}
        left_out: set[str] = set()

        def say(line: str) -> None:
            bar.console.print(cell(line)) if console.is_terminal else echo(line, err=True)

        def show(what: str, name: str, done: int, total: int, detail: str) -> None:
            what = f"{what} {name}".rstrip()
            if what not in tasks:
                tasks[what] = bar.add_task(what, detail="")
            bar.update(tasks[what], completed=done, total=total, detail=detail, visible=done < total)

        def prepared(reached: CacheProgress) -> None:
            show("preparing", reached.name, reached.done, reached.total, "clips")
            if reached.reason is not None and reached.path not in left_out:
                left_out.add(reached.path)
                say(f"left out {reached.path!r}: {reached.reason}")

        def trained(reached: TrainingProgress) -> None:
            pace = f"{reached.rate:.0f} examples/s" + (
                f", {clock(reached.left)} left" if reached.left < math.inf else ""
            )
            loss = "" if reached.loss is None else f"loss {reached.loss:.4f}, "
            show("training", reached.name, reached.step, reached.steps, loss + pace)
            if reached.validated or (reached.name and reached.step == reached.steps):
                whose = f"{reached.name}: " if reached.name else ""
                validation = f"validation {reached.validation:.4f}, " if reached.validated else ""
                say(f"{whose}step {reached.step} of {reached.steps}: {loss}{validation}{pace}")

        yield prepared, trained


class _Lines:
    """Prints how far a work is; arguments as for `step_bar`."""

    def __init__(self, what: str, unit: str) -> None:
        self._what, self._unit = what, unit
        self._began: float | None = None
        self._printed = 0.0

    def advance(self, done: int, total: int, detail: str = "") -> None:  # noqa: ARG002 (for terminals)
        """Print a line if the last is long enough ago."""
        now = time.monotonic()
        if self._began is None:
            self._began = self._printed = now
        if now - self._printed < _EVERY or not done:
            return
        self._printed = now
        left = (now - self._began) / done * (total - done)
        echo(f"{self._what}: {done} of {total} {self._unit}, {clock(left)} left", err=True)
