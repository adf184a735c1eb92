"""Text compared without regard to case and width: compatibility composition and case folding (Unicode 15, 3.13)."""

from __future__ import annotations

import unicodedata

__all__ = ["folded"]


def folded(text: str) -> str:
    """A text as it is compared: the same for ``Crow``, ``crow`` and `` CROW ``.

    >>> folded("Crow "), folded("STRASSE") == folded("Straße")
    ('crow', True)
    """
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
