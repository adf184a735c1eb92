"""Check of what a data set is made of: a corpus or a library."""

from __future__ import annotations

from typing import Any

from soundloom.corpora import Corpus
from soundloom.errors import InvalidArgumentError
from soundloom.library import Library

__all__ = ["check_source"]


def check_source(source: Any) -> None:
    """Refuse what is neither a corpus nor a library.

    Raises:
        InvalidArgumentError: says what came.
    """
    if not isinstance(source, Corpus | Library):
        raise InvalidArgumentError(
            f"source is a {type(source).__name__}: give a corpus, soundloom.corpora.load(FOLDER), or a library, "
            "soundloom.Library.open(FOLDER)"
        )
