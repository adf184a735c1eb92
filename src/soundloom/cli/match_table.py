"""Matches of a query as lines of a terminal and as regions of files: whole names within its width, and what found each.

A line is never broken within a name: folders are left out in the middle of the path, and a name that is wider than the
terminal goes on in the next line as the terminal wraps it. Where standard output is no terminal, paths are whole.
"""

from __future__ import annotations

import math
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from soundloom.cli.console import Styled, can_print, echo, path_from_here
from soundloom.safe_text import printable

if TYPE_CHECKING:
    from soundloom.annotations import Annotation
    from soundloom.library import Explanation, Match

__all__ = ["field_text", "fit_path", "print_matches", "region_seconds", "written_region"]


def print_matches(
    matches: Sequence[Match],
    title: str,
    reasons: Sequence[Explanation] | None = None,
    fields: Sequence[Mapping[str, Any]] = (),
    weights: Mapping[str, float] | None = None,
) -> None:
    """Print matches as a table.

    Args:
        matches: what was found, best first.
        title: what was asked for.
        reasons: why each was found, to be printed below it.
        fields: of each, further columns by name.
        weights: of the parts, where not 1: one without weight is no reason, one below 0 is for what is unlike by it.
    """
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    compared = any(match.similarity is not None for match in matches)
    asked = any(match.probability is not None for match in matches)
    header = [
        "#",
        *(("similar", "closer than") if compared else ()),
        *(("probable",) if asked else ()),
        "found by",
        "seconds",
        *(fields[0] if fields else ()),
    ]
    rows = [
        [*_cells(rank, match, compared, asked), *(field_text(value) for value in values.values())]
        for rank, (match, values) in enumerate(zip(matches, fields or [{}] * len(matches), strict=True), start=1)
    ]
    left = header.index("found by")
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    used = sum(widths) + 2 * len(widths)
    echo(Styled(title, "bright_white"))
    echo(_line(header, widths, left), "file")
    for row, match, place in zip(rows, matches, range(len(rows)), strict=True):
        absent = " (absent)" if match.absent else ""
        path = path_from_here(match.path)
        shown = path if width is None else fit_path(path, max(8, width - used - len(absent)))
        echo(_line(row, widths, left), printable(shown), Styled(absent, "yellow"))
        if reasons is not None:
            echo(" " * (widths[0] + 2), f"because of {_reasons(reasons[place].weighed(weights or {}))}")


def fit_path(path: str, width: int) -> str:
    """A path in so many columns, with folders left out in its middle; the file's own name is always whole.

    >>> fit_path("sounds/birds/europe/night/owl.wav", 26).replace("…", "...")
    'sounds/.../night/owl.wav'
    >>> fit_path("sounds/birds/a_long_name_of_an_owl.wav", 20).replace("…", "...")
    '.../a_long_name_of_an_owl.wav'
    """
    parts = path.split(os.sep)
    if _columns(path) <= width or len(parts) == 1:
        return path
    more = "…" if can_print("…") else "..."
    for kept in range(len(parts) - 1, 0, -1):
        # As many folders as fit: those nearest the file, and of the others those at the beginning.
        last = (kept + 1) // 2
        shortened = os.sep.join([*parts[: kept - last], more, *parts[len(parts) - last :]])
        if _columns(shortened) <= width:
            return shortened
    return os.sep.join([more, parts[-1]])


def percent(share: float) -> str:
    """A share of a library; never rounded up to all: 99.9 % at most."""
    return f"{math.floor(1000 * min(share, 0.999)) / 10:.1f} %" if share >= 0.99 else f"{100 * share:.0f} %"


def _cells(rank: int, match: Match, compared: bool, asked: bool) -> list[str]:
    scores = []
    if compared:
        scores = [
            "" if match.similarity is None else f"{match.similarity:.2f}",
            "" if match.percentile is None else percent(match.percentile),
        ]
    if asked:
        scores.append("" if match.probability is None else percent(match.probability))
    return [str(rank), *scores, _found_by(match), region_seconds(match.start, match.end)]


def region_seconds(start: float, end: float) -> str:
    """Seconds of a region, with more decimals of one that is shorter than a second.

    >>> region_seconds(2, 12), region_seconds(8.65, 8.7), region_seconds(0.0125, 0.015)
    ('2.0-12.0', '8.650-8.700', '0.0125-0.0150')
    """
    decimals = 1 if end - start >= 1 else min(6, 1 - math.floor(math.log10(max(end - start, 1e-6))))
    return f"{start:.{decimals}f}-{end:.{decimals}f}"


def field_text(value: Any) -> str:
    """The value of a field, as a table shows it; nothing where it is not known.

    >>> field_text(["dog", "farm"]), field_text(2.5), field_text(None)
    ('dog, farm', '2.5', '')
    """
    if isinstance(value, list):
        return ", ".join(map(field_text, value))
    if isinstance(value, float):
        return f"{value:.1f}"
    return "" if value is None else printable(str(value))


def _line(cells: Sequence[str], widths: Sequence[int], left: int) -> str:
    """Cells in their columns: numbers to the right, what found it to the left."""
    aligned = [
        cell.ljust(width) if column == left else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return "  ".join(aligned) + "  "


def _reasons(explanation: Explanation) -> str:
    """The parts that speak for a match, and how unusual that is: closer than so many percent of the library."""
    shown = [f"{part} {percent(explanation.percentiles[part])}" for part in explanation.reasons]
    return ", ".join(shown) or "nothing in particular"


def _columns(text: str) -> int:
    shown = printable(text)
    if shown.isascii():
        return len(shown)
    from rich.cells import cell_len

    return cell_len(shown)


def written_region(match: Match, label: str, fields: Mapping[str, Any]) -> Annotation:
    """A match as files of regions have it, with what the table shows of it, and fields of its file."""
    from soundloom.annotations import Annotation

    columns: dict[str, Any] = {"percentile": match.percentile}
    if match.probability is not None:
        columns["probability"] = match.probability
    columns |= {"found_by": _found_by(match), "tags": match.tags, **fields}
    return Annotation(match.path, match.start, match.end, label, match.similarity, match.duration, columns)


def _found_by(match: Match) -> str:
    return "+".join(match.found_by) or "filter"
