"""Formats of annotations, a registry: how one is recognised, read and written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from soundloom.annotations.annotation import Annotation
from soundloom.annotations.delimited_text import TextTable
from soundloom.components.registry import Registry

__all__ = ["FORMATS", "AnnotationFormat", "Recogniser", "TableReader", "Writer", "register_format"]

Writer = Callable[[Sequence[Annotation], Path], None]
"""Writes annotations to a file; the file does not exist yet."""

Recogniser = Callable[[TextTable], bool]
"""Whether a table is of the format, by its columns."""

TableReader = Callable[[TextTable, str], list[Annotation]]
"""The annotations of a table, and of the file of that path where the table names none; empty: it is not known."""


@dataclass(frozen=True, kw_only=True)
class AnnotationFormat:
    """A format of annotations.

    Attributes:
        title: what it is, in a few words.
        ending: the end of its files' names, in lower case; of two that fit a name the longer counts.
        write: writes it; None for a format that is only read.
        decode: the table that a file of this format holds; None where the file is of another. For formats that are not
            delimited text.
        recognise: whether a table of delimited text is of this format; None for one that is none, or only written.
        read: reads it; None for one that is only written.
        any_columns: whether it holds further columns under their names, in no program's way.
        guess: attribute -> the column of a table, as it is written, that is taken for it, where that is to be said.
    """

    title: str
    ending: str
    write: Writer | None = None
    decode: Callable[[bytes], TextTable | None] | None = None
    recognise: Recogniser | None = None
    read: TableReader | None = None
    any_columns: bool = False
    guess: Callable[[TextTable], Mapping[str, str]] | None = None


FORMATS: Registry[AnnotationFormat] = Registry(
    "annotation format", ("soundloom.annotations.programs",), base=AnnotationFormat
)
"""The formats, by name."""


def register_format(name: str, format_: AnnotationFormat) -> AnnotationFormat:
    """Register a format; called beside its functions.

    Raises:
        ComponentError: the name is taken.
    """
    return FORMATS.register(name, format_, definition=format_.write or format_.read)
