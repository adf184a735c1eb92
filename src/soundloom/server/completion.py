"""Completions of a text that is being typed: names, folders and tags of the library, and words that its model knows.

Whatever holds the text is a completion, in capitals or not; those that begin with it come first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice

from soundloom.server.catalogue import Catalogue
from soundloom.server.find_schemas import Completion

__all__ = ["complete"]


def complete(
    catalogue: Catalogue, tags: Mapping[str, int], vocabulary: Iterable[str], text: str, limit: int
) -> list[Completion]:
    """What a text may mean.

    Args:
        catalogue: of the library.
        tags: tag -> segments that have it, the most frequent first.
        vocabulary: the words that the model knows.
        text: what was typed.
        limit: how many completions of each kind.
    """
    wanted = text.strip().casefold()
    tagged = [
        Completion(kind="tag", value=tag, count=tags[tag]) for tag in islice(_holding(tags, wanted), limit) if tags[tag]
    ]
    words = [name for name in vocabulary if name not in tags]
    known_words = [Completion(kind="word", value=word) for word in islice(_holding(words, wanted), limit)]
    if not wanted:
        return [*tagged, *known_words]
    folders = {folder.name: folder.files for folder in catalogue.folders if folder.name != "."}
    last = {name: name.rpartition("/")[2] for name in folders}
    inside = islice(_holding(last, wanted, last.__getitem__), limit)
    return [
        *(Completion(kind="folder", value=name, count=folders[name]) for name in inside),
        *tagged,
        *known_words,
        *(
            Completion(kind="name", value=name, count=files)
            for name, files in catalogue.names_holding(wanted, limit).items()
        ),
    ]


def _holding(values: Iterable[str], wanted: str, shown: Callable[[str], str] = str) -> Iterator[str]:
    """The values that begin with a text, then those that hold it elsewhere."""
    later: list[str] = []
    for value in values:
        place = shown(value).casefold().find(wanted)
        if place == 0:
            yield value
        elif place > 0:
            later.append(value)
    yield from later
