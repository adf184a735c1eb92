"""Progress bars of preparation and training, on standard error."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from soundloom.cli.console import cell, clock, echo

if TYPE_CHECKING:
    from soundloom.feature_cache import CacheProgress
    from soundloom.training import TrainingProgress

__all__ = ["followed"]


@contextmanager
def followed() -> Iterator[tuple[Callable[[CacheProgress], None], Callable[[TrainingProgress], None]]]:
    """Callbacks for clips that are prepared and for steps of training: a bar each while it is running.

    A line is printed for every validation, and for every file that is left out, once. Where standard error is not a
    terminal, there are these lines only.
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
            if reached.validated:
                whose = f"{reached.name}: " if reached.name else ""
                say(f"{whose}step {reached.step} of {reached.steps}: {loss}validation {reached.validation:.4f}, {pace}")

        yield prepared, trained
