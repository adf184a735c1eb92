"""A page with a player for every annotated region, marked where its file is absent; written only."""

from __future__ import annotations

import html
import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.annotation_format import AnnotationFormat, register_format
from soundloom.file_names import os_path
from soundloom.remote import is_address
from soundloom.safe_text import printable

__all__ = ["LISTENING_PAGE", "address"]


def address(path: str) -> str:
    """A file as an address, with every byte that an address cannot hold escaped."""
    return "file://" + quote(os.fsencode(os_path(path)))


def _write(annotations: Sequence[Annotation], file: Path) -> None:
    rows = []
    for count, one in enumerate(annotations, start=1):
        absent = not is_address(one.path) and not os.path.exists(os_path(one.path))
        source = html.escape(f"{address(one.path)}#t={one.start:g},{one.end:g}", quote=True)
        score = "" if one.score is None else f"{one.score:.3f}"
        cells = (
            str(count),
            f'<audio controls preload="none" src="{source}"></audio>',
            html.escape(printable(os.path.basename(one.path))) + (" (absent)" if absent else ""),
            f"{one.start:.1f}-{one.end:.1f} s",
            html.escape(printable(one.label)),
            score,
            html.escape(printable(os.path.dirname(one.path))),
        )
        rows.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    labels = {one.label for one in annotations if one.label}
    title = html.escape(printable(labels.pop()) if len(labels) == 1 else "Sounds")
    head = "".join(f"<th>{name}</th>" for name in ("#", "", "file", "seconds", "label", "score", "folder"))
    file.write_text(
        f'<!doctype html><meta charset="utf-8"><title>{title}</title>'
        "<style>body{font:15px system-ui;margin:2em}td,th{padding:.3em .8em;text-align:left}audio{height:2em}</style>"
        f"<h1>{title}</h1><table><thead><tr>{head}</tr></thead><tbody>\n" + "\n".join(rows) + "\n</tbody></table>\n",
        encoding="utf-8",
    )


LISTENING_PAGE = register_format("html", AnnotationFormat(title="a page with players", ending=".html", write=_write))
