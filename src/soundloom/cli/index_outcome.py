"""Outcome of an indexing run, printed: what was done, noticed, left out and refused."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from soundloom.cli.console import (
    clock,
    echo,
    print_copies,
    print_failures,
    print_json,
    print_left_out,
    print_list,
    print_lost_annotations,
    print_none_found,
    print_notices,
)
from soundloom.cli.roots import absent_root
from soundloom.counted import counted
from soundloom.library.mirror import shown
from soundloom.library.storage.exclusions import patterns_file

if TYPE_CHECKING:
    from soundloom.library import AddReport, Library

__all__ = ["print_outcome"]


def print_outcome(
    report: AddReport,
    library: Library,
    sounds: Sequence[str],
    seconds: float | None,
    tag_file: Path | None,
    verbose: bool,
) -> bool:
    """Print what was done, as JSON without seconds, and what was noticed; whether something failed.

    Args:
        report: of the run.
        library: what was indexed.
        sounds: the folders and files that were named.
        seconds: how long it took; None for JSON.
        tag_file: the table of tags, if one was given.
        verbose: whether every file is named of which something was noticed.
    """
    if seconds is None:
        print_json(report)
    else:
        _print_report(report, library, seconds, tag_file)
    if sounds and not (_counts(report) or report.failed or report.absent or report.missing):
        print_none_found(sounds)  # no failure: soundloom watch may wait for the first
    print_notices(report.notices, library.folder, every=verbose)
    print_lost_annotations(report, library.folder)
    return _print_refused(report, library, tag_file)


def _print_report(report: AddReport, library: Library, seconds: float, tag_file: Path | None) -> None:
    """Print what was done, and what needs attention."""
    if report.redecoded:
        again = counted(report.redecoded, "file")
        echo(f"embedded {again} again: decoded to another sound than before this version.", err=True)
    echo(
        f"{', '.join(_counts(report)) or 'no sounds'}; {counted(report.segments, 'segment')}, "
        f"{clock(report.seconds)} of sound in {clock(seconds)}. "
        f"{shown(library.folder)} holds {counted(len(library), 'segment')}."
    )
    if tag_file is not None:
        _print_tagged(report, tag_file)
    print_left_out(report.left_out, patterns_file(library.folder))
    for old, new in report.relocated.items():
        echo(f"{old} is now {new}: its embeddings were kept.")
    for outer in dict.fromkeys(report.replaced.values()):
        inner = [path for path, place in report.replaced.items() if place == outer]
        names = ", ".join(inner[:5]) + (f" and {len(inner) - 5} more" if len(inner) > 5 else "")
        echo(f"{outer} takes the place of {names}, which {'lies' if len(inner) == 1 else 'lie'} in it.")
    for root in report.absent:
        echo(absent_root(root, library.folder), err=True)
    if report.missing:
        echo(
            f"missing: {counted(report.missing, 'file')} ({clock(report.missing_seconds)}), more than a tenth of the "
            "folder or an hour. Kept, in case a drive is not mounted; if deleted on purpose, run again with --prune.",
            err=True,
        )
    if report.unmatched:
        print_list(
            f"{counted(len(report.unmatched), 'row')} of the table of tags without a sound that fits:", report.unmatched
        )


def _counts(report: AddReport) -> list[str]:
    """How many files of each kind there were, without those of which there was none."""
    counts = ("new", "changed", "moved", "redecoded", "upgraded", "touched", "unchanged", "deleted", "excluded")
    return [f"{count} {name}" for name in counts if (count := getattr(report, name))]


def _print_tagged(report: AddReport, tag_file: Path) -> None:
    """Say what the table of tags did."""
    refused = len(report.unmatched) + len(report.ambiguous)
    echo(
        f"{tag_file}: {counted(report.table_rows, 'row')} matched, {refused} not; "
        f"{counted(report.tags_given, 'tag')} given, {report.tags_removed} removed, "
        f"in {counted(report.tagged_files, 'file')}."
    )
    print_copies(report.tagged_copies)
    if report.split_labels:
        label, tags = next(iter(report.split_labels.items()))
        echo(
            f"{counted(len(report.split_labels), 'label')} of {tag_file} with commas, semicolons or |, which no tag "
            f"can hold, became several tags each, as {label!r} became {' and '.join(map(repr, tags))}.",
            err=True,
        )
    if report.beyond:
        print_list(
            f"{counted(len(report.beyond), 'region')} of {tag_file} left out, as no segment lies there:", report.beyond
        )


def _print_refused(report: AddReport, library: Library, tag_file: Path | None) -> bool:
    """Name what was refused, on standard error; whether some of it is new: a row of a table, or a failure."""
    if report.ambiguous:
        print_list(
            f"{counted(len(report.ambiguous), 'row')} of {tag_file} left out, for fitting several sounds:",
            report.ambiguous,
        )
    if report.tagged_failures:
        named = counted(len(report.tagged_failures), "file")
        print_list(f"{tag_file} gives tags to {named} that could not be indexed:", report.tagged_failures)
    known = set(report.failed_before)
    failed = [failure for failure in report.failed if failure.path not in known]
    if failed:
        echo(f"{counted(len(failed), 'file')} could not be indexed:", err=True)
        print_failures(failed, of_library=True)
    if known:
        info = f"soundloom info -l {quote(shown(library.folder))}"
        echo(f"{counted(len(known), 'file')} failed as before: {info}", err=True)
    return bool(failed or report.ambiguous)
