"""Names of tags: what one can be called."""

from __future__ import annotations

from soundloom.errors import LibraryError

__all__ = ["checked_tag"]

_LONGEST = 200


def checked_tag(tag: str) -> str:
    """The tag without spaces around it.

    Raises:
        LibraryError: it is no text, empty, too long, or holds what a table of tags or a label track could not.
    """
    if not isinstance(tag, str):
        raise LibraryError(f"a tag is text, got {type(tag).__name__}: the tag comes first, then the segments")
    tag = tag.strip()
    if not tag or len(tag) > _LONGEST or any(letter in ",;" or not letter.isprintable() for letter in tag):
        raise LibraryError(
            f"{tag!r} cannot be a tag: a tag is 1 to {_LONGEST} printable characters without commas and semicolons"
        )
    return tag
