"""What is known of a public data set before it is read: a row of the table of corpora."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from soundloom.corpora.table import Corpus, Task

__all__ = ["Source"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A public data set (or a kind of folder) that soundloom can read.

    Attributes:
        name: what the user types.
        title: what it is.
        task: "single-label" or "multi-label".
        layout: what lies in the folder to give as root.
        address: where to get it.
        licence: under what terms, in a few words.
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
    counts: Mapping[str, int] = field(default_factory=dict)

    @property
    def options(self) -> tuple[str, ...]:
        """The adapter's own options, which ``load`` takes by name."""
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(one.name for one in parameters if one.kind is inspect.Parameter.KEYWORD_ONLY)
