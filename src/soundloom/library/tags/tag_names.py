"""Names of tags: what one can be called."""

from __future__ import annotations

from soundloom.errors import LibraryError

__all__ = ["SEPARATORS", "checked_tag", "stripped_tag"]

SEPARATORS = ",;|"
"""What separates the tags in a cell of a table, and the first two where somebody types them: no tag can hold it."""
_LONGEST = 200


def stripped_tag(tag: str) -> str:
    """The tag without spaces around it, whatever it holds: an earlier version may have given it.

    Raises:
        LibraryError: it is no text.
    """
    if not isinstance(tag, str):
        raise LibraryError(f"a tag is text, got {type(tag).__name__}: the tag comes first, then the segments")
    return tag.strip()


def checked_tag(tag: str) -> str:
    """The tag without spaces around it.

    Raises:
        LibraryError: it is no text, is empty or too long, or holds what a table of tags or a label track could not.
    """
    tag = stripped_tag(tag)
    if not tag or len(tag) > _LONGEST or any(letter in SEPARATORS or not letter.isprintable() for letter in tag):
        raise LibraryError(
            f"{tag!r} cannot be a tag: a tag is 1 to {_LONGEST} printable characters without commas, semicolons and |, "
            "which separate tags in tables"
        )
    return tag
