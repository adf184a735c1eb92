"""Hints at options of decoding, spelled for each interface: Python's keywords, flags of the command line, the page.

Errors and notices name an option as Python takes it, ``DecodeOptions(speed=0.1)``, and are stored so. Each interface
spells it in its own way where it shows the text.
"""

from __future__ import annotations

import re

__all__ = ["hints_as_flags", "hints_for_page"]

_HINT = re.compile(r"DecodeOptions\((accept_truncated|channels|track|speed)=([^()]*)\)")
_TEXT = re.compile(r"""LibraryQuery\(text=('[^']*'|"[^"]*")\)""")
_FLAG = re.compile(r"(?<!indexed with )--(?:accept-truncated|channels|track|speed)\b(?: [\d.]+)?")


def hints_as_flags(text: str) -> str:
    """The text with options as flags of the command line.

    >>> hints_as_flags("take what there is with DecodeOptions(accept_truncated=True)")
    'take what there is with --accept-truncated'
    >>> hints_as_flags("DecodeOptions(speed=0.1) slows it down"), hints_as_flags("DecodeOptions(track=...)")
    ('--speed 0.1 slows it down', '--track')
    >>> hints_as_flags("Pass partial=True to take the copy as it is")
    'Pass --partial to take the copy as it is'
    >>> hints_as_flags("as text: LibraryQuery(text='a_1')")
    "as text: --text 'a_1'"
    """
    return _TEXT.sub(r"--text \1", _HINT.sub(_flag, text)).replace(" partial=True ", " --partial ")


def hints_for_page(text: str) -> str:
    """The text with options as settings of a library, which is where the server takes them from.

    >>> hints_for_page("take what there is with DecodeOptions(accept_truncated=True)")
    'take what there is with a library indexed with --accept-truncated'
    """
    # Earlier versions stored flags.
    return _FLAG.sub(lambda flag: f"a library indexed with {flag[0]}", hints_as_flags(text))


def _flag(hint: re.Match[str]) -> str:
    name, value = hint[1].replace("_", "-"), hint[2]
    return f"--{name}" if value in ("True", "...") else f"--{name} {value}"
