"""Corpus adapters: their registry, and the description of a data set beside the function that reads it.

An adapter of one's own is registered beside the function that reads the copy on disk (`register_corpus`,
docs/extending.md). Its name is then understood by `soundloom.corpora.load` and, as ``name=FOLDER``, by every command.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from soundloom.components import Registry
from soundloom.corpora.table import Corpus, Task
from soundloom.errors import CorpusError

__all__ = ["CORPORA", "CorpusAdapter", "register_corpus"]


@dataclass(frozen=True, kw_only=True)
class CorpusAdapter:
    """A public data set (or a kind of folder) that soundloom can read.

    Attributes:
        name: what the user types.
        title: what it is.
        task: "single-label" or "multi-label".
        layout: what lies in the folder to give as root.
        address: where to get it.
        licence: under what terms, in a few words.
        own: whether it is a collection of the user's own, which nobody publishes.
        counts: what a whole copy has: "clips", "classes", "groups", a split ("train"), a fold ("fold 3").
        read: the adapter: from a copy, and its own keyword options, to the corpus.
    """

    name: str
    title: str
    task: Task
    layout: str
    address: str
    licence: str
    read: Callable[..., Corpus]
    own: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """The adapter's own options, which ``load`` takes by name."""
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)


CORPORA: Registry[CorpusAdapter] = Registry(
    "corpus", ("soundloom.corpora",), base=CorpusAdapter, error=CorpusError, hint=" (see: soundloom corpora)"
)
"""Every corpus that can be read, by name."""


def register_corpus(source: CorpusAdapter) -> CorpusAdapter:
    """Add a corpus under its own name; gives it back.

    Raises:
        ComponentError: the name is taken by another corpus.
    """
    return CORPORA.register(source.name, source, definition=source.read)
