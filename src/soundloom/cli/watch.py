"""``soundloom watch``: folders indexed again whenever their files change, until Ctrl-C."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_failures, print_lost_annotations
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import FiniteNumber
from soundloom.counted import counted

if TYPE_CHECKING:
    from soundloom.errors import SoundloomError
    from soundloom.library import AddReport

__all__ = ["command"]


@click.command("watch")
@common_options.sounds_if_any
@common_options.library_without_remark
@click.option(
    "--every",
    type=FiniteNumber(min=0.1),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="Between two looks at the folders.",
)
@common_options.workers
@common_options.offline
def command(sounds: tuple[Path | str, ...], folder: Path, every: float, workers: int | None, offline: bool) -> None:
    """Keep a library up to date: index its folders whenever their files change. End it with Ctrl-C.

    A new file is indexed once it has not changed between two looks. The library must be there: see soundloom index.

    \b
    Examples:
      soundloom watch -l field.loom
      soundloom watch ~/recordings -l field.loom --every 60
    """
    from soundloom.library import Library
    from soundloom.library.folder_watch import watch_folders

    library = Library.open(folder, loader=model_loader(offline=offline))
    counts = _Counts(folder)
    echo(f"watching for {folder}: end with Ctrl-C", err=True)
    try:
        watch_folders(
            library, sounds or None, interval=every, workers=workers, indexed=counts.indexed, failed=counts.failed
        )
    except KeyboardInterrupt:
        library.index()
        echo(f"ended after {clock(time.monotonic() - counts.began)}: {counts}", err=True)


class _Counts:
    """What was done so far, printed as it happens."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.began = time.monotonic()
        self.updates = self.new = self.changed = self.deleted = 0

    def __str__(self) -> str:
        return f"{self.new} new, {self.changed} changed, {self.deleted} deleted in {counted(self.updates, 'update')}"

    def indexed(self, report: AddReport) -> None:
        deleted = report.deleted + report.excluded
        if not (report.new or report.changed or deleted or report.moved or report.copied or report.failed):
            echo("up to date")
            return
        self.updates += 1
        self.new += report.new
        self.changed += report.changed
        self.deleted += deleted
        echo(f"{report.new} new, {report.changed} changed, {deleted} deleted, {report.moved} moved")
        known = set(report.failed_before)
        print_failures([failure for failure in report.failed if failure.path not in known], of_library=True)
        print_lost_annotations(report, self._folder)

    def failed(self, error: SoundloomError) -> None:
        echo(f"not now: {error}", err=True)
