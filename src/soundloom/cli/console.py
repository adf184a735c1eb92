"""Output of commands: messages on standard error, tables and JSON on standard output.

File names, tags and metadata are other people's text: everything is printed by `echo`, `cell` and `print_json`, which
escape what a terminal would obey (`soundloom.safe_text`). What the terminal's encoding lacks is escaped as well.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from shlex import quote
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from soundloom.counted import counted
from soundloom.library.mirror import shown
from soundloom.option_hints import hints_as_flags, hints_for_library
from soundloom.safe_text import printable_lines

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.text import Text

    from soundloom.library import AddReport, Failure, FileNotice
    from soundloom.library.indexing.scan import FilesLeftOut

__all__ = [
    "Styled",
    "can_print",
    "cell",
    "clock",
    "echo",
    "print_copies",
    "print_failures",
    "print_json",
    "print_left_out",
    "print_list",
    "print_lost_annotations",
    "print_none_found",
    "print_notices",
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


def print_notices(notices: Sequence[FileNotice], library: Path | None = None, *, every: bool = False) -> None:
    """Say how many files have each kind of notice, on standard error, and each of them if that is wanted.

    Args:
        notices: the notices.
        library: the library that the files are in, where else the notices are listed.
        every: whether each is named.
    """
    if not notices:
        return
    from soundloom.audio import NOTICE_KINDS

    for code in sorted({notice.code for notice in notices}):
        some = [notice for notice in notices if notice.code == code]
        echo(f"{counted(len(some), 'file')}: {NOTICE_KINDS.get(code, code)}", err=True)
        for notice in some if every else ():
            text = notice.text if library is None else hints_for_library(notice.text)
            echo("  ", Styled("noticed", "yellow"), f" {notice.path!r}: {text}", err=True)
    if library is not None and not every:
        from soundloom.library.mirror import shown

        echo(f"Each of them: soundloom info -l {quote(shown(library))}", err=True)


def print_left_out(left_out: FilesLeftOut, patterns: str = "") -> None:
    """Say which files were left out for their names, and which folders, if any were, on standard error.

    Args:
        left_out: what was.
        patterns: the file of the patterns of a library, if it has some.
    """
    if said := left_out.described(patterns):
        echo(said, err=True)


def print_none_found(sounds: Sequence[str | Path]) -> None:
    """Say that there is no sound in some folders, on standard error."""
    echo(f"no sounds in {', '.join(repr(str(folder)) for folder in sounds)}", err=True)


def print_copies(copies: Sequence[str], also: str = "also on", *, shown: int = 5) -> None:
    """Name the files that share changed tags, being copies of the files that were named."""
    if copies:
        of = "copy" if len(copies) == 1 else "copies"
        more = f", and {len(copies) - shown} more" if len(copies) > shown else ""
        echo(f"{also} {len(copies)} {of} of the same content: {', '.join(copies[:shown])}{more}")


def print_failures(failures: Sequence[Failure], *, of_library: bool = False, shown: int = 20) -> None:
    """Name the files that failed and why, on standard error.

    Args:
        failures: the files.
        of_library: whether a library decodes them, whose options of decoding are settled.
        shown: how many are named.
    """
    for failure in failures[:shown]:
        reason = hints_for_library(failure.reason) if of_library else failure.reason
        echo("  ", Styled("failed", "red"), f" {failure.path!r}: {reason}", err=True)
    if len(failures) > shown:
        echo(f"  ... and {len(failures) - shown} more", err=True)


def print_list(title: str, lines: Sequence[str], *, shown: int = 20) -> None:
    """Print a title and the first lines of a list below it, on standard error."""
    echo(title, err=True)
    for line in lines[:shown]:
        echo(f"  {line}", err=True)
    if len(lines) > shown:
        echo(f"  ... and {len(lines) - shown} more", err=True)


def print_lost_annotations(report: AddReport, folder: Path) -> None:
    """Name, on standard error, the files whose annotations an update left without their content; and what to do."""
    which = f"--gone -l {quote(shown(folder))}"
    if report.lost_annotations:
        print_list(
            f"{counted(sum(report.lost_annotations.values()), 'annotation')} of content that is gone now. They are "
            f"kept, and hold again when the sound is back. To see them: soundloom annotations list {which}; to drop "
            f"them: soundloom annotations remove {which}. They are of:",
            [f"{path} ({count})" for path, count in sorted(report.lost_annotations.items())],
        )
    if report.gone_annotations:
        before = counted(report.gone_annotations, "annotation")
        echo(f"{before} of content that was gone before: soundloom annotations list {which}", err=True)


def can_print(text: str) -> bool:
    """Whether standard output has these characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
