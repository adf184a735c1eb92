"""What a library holds: its folder, the model that fills it, its rows, and the index that is made of them.

sounds.loom/
  library.json   the model that fills it, its parts, how files are cut (settings.py)
  store/         LanceDB tables: one row a segment; the files that failed (store.py)
  index/         the comparable copy that searches use; rebuilt whenever it is stale (index.py)
  map/           the library in two dimensions; a cache like the index (map.py)
  roots.json     the folders that it was filled from (roots.py)
  tags.jsonl     what persons decided about tags (tagging.py)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeVar

import numpy as np
from filelock import Timeout
from numpy.typing import NDArray

from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions
from soundloom.embedder import Embedder
from soundloom.errors import CacheDamagedError, LibraryAbsentError, LibraryError, QueryError
from soundloom.file_names import os_path, text_path
from soundloom.library.indexing.add_report import AddReport, FileProgress
from soundloom.library.indexing.library_roots import Root
from soundloom.library.indexing.relocation import relocate_root
from soundloom.library.indexing.scan import roots_of
from soundloom.library.indexing.sync import Synchroniser
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.segments import Segment, Segments
from soundloom.library.storage import lifecycle
from soundloom.library.storage.library_lock import library_lock, remove_unfinished
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.lifecycle import Loader, Weights
from soundloom.library.storage.root_paths import RootLookup, is_below, is_empty, parents_of, totals_by_root
from soundloom.library.storage.root_registry import Presence, RootEntry, RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import Failure, FileNotice
from soundloom.library.tags.editor import TagEditor
from soundloom.library.tags.tag_table import TagTable
from soundloom.local_path import local_path
from soundloom.models import DEFAULT, load

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Holdings"]

_ADDING = "add.lock"
"""Held by who adds files."""
_PIECES = 64
"""Pieces of the store that edits of tags may leave: each costs every scan some time, and disk until it is joined."""
_PROBED = 1.0
"""Seconds to wait for it: a search that asks whether it is held holds it for a moment."""

T = TypeVar("T")


class Holdings:
    """Sounds on disk and their embeddings; what is asked of them is in `Library`.

    Attributes:
        folder: where the library lies.
        settings: the model that fills it and how files are cut.
    """

    def __init__(self, folder: Path, settings: LibrarySettings, model: Embedder | None, loader: Loader = load) -> None:
        self.folder = folder
        self.settings = settings
        self._model = model
        self._loader = loader
        self._store = Store(folder / "store", settings.dim)
        self._tag_editor = TagEditor(folder, self._store)
        self._registry = RootRegistry(folder)
        self._presence = Presence(self._registry)
        parts = {name: slice(*columns) for name, columns in settings.parts.items()}
        self._index_cache = IndexCache(folder, self._store, parts, self._adding)
        self._segments: Segments | None = None

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        model: str | Embedder = DEFAULT,
        *,
        window: float | None = 10.0,
        hop: float | None = None,
        weights: Weights = "published",
        decoding: DecodeOptions = DEFAULT_OPTIONS,
        loader: Loader = load,
    ) -> Self:
        """Make an empty library.

        Args:
            folder: where; must not exist, or be empty.
            model: a model or its name. By its name, and the weights, the library finds it again; a model
                made otherwise has to be given again to `open`.
            window: seconds of the segments that longer files are cut into; None keeps every file whole.
            hop: seconds from one segment's start to the next; the window if not given.
            weights: as for `soundloom.load`, for a model given by its name.
            decoding: how its files, and the files it is searched by, become waveforms: channels, track, speed.
            loader: `soundloom.load`, or the same with some arguments chosen, such as ``offline=True``.

        Raises:
            LibraryError: the folder is not empty or cannot be made, or window and hop make no sense.
            ModelError: no such model, or its weights cannot be had.
        """
        folder = local_path(folder).resolve()
        settings, embedder = lifecycle.made(folder, model, window, hop, weights, loader, decoding)
        return cls(folder, settings, embedder, loader)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        model: str | Embedder | None = None,
        *,
        weights: Weights | None = None,
        loader: Loader = load,
    ) -> Self:
        """Open a library.

        Args:
            folder: where it lies.
            model: the model to use, which must be the one that filled the library; by default it is
                loaded by what the library's settings say when it is first needed.
            weights: where its weights are now, if no longer where they were; as for `soundloom.load`. If
                they are the same weights, the library remembers the place, and so it does for a model's name.
            loader: as for `create`.

        Raises:
            LibraryError: there is no library there, or it is damaged.
            ModelMismatchError: the model is not the one that filled it.
            ModelError: the model cannot be loaded.
        """
        folder = local_path(folder).resolve()
        settings, embedder = lifecycle.opened(folder, model, weights, loader)
        return cls(folder, settings, embedder, loader)

    @property
    def model(self) -> Embedder:
        """The model that fills the library.

        Raises:
            ModelError: it cannot be loaded.
            ModelMismatchError: it is no longer the one that filled the library.
        """
        if self._model is None:
            self._model = lifecycle.found_again(self.folder, self.settings, self._loader)
        return self._model

    def check_present(self) -> None:
        """Make sure that the library's folder is still there.

        Raises:
            LibraryAbsentError: it was moved, deleted, or its drive is not connected.
        """
        if not (LibrarySettings.lie_in(self.folder) and (self.folder / "store").is_dir()):
            raise LibraryAbsentError(
                f"the library {str(self.folder)!r} is not there any more: put it back or connect its drive; "
                "if it was moved, open it at its new place"
            )

    def __len__(self) -> int:
        """How many segments the library holds."""
        return self._store.count

    def files(self) -> list[str]:
        """The indexed files, sorted."""
        return sorted(self._store.files())

    def roots(self) -> list[Root]:
        """The folders and files that the library was filled from, without what lies in another of them.

        Where none is registered: the outermost folders that its files lie in.

        Raises:
            LibraryError: the list of folders is damaged.
        """
        durations = self._store.durations()
        entries = self._registry.entries() or [RootEntry.of(path) for path in parents_of(durations)]
        lookup = RootLookup(entry.path for entry in entries)
        totals = totals_by_root((entry.path for entry in entries), durations, lookup.root_of)
        return [
            Root(
                entry.path,
                *totals[entry.path],
                absent=is_empty(entry.path),
                missing=len(entry.missing),
                indexed=entry.indexed,
            )
            for entry in entries
        ]

    def relocate_root(self, old: str | os.PathLike[str], new: str | os.PathLike[str]) -> Root:
        """Say where a root is now; its files are not embedded again.

        Where the library knows a file at its new path already, that file's rows stay and get the tags of the old ones
        if the content is the same.

        Args:
            old: the root's path, or a folder in it.
            new: where it is now; it must be there.

        Returns:
            The root at its new path.

        Raises:
            LibraryError: nothing was indexed below the old path, the new one is not there, they lie in one another, or
                another process is adding to the library.
        """
        source, target = (text_path(os_path(os.path.abspath(Path(path).expanduser()))) for path in (old, new))
        if not os.path.exists(os_path(target)):
            raise LibraryError(f"there is no folder or file {target!r}: name the place where {source!r} is now")
        with self._adding_alone():
            relocate_root(self._store, self._registry, self._tag_editor, source, target)
        return next(root for root in self.roots() if is_below(target, [Path(root.path)]))

    def forget_root(self, path: str | os.PathLike[str]) -> int:
        """Remove the rows of a root, and the root; what persons decided about tags stays in the log.

        Args:
            path: the root's.

        Returns:
            How many files were removed.

        Raises:
            LibraryError: it is no root, or another process is adding to the library.
        """
        name = text_path(os_path(os.path.abspath(Path(path).expanduser())))
        with self._adding_alone():
            known = {root.path: root.files for root in self.roots()}
            if name not in known:
                raise LibraryError(
                    f"{name!r} is no root of {str(self.folder)!r}: its roots are {', '.join(known) or 'none'}"
                )
            self._registry.forget(self._store, name)
        return known[name]

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, and why."""
        return self._store.failures()

    def notices(self) -> list[FileNotice]:
        """What was noticed of the indexed files when they were decoded, such as digital silence; by path."""
        return self._store.notices()

    def totals(self) -> tuple[int, float]:
        """How many files are indexed, and how many seconds they last together."""
        durations = self._store.durations()
        return len(durations), sum(durations.values())

    def rows(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Columns of the segments as an Arrow table, ordered by path and start.

        Args:
            columns: of path, start, end, duration, size, mtime_ns, hash, tags, embedding, notices, and decoder (the
                version of decoding).
            where: an SQL condition on the columns.
        """
        import pyarrow as pa

        asked = list(dict.fromkeys([*columns, "path", "start"]))
        batches = list(self._store.scan(asked, where))
        if not batches:
            return pa.table({name: [] for name in columns})
        table = pa.Table.from_batches(batches)
        return table.sort_by([("path", "ascending"), ("start", "ascending")]).select(list(columns))

    def add(
        self,
        sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        *,
        tags: TagTable | None = None,
        workers: int | None = None,
        prune: bool = False,
        rehash: bool = False,
        progress: Callable[[FileProgress], None] | None = None,
    ) -> AddReport:
        """Bring the library up to date with folders and files.

        What is new or changed is embedded; a content that the library holds under another name keeps its embeddings
        and its tags; what is gone is removed; what cannot be read is recorded and reported. Stop it at any moment, run
        it again, and it goes on where it was: a file is in the library whole or not at all.

        A root that is not there, or is empty where it held files, keeps its rows. So do missing files that are more
        than a tenth of their root's length, or more than an hour.

        Args:
            sounds: folders, searched with their subfolders, and files; the library's `roots` if not given.
            tags: tags for the files.
            workers: how many files at a time; as many as there are processors if not given.
            prune: remove all files that are gone from roots that are there.
            rehash: find changes also in files of the same size and time.
            progress: called after every file.

        Raises:
            LibraryError: a folder does not exist, none is given and none of the roots is there, another process is
                adding to the library, or the library was moved meanwhile.
        """
        roots, absent = (roots_of(sounds), []) if sounds is not None else self._present_roots()
        with self._adding_alone():
            self._registry.remember(roots)
            synchroniser = Synchroniser(
                self.folder,
                self._store,
                self.model,
                self.settings,
                self._registry,
                self._tag_editor,
                workers=workers or os.cpu_count() or 1,
                prune=prune,
                rehash=rehash,
                progress=progress,
            )
            report = synchroniser.run(roots, tags)
        report.absent = sorted({*report.absent, *absent} - report.relocated.keys())
        return report

    @contextmanager
    def _adding_alone(self) -> Iterator[None]:
        """Hold the lock of adding.

        Raises:
            LibraryError: another process holds it.
        """
        try:
            with library_lock(self.folder, _ADDING, timeout=_PROBED):
                remove_unfinished(self.folder)
                yield
        except Timeout:
            raise LibraryError(f"another process is adding to {str(self.folder)!r}: wait until it is done") from None

    def _present_roots(self) -> tuple[list[Path], list[str]]:
        """The roots that exist, and those that do not."""
        registered = self._registry.paths() or parents_of(self._store.files())
        there = [root for root in registered if os.path.exists(os_path(root))]
        if not there:
            named = ", ".join(map(str, registered)) or "none is remembered"
            raise LibraryError(f"none of the folders of {str(self.folder)!r} is there ({named}): name the folders")
        return there, [str(root) for root in registered if root not in there]

    def index(self) -> SearchIndex:
        """The search index of the library as it is now, built if it is not there or stale; see `IndexCache`.

        Raises:
            LibraryDamagedError: it has to be built, and the store is damaged.
            ResourceError: it has to be built, and there is no room for it.
        """
        return self._index_cache.current()

    def _with_index(self, use: Callable[[SearchIndex], T]) -> T:
        """Use the index; if damage is found in it meanwhile, rebuild it and use it again."""
        try:
            return use(self.index())
        except CacheDamagedError as damage:
            self._index_cache.discard(damage)
            return use(self.index())

    def _adding(self) -> bool:
        """Whether somebody is adding files."""
        try:
            with library_lock(self.folder, _ADDING, timeout=0):
                return False
        except Timeout:
            return True
        except OSError:
            # Who cannot make the lock cannot tell; in a folder that cannot be written nobody adds.
            return False

    def segments(self) -> Segments:
        """The segments by id, by place and by mark; their rows are those of `index` and of a `map`."""
        return self._segments_of(self.index())

    def _segments_of(self, index: SearchIndex) -> Segments:
        if self._segments is None or self._segments.version != index.version:
            self._segments = Segments(index.rows, index.version, self._segments, self._presence.absent)
        return self._segments

    def segment(self, id: str) -> Segment:
        """The segment with an id.

        Raises:
            QueryError: no segment has it.
        """
        row = int(self.segments().places([id])[0])
        if row < 0:
            raise _no_segment(id)
        return self.segments().at([row])[0]

    def embedding(self, id: str) -> NDArray[np.float32]:
        """The embedding ``[dim]`` of the segment with an id, as the model gave it.

        Raises:
            QueryError: no segment has it.
        """
        segment = self.segment(id)
        embedding = self._store.embedding(segment.path, segment.start)
        if embedding is None:
            raise _no_segment(id)
        return embedding

    def _retag(self, version: int) -> None:
        """After a commit that changed nothing but tags, bring the index up to date without building it again.

        Args:
            version: of the store before that commit; nobody else has committed since.
        """
        self._join_pieces(version + 1)
        self._index_cache.refresh_tags(version)

    def _join_pieces(self, version: int) -> None:
        """Join the pieces that many small edits have left, while the store is still of this version."""
        if self._store.pieces <= _PIECES:
            return
        try:
            # Under the lock of adding nobody else writes rows: what the index shows stays what the store holds.
            with library_lock(self.folder, _ADDING, timeout=0):
                if self._store.version == version:
                    self._store.compact()
        except Timeout:
            # Who adds files joins them in the end.
            return


def _no_segment(id: str) -> QueryError:
    return QueryError(f"no segment of this library has the id {id!r}: its file may have gone, moved or changed")
