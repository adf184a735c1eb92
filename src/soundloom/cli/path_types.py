"""Types of arguments that name files, folders, sounds and libraries."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from soundloom.cli.console import echo
from soundloom.counted import counted
from soundloom.errors import QueryError
from soundloom.library.library_files import INDEXING_FILE, is_library
from soundloom.local_path import local_path
from soundloom.remote import absolute_location, is_address
from soundloom.remote.locations import is_file_uri
from soundloom.safe_text import printable
from soundloom.term_syntax import split_region

__all__ = ["LibraryPath", "LocalPath", "SoundsPath", "named_library", "report_tracks"]


class LocalPath(click.Path):
    """A path of this machine; addresses such as ``s3://...`` are refused, and inputs must exist.

    Args:
        must_exist: whether it is an input.
        is_output: whether a file or folder is written there. Its parent folder must exist, and a file that the command
            replaced is named on standard error when the command ends.
        options: as for `click.Path`.
    """

    def __init__(self, *, must_exist: bool = False, is_output: bool = False, **options: Any) -> None:
        super().__init__(path_type=Path, **options)
        self._must_exist = must_exist
        self._is_output = is_output

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if not os.fspath(value):
            self.fail("the path is empty: name a file or folder", param, ctx)
        path = local_path(value, must_exist=self._must_exist)
        if self._is_output:
            if os.fspath(value) == "-":
                self.fail("standard output is not written to: name a file, such as out.csv, or ./- for '-'", param, ctx)
            if not path.parent.is_dir():
                self.fail(f"there is no folder {str(path.parent)!r}: make it first, or check the path", param, ctx)
            if ctx is not None and (before := _identity(path)) is not None:
                ctx.call_on_close(lambda: _report_replaced(path, before))
        return super().convert(value, param, ctx)


class SoundsPath(LocalPath):
    """A folder or file of sounds of this machine, as a `Path`, which must exist, or an address, as text."""

    def __init__(self) -> None:
        super().__init__(must_exist=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if is_address(value):
            return absolute_location(value)
        sound, _, _ = split_region(value)
        if sound != value and os.path.exists(sound):
            raise QueryError(
                f"{value!r} is a part of a sound, and sounds are taken whole here: name {sound!r}, or search by the "
                "part (soundloom search)"
            )
        return super().convert(absolute_location(value) if is_file_uri(value) else value, param, ctx)


class LibraryPath(LocalPath):
    """The folder of a library, or the local copy of one at an address; says if it is not indexed to the end."""

    def __init__(self, *, must_exist: bool = False, reports_unfinished: bool = True) -> None:
        super().__init__(must_exist=must_exist)
        self._reports_unfinished = reports_unfinished

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See `click.ParamType`."""
        if is_address(value) or is_file_uri(value):
            from soundloom.library.mirror import library_path

            value = library_path(value)
        path = super().convert(value, param, ctx)
        if self._reports_unfinished and (Path(path) / INDEXING_FILE).exists():
            from soundloom.library.storage.indexing_note import unfinished_indexing

            if unfinished := unfinished_indexing(Path(path)):
                echo(unfinished, err=True)
        return path


def named_library(name: str, *, reports_unfinished: bool = True) -> Path | None:
    """The library that an argument names which may be the name of a model, too; None if it names none."""
    there = is_address(name) and not name.startswith("http")
    if not (there or is_library(name) or name.rstrip("/").endswith(".loom")):
        return None
    return Path(LibraryPath(reports_unfinished=reports_unfinished).convert(name, None, None))


def report_tracks(context: click.Context, out: Path) -> None:
    """When the command ends, say how many label tracks of a folder it replaced, and which are those of before.

    Args:
        context: the command's.
        out: the folder; or a label track, in whose place there is a folder if it is of several sounds.
    """
    from soundloom.annotations import label_tracks

    folder = out.with_suffix("") if out.suffix == ".txt" else out
    before = {track: _identity(track) for track, _ in label_tracks(folder)} if folder.is_dir() else {}

    def report() -> None:
        if folder != out and {track: _identity(track) for track, _ in label_tracks(folder)} == before:
            return  # a label track was written
        left = [track for track, identity in before.items() if _identity(track) == identity]
        if len(left) < len(before):
            echo(f"replaced {counted(len(before) - len(left), 'label track')} in {folder}", err=True)
        if left:
            names = printable(str(left[0].relative_to(folder)))
            echo(
                f"{folder} still holds {counted(len(left), 'label track')} of before, such as {names}: what reads the "
                "folder takes them, too, so delete them, or name a new folder",
                err=True,
            )

    if before:
        context.call_on_close(report)


def _identity(path: Path) -> tuple[int, int] | None:
    """What differs once a file was written again; None where there is no file."""
    if not path.is_file():
        return None
    status = path.stat()
    return status.st_ino, status.st_mtime_ns


def _report_replaced(path: Path, before: tuple[int, int]) -> None:
    if _identity(path) not in (None, before):
        echo(f"replaced {path}", err=True)
