"""The search index of a library, opened, rebuilt and replaced as its store changes.

The index on disk is used when it was built from the store as it is and is not damaged. Otherwise it is rebuilt; damage
is logged as a warning. Reading needs no permission to write: where the library's folder cannot be written, because it
is read-only or the disk is full, the index is built in a temporary folder that this process deletes when it ends.

While files are being added, by whatever process, every few seconds bring a new version. Searches then share an index
of some moments ago, and bring it up to date or rebuild it only after a rest of ten times what that takes. The first
search after the adding sees the library as it is then.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
from filelock import Timeout
from numpy.typing import NDArray

from soundloom.errors import CacheDamagedError
from soundloom.library.library_files import INDEX_FOLDER, INDEX_LOCK
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.search.vector_index.index_extension import extended
from soundloom.library.segments import Segments
from soundloom.library.storage.facts_table import FactsReader
from soundloom.library.storage.library_lock import AddLock, library_lock
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.root_registry import Presence
from soundloom.library.storage.store import Store
from soundloom.system_errors import first_line, is_unwritable, one_line_errors, translated

__all__ = ["IndexCache"]

T = TypeVar("T")

_log = logging.getLogger(__name__)

_REST = 10.0
"""How many times as long as its building an index is used while files are being added."""


class IndexCache:
    """Gives the search index of the store as it is now. Safe to share between threads.

    Args:
        folder: the library's.
        store: the library's rows.
        settings: its parts, and which of them are centred.
        add_lock: held by a process that adds files.
        presence: finds which files are not there.
    """

    def __init__(
        self, folder: Path, store: Store, settings: LibrarySettings, add_lock: AddLock, presence: Presence
    ) -> None:
        self._folder = folder / INDEX_FOLDER
        self._store = store
        self._parts = {name: slice(*columns) for name, columns in settings.parts.items()}
        self._centred = settings.centred
        self._add_lock = add_lock
        self._of_library = presence, FactsReader(folder)
        self._index: SearchIndex | None = None
        self._segments: Segments | None = None
        self._rest_until = 0.0
        self._damage: CacheDamagedError | None = None
        self._temporary: Path | None = None

    def current(self) -> SearchIndex:
        """The index, opened or built if need be.

        Raises:
            LibraryDamagedError: it has to be built, and the store is damaged.
            ResourceError: it has to be built, and there is no room for it anywhere.
        """
        version = self._store.version
        loaded = self._index
        if loaded is not None and loaded.version == version:
            return loaded
        shared = loaded if loaded is not None and self._add_lock.is_held() else None
        if shared is not None and time.monotonic() < self._rest_until:
            return shared
        if (opened := self._opened()) is not None:
            return self._share(opened)
        try:
            with self._locked(wait=shared is None) as writable:
                began = time.monotonic()
                # Whoever held the lock may just have built it.
                index = self._opened() or self._built(writable=writable)
                self._rest_until = time.monotonic() + _REST * (time.monotonic() - began)
        except Timeout:
            # Somebody else is building it; meanwhile the shared one serves.
            assert shared is not None
            return shared
        return self._share(index)

    def use(self, work: Callable[[SearchIndex], T]) -> T:
        """Do work with the index; if damage is found in it meanwhile, rebuild it and do the work again.

        Args:
            work: what is done.
        """
        try:
            return work(self.current())
        except CacheDamagedError as damage:
            self.discard(damage)
            return work(self.current())

    def discard(self, damage: CacheDamagedError) -> None:
        """Forget an index in which damage was found; the next `current` rebuilds it."""
        self._index, self._damage = None, damage

    def refresh_tags(self, version: int) -> None:
        """After a commit that changed nothing but tags, write the tags into the index.

        Args:
            version: of the store before that commit; nobody else has committed since.
        """
        loaded = self._index
        if loaded is None or loaded.version != version:
            return
        try:
            with self._locked(wait=True) as writable:
                known = writable and self._temporary is None
                if known and extended(self._folder, self._store, self._parts, loaded.base, vectors_stay=True):
                    refreshed = self._open()
                    self._index = None if refreshed is None else self._share(refreshed)
        except CacheDamagedError as damage:
            self.discard(damage)
        except OSError as error:
            # The next search builds it where there is room.
            _log.warning("the search index %s cannot be written: %s", self._folder, error)

    def stored_ids(self, column: str, values: Collection[str]) -> NDArray[np.uint64] | None:
        """As `SearchIndex.stored_ids`; None where no index is open that shows the store as it is."""
        loaded = self._index
        return None if loaded is None or loaded.version != self._store.version else loaded.stored_ids(column, values)

    def _share(self, index: SearchIndex) -> SearchIndex:
        """Give an index to the searches that follow."""
        if self._segments is not None:
            index.segments.share_ids(self._segments)
        self._segments, self._index = index.segments, index
        return index

    def _opened(self) -> SearchIndex | None:
        """The index on disk, if it is of the store as it is; what is wrong with it is remembered."""
        if self._damage is not None:
            return None
        try:
            return self._open()
        except CacheDamagedError as damage:
            self._damage = damage
            return None

    def _open(self) -> SearchIndex | None:
        return SearchIndex.open(self._folder, self._store, *self._of_library, earlier=self._index)

    def _built(self, *, writable: bool) -> SearchIndex:
        if self._damage is not None:
            _log.warning("%s: the search index is rebuilt from the store", self._damage)
        reason = "read-only"
        if writable:
            try:
                index = SearchIndex.build(
                    self._folder,
                    self._store,
                    self._parts,
                    *self._of_library,
                    centred=self._centred,
                    anew=self._damage is not None,
                    earlier=self._index,
                )
            except Exception as error:
                if not is_unwritable(error):
                    raise translated(error, self._folder) or error from error
                reason = first_line(error)
            else:
                self._damage = None
                self._store.note_contents()
                return index
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="soundloom-index-"))
            weakref.finalize(self, shutil.rmtree, self._temporary, ignore_errors=True)
        _log.warning(
            "the search index cannot be kept in %s (%s): built in %s for this process alone",
            self._folder.parent, reason, self._temporary,
        )  # fmt: skip
        with one_line_errors(self._temporary):
            temporary = self._temporary / INDEX_FOLDER
            return SearchIndex.build(temporary, self._store, self._parts, *self._of_library, centred=self._centred)

    @contextmanager
    def _locked(self, *, wait: bool) -> Iterator[bool]:
        """Hold the lock of the index; gives False where it cannot be made because the folder cannot be written.

        Raises:
            Timeout: somebody else holds it, and ``wait`` is False.
            LibraryError: the library is no longer there.
        """
        with ExitStack() as stack:
            try:
                stack.enter_context(library_lock(self._folder.parent, INDEX_LOCK, timeout=-1 if wait else 0))
                writable = True
            except Timeout:
                raise
            except OSError as error:
                if not is_unwritable(error):
                    raise
                writable = False
            yield writable
