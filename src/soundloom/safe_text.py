"""Text that others wrote (file names, tags, metadata), made safe to show in a terminal and to write to a CSV.

A terminal obeys escape sequences and reorders text around bidirectional controls, so that a file's name can retitle
the window, hide lines or read backwards (Boucher and Anderson 2021, "Trojan Source"). A spreadsheet computes cells
that look like formulas (OWASP, "CSV Injection").
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["csv_cell", "csv_line", "csv_line_text", "csv_text", "printable", "printable_lines"]

# Control characters, invisible formatting (bidirectional controls among it), surrogates, and the separators of lines
# and paragraphs. Private and unassigned characters may be letters of a font: they stay.
_UNSAFE_CATEGORIES = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
_NAMED = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
# Joiners are part of emoji and of words in Persian and Indian scripts; they reorder nothing.
_JOINERS = frozenset("\u200c\u200d")

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
# The escapes of CSV cells, which are none of those of file names (`soundloom.file_names`: \\x5c and \\x80 to \\xff).
_CSV_ESCAPE = r"(?:x[01][0-9a-f]|x7f|u[0-9a-f]{4})"
_LIKE_CSV_ESCAPE = re.compile(rf"\\(?=(?:x5c)*{_CSV_ESCAPE})")
_ESCAPED_BACKSLASH_OR_CHARACTER = re.compile(rf"\\x5c(?=(?:x5c)*{_CSV_ESCAPE})|\\{_CSV_ESCAPE}")


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
    r"""A text as a cell of a CSV that no spreadsheet computes and no terminal obeys.

    What looks like a formula gets an apostrophe before it; characters that a terminal would obey, line breaks among
    them, are written as escapes.

    >>> csv_cell("=HYPERLINK(1)"), csv_cell("door"), csv_cell("a\x1b[2J")
    ("'=HYPERLINK(1)", 'door', 'a\\x1b[2J')
    """
    text = csv_line(text)
    return f"'{text}" if _FORMULA.match(text) else text


def csv_line(text: str) -> str:
    r"""A text as a cell between tabs: on one line, without characters that a terminal would obey.

    >>> csv_line("=a\tb")
    '=a\\x09b'
    """
    return "".join(map(_csv_character, _LIKE_CSV_ESCAPE.sub(r"\\x5c", text)))


def csv_line_text(cell: str) -> str:
    r"""The text of a cell that `csv_line` made.

    >>> csv_line_text(r"=a\x09b")
    '=a\tb'
    """
    return _ESCAPED_BACKSLASH_OR_CHARACTER.sub(_unescaped, cell)


def csv_text(cell: str) -> str:
    r"""The text of a cell that `csv_cell` made.

    >>> csv_text("'=1"), csv_text("'tis"), csv_text(csv_cell("'=1")), csv_text(r"a\x1b[2J")
    ('=1', "'tis", "'=1", 'a\x1b[2J')
    """
    text = cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
    return csv_line_text(text)


def _csv_character(character: str) -> str:
    """The character, or its escape; bytes of names that are not UTF-8 stay, as text has none of them."""
    if character.isascii() and character.isprintable():
        return character
    if character in _JOINERS or unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    code = ord(character)
    if code > 0xFFFF:
        return character  # tags of the language of a text, and parts of emoji
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}"


def _unescaped(escape: re.Match[str]) -> str:
    if escape[0] == r"\x5c":
        return "\\"
    character = chr(int(escape[0][2:], 16))
    return character if unicodedata.category(character) in _UNSAFE_CATEGORIES else escape[0]


def _shown(character: str) -> str:
    if character in _JOINERS or unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"  # A byte of a file name that is not UTF-8.
    return _NAMED.get(character) or (
        f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    )
