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
    """The rest of a message on an unknown name, after the names that begin with it, or the nearest one.

    >>> suggestion("YAMNet", ["vggish", "yamnet"], "there are two")
    "did you mean 'yamnet'? There are two"
    >>> suggestion("fsdd", ["fsd50k", "fsdd-digits", "fsdd-speakers"], "there are three")
    "did you mean 'fsdd-digits' or 'fsdd-speakers'? There are three"
    >>> suggestion("zzz", ["vggish"], "there is one")
    'there is one'
    """
    spelled = {folded(one): one for one in known}
    begun = [one for one in spelled if len(name) > 2 and one.startswith(folded(name))]
    near = begun[:3] or difflib.get_close_matches(folded(name), spelled, n=1)
    meant = " or ".join(repr(spelled[one]) for one in near)
    return f"did you mean {meant}? {rest[:1].upper()}{rest[1:]}" if near else rest
