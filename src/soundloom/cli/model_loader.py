"""Loader of models for commands: what it fetches is announced, and followed by a bar, on standard error."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from soundloom.cli.console import echo

if TYPE_CHECKING:
    from rich import progress

    from soundloom.embedder import Embedder
    from soundloom.models.weights.http_transfer import TransferProgress

__all__ = ["model_loader"]


def model_loader(*, offline: bool) -> Callable[..., Embedder]:
    """`soundloom.load` as commands call it: what it fetches is announced, and followed by a bar, on standard error.

    The bar is there while something is fetched; show no other bar meanwhile.
    """
    bars: list[progress.Progress] = []  # made when something is fetched: rich takes long to import

    def advance(reached: TransferProgress) -> None:
        if not bars:
            bars.append(_fetch_bar())
        bars[0].update(bars[0].task_ids[0], total=reached.total, completed=reached.done)

    def load_with_bar(*arguments: Any, **options: Any) -> Embedder:
        from soundloom.models import load  # when it is needed: it imports PyTorch

        try:
            return load(*arguments, offline=offline, announce=announce, progress=advance, **options)
        finally:
            while bars:
                bars.pop().stop()

    def announce(download: object) -> None:
        echo(str(download), err=True)

    return load_with_bar


def _fetch_bar() -> progress.Progress:
    """A running bar of bytes, with the rate and the time left; nothing if standard error is not a terminal."""
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("fetching weights"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    bar = progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    bar.add_task("")
    bar.start()
    return bar
