"""What commands print: progress on standard error, tables and JSON on standard output."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.text import Text

    from soundloom.embedder import Embedder
    from soundloom.library import Explanation, Failure, Hit, Progress
    from soundloom.models.http_transfer import Progress as Transferred

__all__ = ["clock", "hits_table", "model_loader", "print_failures", "print_json", "progress_bar"]


def print_json(data: Any) -> None:
    """Print data as JSON; dataclasses become objects."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False, default=_plain))


def _plain(data: Any) -> Any:
    if is_dataclass(data) and not isinstance(data, type):
        return asdict(data)
    return str(data)


def clock(seconds: float) -> str:
    """Seconds as a person reads them.

    >>> clock(7.25), clock(83), clock(7384)
    ('7.2 s', '1:23', '2:03:04')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    minutes = f"{whole // 60 % 60:02d}:{whole % 60:02d}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.lstrip("0")


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[Progress], None]]:
    """A bar with the rate and the time left; nothing if standard error is not a terminal."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None, rate="")

        def advance(reached: Progress) -> None:
            elapsed = bar.tasks[task].elapsed or 0
            if elapsed > 0:
                rate = f"{reached.done / elapsed:.0f} files/s, {reached.seconds / elapsed:.0f} x real time"
                bar.update(task, total=reached.total, completed=reached.done, rate=rate)

        yield advance


@contextmanager
def model_loader(*, offline: bool) -> Iterator[Callable[..., Embedder]]:
    """`soundloom.load` as commands call it: what it fetches is announced, and followed by a bar, on standard error.

    The bar is there while the context is open: load within it, and show no other bar meanwhile.
    """
    from functools import partial

    from rich import progress
    from rich.console import Console

    from soundloom.models import load

    columns = (
        progress.TextColumn("fetching weights"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    with progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None, visible=False)

        def advance(reached: Transferred) -> None:
            whole = reached.done == reached.total
            bar.update(task, total=reached.total, completed=reached.done, visible=not whole)

        yield partial(load, offline=offline, announce=lambda told: click.echo(str(told), err=True), progress=advance)


def print_failures(failures: Sequence[Failure], *, shown: int = 20) -> None:
    """Name the files that failed and why, on standard error."""
    for failure in failures[:shown]:
        click.echo(f"  {click.style('failed', fg='red')} {failure.path!r}: {failure.reason}", err=True)
    if len(failures) > shown:
        click.echo(f"  ... and {len(failures) - shown} more", err=True)


def hits_table(hits: Sequence[Hit], title: str, reasons: Sequence[Explanation] | None = None) -> None:
    """Print hits as a table: similarity, a bar for every part, why if that is wanted, and where."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title, style="bold"), title_justify="left", box=None, header_style="bold", pad_edge=False)
    table.add_column("#", justify="right")
    table.add_column("similar", justify="right")
    for part in hits[0].parts if hits else ():
        table.add_column(Text(part))
    if reasons is not None:
        table.add_column("because of")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("file", overflow="fold")
    for rank, hit in enumerate(hits, start=1):
        bars = [_bar(similarity) for similarity in hit.parts.values()]
        where = f"{hit.start:.1f}-{hit.end:.1f}"
        why = [] if reasons is None else [_reasons(reasons[rank - 1])]
        table.add_row(str(rank), f"{hit.similarity:.3f}", *bars, *why, where, _file(hit))
    # Piped into a file or another command, a table must not be folded to a guessed width.
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


def _file(hit: Hit) -> Text:
    """A hit's path, and whether it is there now."""
    from rich.text import Text

    return Text.assemble(_nearby(hit.path), (" (absent)", "yellow") if hit.absent else "")


def _reasons(explanation: Explanation) -> str:
    """The parts that speak for a hit, and how unusual that is: closer than so many percent of the library."""
    told = [f"{part} {_percent(explanation.standings[part])}" for part in explanation.reasons]
    return ", ".join(told) or "nothing in particular"


def _percent(share: float) -> str:
    """Never rounded up to all: 99.9 % at most."""
    return f"{math.floor(1000 * min(share, 0.999)) / 10:.1f} %" if share >= 0.99 else f"{100 * share:.0f} %"


def _nearby(path: str) -> str:
    """A path as short as it can be from here."""
    here = os.getcwd().rstrip(os.sep) + os.sep
    return path.removeprefix(here)


def _bar(similarity: float, width: int = 8) -> Any:
    from rich.text import Text

    filled = round(max(0.0, similarity) * width)
    return Text.assemble(("█" * filled, "cyan"), ("░" * (width - filled), "dim"), f" {similarity:5.2f}")
