"""Summary of a library, as a line of text and as a table for notebooks. Nothing is embedded, and no model is loaded."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from soundloom.errors import SoundloomError
from soundloom.html_table import facts_table
from soundloom.library.indexing.library_roots import Roots
from soundloom.library.mirror import shown
from soundloom.library.storage.indexing_note import unfinished_indexing
from soundloom.library.storage.library_lock import require_library
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import Store

__all__ = ["LibrarySummary"]


@dataclass(frozen=True)
class LibrarySummary:
    """What a library holds.

    Attributes:
        folder: where it lies.
        facts: name -> value, as they are shown.
        error: why the library cannot be read; empty if it can.
    """

    folder: str
    facts: dict[str, str] = field(default_factory=dict)
    error: str = ""

    @classmethod
    def of(cls, folder: Path, settings: LibrarySettings, store: Store, roots: Roots) -> LibrarySummary:
        """The summary of a library; of one that cannot be read, the reason.

        Args:
            folder: the library's.
            settings: its settings.
            store: its rows.
            roots: the folders that it was filled from.
        """
        facts = {"model": settings.model}
        try:
            require_library(folder)
            durations = store.durations().values()
            facts |= {"files": f"{len(durations):,}", "segments": f"{store.count:,}"}
            facts |= {"hours": f"{sum(durations) / 3600:,.2f}"}
            absent = {"absent roots": ", ".join(roots.absent())}
            unfinished = {"indexing": unfinished_indexing(folder)}
        except SoundloomError as error:
            return cls(shown(folder), facts, str(error))
        return cls(shown(folder), facts | {name: value for name, value in (absent | unfinished).items() if value})

    def __repr__(self) -> str:
        facts = ", ".join(f"{name}: {value}" for name, value in self.facts.items())
        return f"<Library {self.folder!r}, {facts}{', error: ' if self.error else ''}{self.error}>"

    def html(self) -> str:
        """The summary as a table."""
        facts = {"library": self.folder, **self.facts, **({"error": self.error} if self.error else {})}
        return facts_table(facts)
