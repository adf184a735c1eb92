"""Hits of a search as files: a table of their regions, copies of them, and a picture; what cannot be read is named."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundloom.cli.console import echo, print_failures
from soundloom.cli.match_table import written_region
from soundloom.cli.roots import absent_root
from soundloom.counted import counted
from soundloom.errors import AudioError
from soundloom.file_names import text_path

if TYPE_CHECKING:
    from soundloom.annotations import Annotation
    from soundloom.audio import DecodeOptions
    from soundloom.library import Match, QuerySound

__all__ = ["copy_matches", "draw_matches", "name_unreadable", "regions_of", "write_regions"]


def regions_of(matches: Sequence[Match], label: str, fields: Sequence[dict[str, Any]]) -> list[Annotation]:
    """Matches as regions of files.

    Args:
        matches: what was found.
        label: what was asked for.
        fields: of each, further columns by name; none, or one for each.
    """
    every = fields or [{}] * len(matches)
    return [written_region(match, label, values) for match, values in zip(matches, every, strict=True)]


def write_regions(regions: Sequence[Annotation], out: Path) -> None:
    """Write regions in the form that the ending of the name says."""
    from soundloom.annotations import write_annotations

    echo(f"{counted(len(regions), 'hit')} written to {write_annotations(regions, out)}", err=True)


def copy_matches(library: Path, regions: Sequence[Annotation], folder: Path, *, cut: bool) -> bool:
    """Copy the files of regions, or the regions alone, and say so. Returns whether all could be copied."""
    from soundloom.library.exports.region_copies import copy_regions
    from soundloom.library.storage.root_registry import RootRegistry

    known = set(folder.iterdir()) if folder.is_dir() else set()
    failed: list[AudioError] = []
    copies = copy_regions(regions, folder, cut=cut, on_error=failed.append)
    there = sum(copy in known for copy in copies)
    said = f", {there} {'was' if there == 1 else 'were'} there already" if there else ""
    echo(f"{counted(len(copies) - there, 'region' if cut else 'file')} copied to {folder}{said}", err=True)
    name_unreadable(library, failed, "copied")
    roots = [root for root in RootRegistry(library).paths() if folder.resolve().is_relative_to(root)]
    if roots:
        echo(f"it is in {roots[0]}: the next soundloom index finds the copies as sounds of their own", err=True)
    return not failed


def name_unreadable(library: Path, failed: Sequence[AudioError], done: str) -> None:
    """Name hits whose files cannot be read, and the folders of the library that are absent, on standard error.

    Args:
        library: the library's folder.
        failed: why each cannot be read.
        done: what was to be done with them.
    """
    from soundloom.library import Failure
    from soundloom.library.storage.root_paths import is_below, is_empty
    from soundloom.library.storage.root_registry import RootRegistry

    if not failed:
        return
    echo(f"{counted(len(failed), 'hit')} could not be {done}:", err=True)
    print_failures([Failure(text_path(error.path), error.reason) for error in failed])
    for root in RootRegistry(library).paths():
        if is_empty(root) and any(is_below(text_path(error.path), [root]) for error in failed):
            echo(absent_root(root, library), err=True)


def draw_matches(
    picture: Path,
    sound: QuerySound,
    matches: Sequence[Match],
    sample_rate: int,
    decoding: DecodeOptions,
    hits_decoding: DecodeOptions,
) -> None:
    """Draw a sound and those of its hits that are there.

    Raises:
        QueryError: the sound is no file.
    """
    from soundloom.library.hits_picture import draw_hits

    there = [match for match in matches if not match.absent]
    absent = [os.path.basename(match.path) for match in matches if match.absent]
    if not there:
        echo("no picture is drawn: all hits are absent", err=True)
        return
    draw_hits(picture, sound, there, sample_rate, decoding, hits_decoding)
    left_out = f", without what is absent: {', '.join(absent)}" if absent else ""
    echo(f"drawn to {picture}{left_out}", err=True)
