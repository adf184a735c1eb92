"""A library: a folder of sounds made searchable.

sounds.loom/
  library.json   the model that fills it, its parts, how files are cut (settings.py)
  store/         LanceDB tables: one row a segment; the files that failed (store.py)
  index/         the comparable copy that searches use; rebuilt whenever it is stale (index.py)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from soundloom.embedder import Embedder, Source
from soundloom.engines import resumed
from soundloom.errors import LibraryError, ModelError, QueryError
from soundloom.library.adding import AddReport, Progress, bring_up_to_date
from soundloom.library.index import SearchIndex
from soundloom.library.settings import UNFINISHED, LibrarySettings
from soundloom.library.store import Failure, Store
from soundloom.library.tags import TagTable
from soundloom.pretrained import DEFAULT, absolute, load

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["Hit", "Library"]

Weights = str | os.PathLike[str] | Mapping[str, str | os.PathLike[str]]
"""What `soundloom.load` takes as weights."""


@dataclass(frozen=True)
class Hit:
    """A segment that a search found.

    Attributes:
        path: the file.
        start: where the segment begins, in seconds.
        end: where it ends.
        duration: length of the whole file in seconds.
        tags: the file's tags.
        similarity: weighted mean of the parts' similarities, in [-1, 1].
        parts: part name -> cosine similarity by that part alone, in [-1, 1].
    """

    path: str
    start: float
    end: float
    duration: float
    tags: tuple[str, ...]
    similarity: float
    parts: dict[str, float]


class Library:
    """Sounds on disk, their embeddings, and search. Made by `create` or `open`.

    Attributes:
        folder: where the library lies.
        settings: the model that fills it and how files are cut.
    """

    def __init__(
        self, folder: Path, settings: LibrarySettings, model: Embedder | None, loader: Callable[..., Embedder] = load
    ) -> None:
        self.folder = folder
        self.settings = settings
        self._model = model
        self._loader = loader
        self._store = Store(folder / "store", settings.dim)
        self._index: SearchIndex | None = None
        self._admitted: dict[tuple[int, str], NDArray[np.bool_]] = {}

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        model: str | Embedder = DEFAULT,
        *,
        window: float | None = 10.0,
        hop: float | None = None,
        weights: Weights = "published",
        loader: Callable[..., Embedder] = load,
    ) -> Library:
        """Make an empty library.

        Args:
            folder: where; must not exist, or be empty.
            model: a model or its name. By its name, and the weights, the library finds it again; a model
                made otherwise has to be given again to `open`.
            window: seconds of the segments that longer files are cut into; None keeps every file whole.
            hop: seconds from one segment's start to the next; the window if not given.
            weights: as for `soundloom.load`, for a model given by its name.
            loader: `soundloom.load`, or the same with some arguments chosen, such as ``offline=True``.

        Raises:
            LibraryError: the folder is not empty or cannot be made, or window and hop make no sense.
            ModelError: no such model, or its weights cannot be had.
        """
        folder = Path(folder).expanduser().resolve()
        embedder = loader(model, weights=weights) if isinstance(model, str) else model
        settings = LibrarySettings.of(embedder, window, hop)
        if isinstance(model, str):
            settings = replace(settings, source=absolute(model), weights=_absolute_paths(weights))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(entry.name != UNFINISHED for entry in folder.iterdir()):
                raise LibraryError(f"{str(folder)!r} is not empty: open it as a library, or choose another name")
            settings.write(folder)
        except OSError as error:
            raise LibraryError(f"cannot make a library at {str(folder)!r}: {error.strerror}") from None
        return cls(folder, settings, embedder, loader)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        model: str | Embedder | None = None,
        *,
        weights: Weights | None = None,
        loader: Callable[..., Embedder] = load,
    ) -> Library:
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
        settings = LibrarySettings.read(folder)
        if isinstance(model, Embedder) or (model is None and weights is None):
            embedder = model
            if embedder is not None:
                settings.check_model(embedder)
        else:
            known = settings.source or settings.model
            name = known if model is None else absolute(model)
            places = _absolute_paths(weights or (settings.weights if name == known else "published"))
            embedder = resumed(loader(name, weights=places), settings.engine)
            settings.check_model(embedder)
            moved = replace(settings, source=name, weights=places)
            if moved != settings:
                moved.write(folder)
                settings = moved
        return cls(folder, settings, embedder, loader)

    @property
    def model(self) -> Embedder:
        """The model that fills the library.

        Raises:
            ModelError: it cannot be loaded.
            ModelMismatchError: it is no longer the one that filled the library.
        """
        if self._model is None:
            settings = self.settings
            try:
                model = self._loader(settings.source or settings.model, weights=settings.weights)
            except ModelError as error:
                raise ModelError(
                    f"the model of the library {str(self.folder)!r} cannot be loaded: {error}\n"
                    "If the model or its weights have moved, say where to: Library.open(folder, model, weights=...), "
                    f"or soundloom index SOUNDS -l {self.folder} --model NAME --weights FILE"
                ) from error
            model = resumed(model, settings.engine)
            self.settings.check_model(model)
            self._model = model
        return self._model

    def __len__(self) -> int:
        """How many segments the library holds."""
        return self._store.count

    def files(self) -> list[str]:
        """The indexed files, sorted."""
        return sorted(self._store.files())

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
        sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
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
            sounds: folders, searched with their subfolders, and files.
            tags: tags for the files.
            workers: how many files at a time; as many as there are processors if not given.
            prune: forget files that are gone even if they are most of the library, which otherwise is
                taken for a disk that is not mounted.
            progress: called after every file.

        Raises:
            LibraryError: a folder does not exist, or another process is adding to the library.
        """
        try:
            with FileLock(self.folder / "add.lock", timeout=0):
                return bring_up_to_date(
                    self._store,
                    self.model,
                    self.settings,
                    sounds,
                    tags=tags,
                    workers=workers or os.cpu_count() or 1,
                    prune=prune,
                    progress=progress,
                )
        except Timeout:
            raise LibraryError(f"another process is adding to {str(self.folder)!r}: wait until it is done") from None

    def search(
        self,
        query: Source,
        k: int = 10,
        *,
        start: float = 0.0,
        end: float | None = None,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        include_query: bool = False,
    ) -> list[Hit]:
        """Find the segments that sound most like a sound.

        Args:
            query: a file, or a mono waveform in [-1, 1] at the model's sample rate.
            k: how many hits, at most.
            start: where in the query to begin, in seconds.
            end: where in the query to stop; its end if not given.
            weights: part name -> how much that part counts; 1 for parts not named, 0 leaves a part out,
                below 0 looks for the unlike.
            where: an SQL condition on path, start, end, duration, size, mtime_ns and tags.
            include_query: whether a query from the library may find itself.

        Raises:
            AudioError: the query cannot be read, or the region lies outside it.
            QueryError: unknown part, all weights zero, an invalid condition, or k below 1.
        """
        embedding = self.model.embed(query, start, end)
        exclude = None
        if isinstance(query, str | os.PathLike) and not include_query:
            exclude = (str(Path(query).expanduser().resolve()), start, float("inf") if end is None else end)
        return self.search_embedding(embedding, k, weights=weights, where=where, exclude=exclude)

    def search_embedding(
        self,
        embedding: NDArray[np.floating[Any]],
        k: int = 10,
        *,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        exclude: tuple[str, float, float] | None = None,
    ) -> list[Hit]:
        """Find the segments nearest to an embedding.

        Args:
            embedding: ``[dim]``, as the model gives it.
            k: how many hits, at most.
            weights: as for `search`.
            where: as for `search`.
            exclude: a file and the seconds in it that must not be found.

        Raises:
            QueryError: as for `search`; also an embedding of another size, or one that is not finite.
        """
        if embedding.shape != (self.settings.dim,) or not np.isfinite(embedding).all():
            raise QueryError(
                f"an embedding of {self.settings.model!r} is {self.settings.dim} finite numbers, "
                f"got shape {list(embedding.shape)}"
            )
        if k < 1:
            raise QueryError(f"k must be at least 1, got {k}")
        index = self.index()
        every = self._complete(weights)
        # The excluded rows are few (one file's): ask for as many more, and drop them.
        hidden = self._overlapping(index, exclude) if exclude else np.zeros(0, np.int64)
        admitted = self._rows_where(index, where) if where is not None else None
        found = index.search(embedding.astype(np.float32), k + len(hidden), every, admitted)
        shown = np.flatnonzero(~np.isin(found.rows, hidden))[:k]
        rows = index.rows.take(found.rows[shown]).to_pylist()
        return [
            Hit(
                path=row["path"],
                start=row["start"],
                end=row["end"],
                duration=row["duration"],
                tags=tuple(row["tags"] or ()),
                similarity=float(found.similarity[place]),
                parts={name: float(cosines[place]) for name, cosines in found.parts.items()},
            )
            for row, place in zip(rows, shown, strict=True)
        ]

    def index(self) -> SearchIndex:
        """The search index of the library as it is now, built if it is not there or stale."""
        version = self._store.version
        if self._index is None or self._index.version != version:
            self._admitted.clear()
            folder = self.folder / "index"
            with FileLock(self.folder / "index.lock"):
                self._index = SearchIndex.open(folder, version)
                if self._index is None:
                    parts = {name: slice(*columns) for name, columns in self.settings.parts.items()}
                    self._index = SearchIndex.build(folder, self._store, parts)
        return self._index

    def _complete(self, weights: Mapping[str, float] | None) -> dict[str, float]:
        every = dict.fromkeys(self.settings.parts, 1.0)
        for name, weight in (weights or {}).items():
            if name not in every:
                raise QueryError(f"no part {name!r} in this library: its parts are {', '.join(every)}")
            if not np.isfinite(weight):
                raise QueryError(f"the weight of {name!r} must be a finite number, got {weight}")
            every[name] = float(weight)
        if not any(every.values()):
            raise QueryError("every part has weight 0: at least one must count")
        return every

    def _rows_where(self, index: SearchIndex, where: str) -> NDArray[np.bool_]:
        """Which rows of the index satisfy a condition; remembered, because a steered search asks again and again."""
        key = (index.version, where)
        if key not in self._admitted:
            admitted = np.zeros(len(index), np.bool_)
            for batch in self._store.scan(["start"], where, row_ids=True):
                admitted[index.places(batch["_rowid"].to_numpy())] = True
            if len(self._admitted) >= 32:
                self._admitted.pop(next(iter(self._admitted)))
            self._admitted[key] = admitted
        return self._admitted[key]

    def _overlapping(self, index: SearchIndex, region: tuple[str, float, float]) -> NDArray[np.int64]:
        """The rows of a file that overlap a region of it."""
        path, start, end = region
        rows = index.rows_of(path)
        starts, ends = index.rows["start"].to_numpy()[rows], index.rows["end"].to_numpy()[rows]
        overlapping: NDArray[np.int64] = rows[(starts < end) & (ends > start)]
        return overlapping


def _absolute_paths(weights: Weights) -> str | dict[str, str]:
    """Weights as they can be written down and found again from any folder."""
    if isinstance(weights, Mapping):
        return {word: _absolute_path(place) for word, place in weights.items()}
    return _absolute_path(weights)


def _absolute_path(place: str | os.PathLike[str]) -> str:
    text = os.fspath(place)
    return text if text in ("published", "random") else os.path.abspath(os.path.expanduser(text))
