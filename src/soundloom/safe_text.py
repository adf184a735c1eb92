"""Text that others wrote (file names, tags, metadata), made safe to show in a terminal and to write to a CSV.

A terminal obeys escape sequences and reorders text around bidirectional controls, so that a file's name can retitle
the window, hide lines or read backwards (Boucher and Anderson 2021, "Trojan Source"). A spreadsheet computes cells
that look like formulas (OWASP, "CSV Injection").
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["csv_cell", "csv_text", "printable", "printable_lines"]

# Control characters, invisible formatting (bidirectional controls among it), surrogates, and the separators of lines
# and paragraphs. Private and unassigned characters may be letters of a font: they stay.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Joiners are part of emoji and of words in Persian and Indian scripts; they reorder nothing.
_JOINERS = frozenset("\u200c\u200d")

_FORMULA = re.compile(r"'*[=+\-@\t\r]")


def printable(text: str) -> str:
    r"""Text on one line with every character that a terminal would obey written as an escape.

    >>> printable("a\x1b[2Jb\n\u202ecod.exe")
    'a\\x1b[2Jb\\n\\u202ecod.exe'
    >>> printable("Über 🎻")
    'Über 🎻'
    """
    return text if text.isascii() and text.isprintable() else "".join(map(_shown, text))


def printable_lines(text: str) -> str:
    """The same for text of several lines: line breaks and tabs stay."""
    return (
        text
        if text.isascii() and text.isprintable()
        else "".join(character if character in "\n\t" else _shown(character) for character in text)
    )


def csv_cell(text: str) -> str:
    """A text as a cell of a CSV that no spreadsheet takes for a formula: with an apostrophe before what looks like one.

    >>> csv_cell("=HYPERLINK(1)"), csv_cell("door")
    ("'=HYPERLINK(1)", 'door')
    """
    return f"'{text}" if _FORMULA.match(text) else text


def csv_text(cell: str) -> str:
    """The text of a cell that `csv_cell` made.

    >>> csv_text("'=1"), csv_text("'tis"), csv_text(csv_cell("'=1"))
    ('=1', "'tis", "'=1")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # A byte of a file name that is not UTF-8.
    return _NAMED.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
