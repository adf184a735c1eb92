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
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions
from soundloom.embedder import Embedder
from soundloom.errors import LibraryError, QueryError
from soundloom.library.indexing.sources import Roots, folders_of
from soundloom.library.indexing.sync import AddReport, Progress, bring_up_to_date, roots_of
from soundloom.library.search.index import SearchIndex
from soundloom.library.search.tag_refresh import retagged
from soundloom.library.segments import Segment, Segments
from soundloom.library.storage import lifecycle
from soundloom.library.storage.lifecycle import Loader, Weights
from soundloom.library.storage.settings import LibrarySettings
from soundloom.library.storage.store import Failure, Store
from soundloom.library.tags.editor import Tagging
from soundloom.library.tags.tag_table import TagTable
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
_REST = 10.0
"""How much longer than its building an index is used while files are being added."""


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
        self._tagging = Tagging(folder, self._store)
        self._roots = Roots(folder)
        self._index: SearchIndex | None = None
        self._due = 0.0
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
        folder = Path(folder).expanduser().resolve()
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
        folder = Path(folder).expanduser().resolve()
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

    def __len__(self) -> int:
        """How many segments the library holds."""
        return self._store.count

    def files(self) -> list[str]:
        """The indexed files, sorted."""
        return sorted(self._store.files())

    def roots(self) -> list[Path]:
        """The folders and files that the library was filled from, without what lies in another of them.

        Where none was remembered: the outermost folders that its files lie in.
        """
        return self._roots.known() or folders_of(self._store.files())

    def failures(self) -> list[Failure]:
        """The files that could not be indexed, and why."""
        return self._store.failures()

    def totals(self) -> tuple[int, float]:
        """How many files are indexed, and how many seconds they last together."""
        durations: dict[str, float] = {}
        for batch in self._store.scan(["path", "duration"]):
            durations.update(zip(batch["path"].to_pylist(), batch["duration"].to_pylist(), strict=True))
        return len(durations), sum(durations.values())

    def rows(self, columns: Sequence[str], where: str | None = None) -> pa.Table:
        """Columns of the segments as an Arrow table, ordered by path and start.

        Args:
            columns: of path, start, end, duration, size, mtime_ns, hash, tags, embedding.
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
        progress: Callable[[Progress], None] | None = None,
    ) -> AddReport:
        """Bring the library up to date with folders and files.

        What is new or changed is embedded; what moved keeps its embeddings; what is gone is forgotten;
        what cannot be read is recorded and reported. Stop it at any moment, run it again, and it goes on
        where it was: a file is in the library whole or not at all.

        Args:
            sounds: folders, searched with their subfolders, and files; the library's `roots` if not given.
            tags: tags for the files.
            workers: how many files at a time; as many as there are processors if not given.
            prune: forget files that are gone even if they are most of the library, which otherwise is
                taken for a disk that is not mounted.
            progress: called after every file.

        Raises:
            LibraryError: a folder does not exist, none is given and none of the roots is there, or another process
                is adding to the library.
        """
        roots, absent = (roots_of(sounds), []) if sounds is not None else self._present()
        try:
            with FileLock(self.folder / _ADDING, timeout=_PROBED):
                self._roots.remember(roots)
                report = bring_up_to_date(
                    self._store,
                    self.model,
                    self.settings,
                    roots,
                    tags=tags,
                    workers=workers or os.cpu_count() or 1,
                    prune=prune,
                    progress=progress,
                )
        except Timeout:
            raise LibraryError(f"another process is adding to {str(self.folder)!r}: wait until it is done") from None
        self._tagging.lay_over()
        report.absent = absent
        return report

    def _present(self) -> tuple[list[Path], list[str]]:
        """The roots that are there, and those that are not."""
        roots = self.roots()
        there = [root for root in roots if root.exists()]
        if not there:
            named = ", ".join(map(str, roots)) or "none is remembered"
            raise LibraryError(f"none of the folders of {str(self.folder)!r} is there ({named}): name the folders")
        return there, [str(root) for root in roots if root not in there]

    def index(self) -> SearchIndex:
        """The search index of the library as it is now, built if it is not there or stale.

        While files are being added, by whatever process, every few seconds bring a new version. Searches then share
        the index of a version that was whole some moments ago: it is built anew, for the columns' means and deviations
        change with every row, but only after a rest of ten times what that takes. The first search after the adding
        has the library as it is then.
        """
        version = self._store.version
        if self._index is not None and self._index.version == version:
            return self._index
        kept = self._index if self._index is not None and self._adding() else None
        if kept is not None and time.monotonic() < self._due:
            return kept
        try:
            with FileLock(self.folder / "index.lock", timeout=-1 if kept is None else 0):
                began = time.monotonic()
                folder = self.folder / "index"
                index = SearchIndex.open(folder, version)
                if index is None:
                    parts = {name: slice(*columns) for name, columns in self.settings.parts.items()}
                    index = SearchIndex.build(folder, self._store, parts)
                self._index = index
                self._due = time.monotonic() + _REST * (time.monotonic() - began)
        except Timeout:
            # Somebody is building it: nobody else need wait for that while there is one to search.
            assert kept is not None
            return kept
        return index

    def _adding(self) -> bool:
        """Whether somebody is adding files."""
        try:
            with FileLock(self.folder / _ADDING, timeout=0):
                return False
        except Timeout:
            return True

    def segments(self) -> Segments:
        """The segments by id, by place and by mark; their rows are those of `index` and of a `map`."""
        index = self.index()
        if self._segments is None or self._segments.version != index.version:
            self._segments = Segments(index.rows, index.version, known=self._segments)
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
        if self._index is not None and self._index.version == version:
            with FileLock(self.folder / "index.lock"):
                self._index = retagged(self.folder / "index", self._store, self._index)

    def _join_pieces(self, version: int) -> None:
        """Join the pieces that many small edits have left, while the store is still of this version."""
        if self._store.pieces <= _PIECES:
            return
        try:
            # Under the lock of adding nobody else writes rows: what the index shows stays what the store holds.
            with FileLock(self.folder / _ADDING, timeout=0):
                if self._store.version == version:
                    self._store.compact()
        except Timeout:
            # Who adds files joins them in the end.
            return


def _no_segment(id: str) -> QueryError:
    return QueryError(f"no segment of this library has the id {id!r}: its file may have gone, moved or changed")
