"""Output of commands: progress on standard error, tables and JSON on standard output.

File names, tags and metadata are other people's text: everything is printed by `echo`, `cell` and `print_json`, which
escape what a terminal would obey (`soundloom.safe_text`). What the terminal's encoding lacks is escaped as well.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from soundloom.counted import counted
from soundloom.option_hints import hints_as_flags
from soundloom.safe_text import printable_lines

if TYPE_CHECKING:
    from rich import progress
    from rich.console import Console
    from rich.text import Text

    from soundloom.embedder import Embedder
    from soundloom.library import Failure, FileNotice, FileProgress
    from soundloom.library.indexing.scan import FilesLeftOut
    from soundloom.models.weights.http_transfer import TransferProgress

__all__ = [
    "Styled",
    "can_print",
    "cell",
    "clock",
    "echo",
    "model_loader",
    "print_copies",
    "print_failures",
    "print_json",
    "print_left_out",
    "print_notices",
    "progress_bar",
    "step_bar",
    "table_console",
    "tolerate_encodings",
]

_UNSAFE_IN_JSON = re.compile(
    "[\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff]"
)
"""JSON itself escapes the control characters of ASCII."""


class Styled(NamedTuple):
    """A piece of a line in a colour of ours."""

    text: str
    colour: str


def tolerate_encodings() -> None:
    """Escape what the encoding of standard output and error cannot hold, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def echo(*pieces: str | Styled, err: bool = False) -> None:
    """Print a line, or several, with what a terminal would obey escaped; only `Styled` pieces are coloured.

    Options that a text names as Python takes them become flags.
    """
    click.echo(
        "".join(
            click.style(printable_lines(piece.text), fg=piece.colour)
            if isinstance(piece, Styled)
            else printable_lines(hints_as_flags(piece))
            for piece in pieces
        ),
        # Named, because click takes a stream in ASCII for a mistake, and writes UTF-8 to it.
        file=sys.stderr if err else sys.stdout,
    )


def cell(text: str, style: str = "") -> Text:
    """Text in a table, with what a terminal would obey escaped and no markup understood."""
    from rich.text import Text

    return Text(printable_lines(text), style)


def table_console(width: int) -> Console:
    """Where tables are printed: standard output, as wide as the terminal, or as wide as given where it is none."""
    from rich.console import Console

    # Piped into a file or another command, a table must not be folded to a guessed width.
    return Console(width=None if sys.stdout.isatty() else width, highlight=False)


def print_json(data: Any) -> None:
    """Print data as JSON; dataclasses become objects."""
    text = json.dumps(data, indent=2, ensure_ascii=False, default=_plain)
    if not can_print(text):
        text = json.dumps(data, indent=2, default=_plain)
    click.echo(_UNSAFE_IN_JSON.sub(lambda found: f"\\u{ord(found[0]):04x}", text))


def _plain(data: Any) -> Any:
    if is_dataclass(data) and not isinstance(data, type):
        return asdict(data)
    return str(data)


def path_from_here(path: str) -> str:
    """A path as short as it can be from the working folder."""
    return path.removeprefix(os.getcwd().rstrip(os.sep) + os.sep)


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
def progress_bar(what: str) -> Iterator[Callable[[FileProgress], None]]:
    """A bar with the rate and the time left, from the first file on; lines if standard error is not a terminal."""
    from rich import progress
    from rich.console import Console

    from soundloom.cli.progress_lines import ProgressLines

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    bar = progress.Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task(what, total=None, rate="")
    lines = ProgressLines(what, "files")

    def advance(reached: FileProgress) -> None:
        if not console.is_terminal:
            lines.advance(reached.done, reached.total)
            return
        bar.start()
        elapsed = bar.tasks[task].elapsed or 0
        if elapsed > 0:
            rate = f"{reached.done / elapsed:.0f} files/s, {reached.seconds / elapsed:.0f} x real time"
            bar.update(task, total=reached.total, completed=reached.done, rate=rate)

    try:
        yield advance
    finally:
        bar.stop()


@contextmanager
def step_bar(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar of steps done, of how many, with the time left; lines if standard error is not a terminal."""
    from rich import progress
    from rich.console import Console

    from soundloom.cli.progress_lines import ProgressLines

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn(unit),
        progress.TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    if not console.is_terminal:
        yield ProgressLines(what, unit).advance
        return
    with progress.Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


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


def print_notices(notices: Sequence[FileNotice], *, every: bool = False) -> None:
    """Say how many files have each kind of notice, on standard error, and each of them if that is wanted."""
    if not notices:
        return
    from soundloom.audio import NOTICE_KINDS

    for code in sorted({notice.code for notice in notices}):
        some = [notice for notice in notices if notice.code == code]
        echo(f"{counted(len(some), 'file')}: {NOTICE_KINDS.get(code, code)}", err=True)
        for notice in some if every else ():
            echo("  ", Styled("noticed", "yellow"), f" {notice.path!r}: {notice.text}", err=True)
    if not every:
        echo("Each of them: soundloom info", err=True)


def print_left_out(left_out: FilesLeftOut) -> None:
    """Say which files were left out for their endings, if any were, on standard error."""
    if left_out.endings:
        echo(str(left_out), err=True)


def print_copies(copies: Sequence[str], also: str = "also on", *, shown: int = 5) -> None:
    """Name the files that share changed tags, being copies of the files that were named."""
    if copies:
        of = "copy" if len(copies) == 1 else "copies"
        more = f", and {len(copies) - shown} more" if len(copies) > shown else ""
        echo(f"{also} {len(copies)} {of} of the same content: {', '.join(copies[:shown])}{more}")


def print_failures(failures: Sequence[Failure], *, shown: int = 20) -> None:
    """Name the files that failed and why, on standard error."""
    for failure in failures[:shown]:
        echo("  ", Styled("failed", "red"), f" {failure.path!r}: {failure.reason}", err=True)
    if len(failures) > shown:
        echo(f"  ... and {len(failures) - shown} more", err=True)


def can_print(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
