"""Text compared without regard to case and width: compatibility composition and case folding (Unicode 15, 3.13)."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable

__all__ = ["folded", "suggestion"]


def folded(text: str) -> str:
    """A text as it is compared: the same for ``Crow``, ``crow`` and `` CROW ``.

    >>> folded("Crow "), folded("STRASSE") == folded("Straße")
    ('crow', True)
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def suggestion(name: str, known: Iterable[str], rest: str) -> str:
    """The rest of a message on an unknown name, after the nearest name that there is.

    >>> suggestion("YAMNet", ["vggish", "yamnet"], "there are two")
    "did you mean 'yamnet'? There are two"
    >>> suggestion("zzz", ["vggish"], "there is one")
    'there is one'
    """
    spelled = {folded(one): one for one in known}
    near = difflib.get_close_matches(folded(name), spelled, n=1)
    return f"did you mean {spelled[near[0]]!r}? {rest[:1].upper()}{rest[1:]}" if near else rest
