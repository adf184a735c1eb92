r"""File names that are not UTF-8 as text that can be stored, sent and shown, and back.

POSIX file names are bytes. Python shows those that are not UTF-8 as lone surrogates (PEP 383), which neither Arrow nor
JSON nor a page can hold. Here such a byte is written ``\xNN``, as a shell writes it; the backslash of a name that
really holds these four characters is written ``\x5c``. Names that are UTF-8, and do not look so, are unchanged.
"""

from __future__ import annotations

import os
import re
from os import PathLike

__all__ = ["os_path", "text_path"]

_ESCAPE = re.compile(r"\\x(5c|[89a-f][0-9a-f])")
_ESCAPES = re.compile(rb"\\x(5c|[89a-f][0-9a-f])")
_BYTE = re.compile("[\udc80-\udcff]")


def text_path(path: str | PathLike[str]) -> str:
    r"""A path as text: what libraries store, and commands print.

    >>> text_path("caf\udce9.wav")
    'caf\\xe9.wav'
    """
    name = os.fspath(path)
    if os.name == "nt":
        return name
    escaped = _ESCAPE.sub(r"\\x5cx\1", name)
    return _BYTE.sub(lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", escaped)


def os_path(text: str | PathLike[str]) -> str:
    r"""The path that `text_path` made a text of, as the system takes it; a path that exists as it is stays so.

    >>> os_path("caf\\xe9.wav")
    'caf\udce9.wav'
    """
    name = os.fspath(text)
    if os.name == "nt" or not _ESCAPE.search(name) or os.path.lexists(name):
        return name
    return os.fsdecode(_ESCAPES.sub(lambda found: bytes.fromhex(found[1].decode()), os.fsencode(name)))
