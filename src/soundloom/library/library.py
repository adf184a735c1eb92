"""Library of sounds: files on disk, their embeddings, search, tags and maps, composed of one part for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions, Notice
from soundloom.embedding_model import EmbeddingModel, Source
from soundloom.engine_choice import load_default, load_light
from soundloom.library.duplicates.library_duplicates import Duplicates
from soundloom.library.hits import Hits
from soundloom.library.indexing.add_report import AddReport, FileProgress
from soundloom.library.indexing.indexed_library import IndexedLibrary
from soundloom.library.indexing.library_roots import Roots
from soundloom.library.indexing.scan import roots_of
from soundloom.library.indexing.sync import Synchroniser
from soundloom.library.indexing.upgrade import Upgrade
from soundloom.library.library_contents import LibraryContents
from soundloom.library.library_files import MAP_FOLDER
from soundloom.library.map.library_map import Maps
from soundloom.library.mirror import changing, library_path
from soundloom.library.search.explanation import Explanation
from soundloom.library.search.finder import Finder
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.search.library_query import LibraryQuery
from soundloom.library.search.matches import Match, Matches
from soundloom.library.search.query_checks import as_embedding, check_count, check_sound, check_where
from soundloom.library.search.query_sound import QuerySound
from soundloom.library.search.query_vectors import embed_pieces, hits_of_pieces, mean_of_pieces
from soundloom.library.search.row_filter import RowFilter
from soundloom.library.search.tag_query import TagQueries
from soundloom.library.segments import Hit
from soundloom.library.storage import lifecycle
from soundloom.library.storage.library_lock import AddLock
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.lifecycle import LibraryModel, Loader, Weights
from soundloom.library.storage.root_registry import Presence, RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.tags.editor import TagEditor
from soundloom.library.tags.library_tags import LibraryTags
from soundloom.library.tags.tag_table import TagTable
from soundloom.packaged import NAME as DEFAULT

__all__ = ["Library"]


class Library(LibraryContents):
    """Sounds on disk, their embeddings, and search. Made by `create` or `open`.

    ====================  ==============================================================================
    make and fill         `create`, `open`, `add`, `upgrade`, `check_present`; `folder`, `settings`, `model`
    contents              `len`, `files`, `totals`, `rows`, `failures`, `notices`, `unfinished`; `annotations`
    search                `search`, `search_tags`, `search_embedding`, `find`, `select`, `explain`
    queries               `read_query`, `saved_query`
    segments              `index`: by id, reference and filter, their vectors and embeddings
    tags                  `tags`: edit, undo, count, export, suggest from examples; words to search by
    maps, duplicates      `maps`: compute, and show the one kept; `duplicates`: find copies of files
    roots                 `roots`: list, relocate and forget the folders that it was filled from
    ====================  ==============================================================================
    """

    def __init__(
        self, folder: Path, settings: LibrarySettings, model: EmbeddingModel | None, loader: Loader = load_default
    ) -> None:
        self.folder, self._loader = folder, loader
        self._use(settings, model)

    def _use(self, settings: LibrarySettings, model: EmbeddingModel | None) -> None:
        """Make the parts of a library that this model fills."""
        folder, loader, self.settings = self.folder, self._loader, settings
        self._library_model = LibraryModel(folder, settings, model, loader)
        self._store = Store(folder / settings.store, settings.dim)
        self._registry = RootRegistry(folder)
        self._add_lock = AddLock(folder)
        self._index_cache = IndexCache(folder, self._store, settings, self._add_lock, Presence(self._registry))
        self._tag_editor = TagEditor(folder, self._store, self._index_cache, self._add_lock)
        self._indexed = partial(IndexedLibrary, folder, self._store, self._registry, self._tag_editor)
        self.roots = Roots(folder, self._store, self._registry, self._tag_editor, self._add_lock)
        self._tag_queries = TagQueries(settings, self._index_cache)
        self.tags = LibraryTags(self._index_cache, self._tag_editor, self._tag_queries)
        self.duplicates = Duplicates(folder, self._store, settings, self._index_cache)
        self.maps = Maps(folder / MAP_FOLDER, settings.balance, self._store, self._index_cache, self._tag_queries)

    @classmethod
    def create(
        cls,
        folder: str | os.PathLike[str],
        model: str | EmbeddingModel = DEFAULT,
        *,
        window: float | None = 10.0,
        hop: float | None = None,
        weights: Weights = "published",
        decoding: DecodeOptions = DEFAULT_OPTIONS,
        loader: Loader | None = None,
    ) -> Self:
        """Make an empty library.

        Args:
            folder: where, or ``s3://BUCKET/PREFIX``; must not exist, or be empty.
            model: a model or its name. A model that is not given by its name has to be given again to `open`.
            window: seconds of segments of longer files, at the speed they are taken at; None keeps every file whole.
            hop: seconds from one segment's start to the next; the window if not given.
            weights: as for `soundloom.load`, for a model given by its name.
            decoding: how its files, and the files it is searched by, become waveforms: channels, track, speed.
            loader: `soundloom.load`, or the same with some arguments chosen, such as ``offline=True``. If not given,
                the default model is the packaged graph, as on the command line, and others come from `soundloom.load`.

        Raises:
            LibraryError: the folder is not empty or cannot be made, or window and hop make no sense.
            ModelError: no such model, or its weights cannot be had.
        """
        folder = library_path(folder).resolve()
        with changing(folder):
            made = lifecycle.create_library(folder, model, window, hop, weights, loader or load_light, decoding)
            return cls(folder, *made, loader or load_default)

    @classmethod
    def open(
        cls,
        folder: str | os.PathLike[str],
        model: str | EmbeddingModel | None = None,
        *,
        weights: Weights | None = None,
        loader: Loader = load_default,
    ) -> Self:
        """Open a library.

        Args:
            folder: where it lies, or ``s3://BUCKET/PREFIX``.
            model: the one that filled the library; by default it is loaded, as the settings say, when first needed.
            weights: where its weights are now, if no longer where they were; as for `soundloom.load`. The library
                remembers the place, and so it does for a model's name.
            loader: `soundloom.load`, or the same with some arguments chosen, such as ``offline=True``.

        Raises:
            LibraryError: there is no library there, or it is damaged.
            ModelMismatchError: the model is not the one that filled it.
            ModelError: the model cannot be loaded.
        """
        folder = library_path(folder).resolve()
        return cls(folder, *lifecycle.open_library(folder, model, weights, loader), loader)

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[Path]]:
        """Pickled as its folder, which another process opens, with the same loader."""
        return partial(type(self).open, loader=self._loader), (self.folder,)

    @property
    def model(self) -> EmbeddingModel:
        """The model that fills the library.

        Raises:
            ModelError: it cannot be loaded.
            ModelMismatchError: it is no longer the one that filled the library.
        """
        return self._library_model.get()

    def add(
        self,
        sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]] | None = None,
        *,
        tags: TagTable | None = None,
        workers: int | None = None,
        prune: bool = False,
        rehash: bool = False,
        exclude: Sequence[str] = (),
        progress: Callable[[FileProgress], None] | None = None,
    ) -> AddReport:
        """Bring the library up to date with folders and files.

        What is new or changed is embedded; a content that the library holds under another name keeps its embeddings
        and its tags; what is gone is removed; what cannot be read is recorded and reported. A root that is not there,
        or is empty where it held files, keeps its rows, and so do missing files that are more than a tenth of their
        root's files or length, or an hour. An interrupted run goes on where it was: a file is there whole or not.

        Args:
            sounds: folders, searched with their subfolders, and files; the library's `roots` if not given.
            tags: tags for the files.
            workers: how many files at a time; as many as there are processors if not given.
            prune: remove all files that are gone from roots that are there.
            rehash: find changes also in files of the same size and time.
            exclude: patterns of files to leave out, now and later; gitignore syntax. What ``sounds`` names now or in a
                later call is taken all the same, and stays.
            progress: called after every file.

        Raises:
            LibraryError: a folder does not exist, none is given and none of the roots is there, another process is
                adding to the library, or the library was moved meanwhile.
        """
        roots, absent = (roots_of(sounds), []) if sounds is not None else self.roots.present()
        with self._add_lock.held():
            roots, exclude = self.roots.take_in(roots, exclude, named=sounds is not None)
            report = Synchroniser(
                self._indexed(self.settings, workers), self._library_model.get,
                prune=prune, rehash=rehash, exclude=exclude, progress=progress,
            ).run(roots, tags)  # fmt: skip
        report.absent = sorted({*report.absent, *absent} - report.relocated.keys())
        return report

    def upgrade(
        self,
        model: str | EmbeddingModel | None = None,
        *,
        weights: Weights | None = None,
        workers: int | None = None,
        prune: bool = False,
        progress: Callable[[FileProgress], None] | None = None,
    ) -> AddReport:
        """Embed all files with another model, or with its own as it is now; see `soundloom.library.indexing.upgrade`.

        Tags, decisions, roots, window and decoding stay. An interrupted upgrade leaves the library as it was, and goes
        on when it is called again. A library of this model already is left as it is.

        Args:
            model: the model or its name; the library's own if not given.
            weights: as for `open`.
            workers: as for `add`.
            prune: lose the rows of all files that are not there or cannot be embedded.
            progress: called after every file.

        Raises:
            LibraryError, ModelError: as for `add`; or too many of the files are not there or cannot be embedded.
        """
        settings, embedder = lifecycle.upgraded_settings(self.settings, model, weights, self._loader)
        if embedder.name == self.settings.model and self.settings.fingerprint in embedder.fingerprints():
            return AddReport(unchanged=len(self._store.files()))
        roots, _ = self.roots.present()
        with self._add_lock.held():
            self._registry.remember(roots, replacing=False)
            upgrade = Upgrade(self._indexed(settings, workers), embedder, prune=prune, progress=progress)
            report = upgrade.run(roots)
        self._use(settings, embedder)
        return report

    def search(
        self,
        query: Source,
        k: int = 10,
        *,
        sample_rate: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        weights: Mapping[str, float] | None = None,
        where: str | RowFilter | None = None,
        include_query: bool = False,
        decoding: DecodeOptions | None = None,
        notices: list[Notice] | None = None,
    ) -> Hits:
        """Find the segments that sound most like a sound; a long one by the pieces that the library would cut.

        Args:
            query: a file, which is decoded as the library's are, or a mono waveform, as for `EmbeddingModel.embed`.
            k: how many hits, at most.
            sample_rate: of a waveform, in hertz; that of the model if not given.
            start: where in the query to begin, in seconds.
            end: where in the query to stop; its end if not given.
            weights: part name -> how much it counts; 1 if not named, 0 leaves it out, below 0 looks for the unlike.
                They multiply the model's own balance (`EmbeddingModel.balance`).
            where: an SQL condition on fields of files (`soundloom.library.search.fields`), on start, end and tags of
                segments, and on size, mtime_ns and hash; or a `RowFilter`.
            include_query: whether a query from the library may find itself.
            decoding: how the query is decoded, if not as the library's files are.
            notices: gets what is noticed of the query, such as silence.

        Raises:
            AudioError: the query cannot be read, or the region lies outside it.
            QueryError: unknown part, all weights zero, an invalid condition, or k below 1.
        """
        check_count(k)
        check_sound(query, k, sample_rate)
        sound = QuerySound(query, start=start, end=end, sample_rate=sample_rate)
        pieces = embed_pieces(self.model, self.settings, sound, decoding, notices)
        exclude = None if include_query else sound.region
        return self.search_embedding(pieces, k, weights=weights, where=where, exclude=exclude)

    def search_tags(  # noqa: D417  (the other arguments are those of `search`)
        self,
        tags: str | Sequence[str] = (),
        k: int = 10,
        *,
        not_: str | Sequence[str] = (),
        sound: Source | None = None,
        sample_rate: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        share: float = 0.5,
        weights: Mapping[str, float] | None = None,
        where: str | RowFilter | None = None,
        include_query: bool = False,
        decoding: DecodeOptions | None = None,
        notices: list[Notice] | None = None,
        offline: bool = False,
    ) -> Hits:
        """Find the segments that some tags of the library's model describe; the other arguments are those of `search`.

        Args:
            tags: tags that describe the hits, or one tag.
            k: how many hits, at most.
            not_: tags that do not.
            sound: a sound that the hits are like, as the query of `search`, with its region and weights.
            share: how much the tags count beside the sound, from 0 to 1.
            offline: never fetch the published tag encoder.

        Raises:
            AudioError: the sound cannot be read.
            QueryError: as for `search`; also no tags, or one that the model does not know (the nearest are named).
            ModelError: the tags of the model cannot be read.
        """
        tags, not_ = ((given,) if isinstance(given, str) else given for given in (tags, not_))
        embedded = exclude = None
        if sound is not None:
            beside = QuerySound(sound, start=start, end=end, sample_rate=sample_rate)
            pieces = embed_pieces(self.model, self.settings, beside, decoding, notices)
            embedded = mean_of_pieces(self.index(), pieces)
            exclude = None if include_query else beside.region
        embedding, weights = self._tag_queries.query(
            tags, not_, sound=embedded, share=share, weights=weights, offline=offline
        )
        return self.search_embedding(embedding, k, weights=weights, where=where, exclude=exclude)

    def search_embedding(  # noqa: D417  (the other arguments are those of `search`)
        self,
        embedding: NDArray[np.floating[Any]],
        k: int = 10,
        *,
        weights: Mapping[str, float] | None = None,
        where: str | RowFilter | None = None,
        exclude: tuple[str, float, float] | None = None,
    ) -> Hits:
        """Find the segments nearest to an embedding; see `search`.

        Args:
            embedding: ``[dim]``, as the model gives it; or those of the pieces of a sound, ``[pieces, dim]``.
            exclude: a file and the seconds in it that must not be found.

        Raises:
            QueryError: as for `search`; also an embedding of another size, or one that is not finite.
        """
        embedding = as_embedding(self.settings, embedding)
        check_count(k)
        check_where(where)
        balanced = self.settings.balanced_weights(weights)
        return self._index_cache.use(lambda index: hits_of_pieces(index, embedding, k, balanced, where, exclude))

    def find(
        self,
        query: str | os.PathLike[str] | LibraryQuery,
        k: int = 10,
        *,
        offline: bool = False,
        notices: list[Notice] | None = None,
        remarks: list[str] | None = None,
    ) -> Matches:
        """Find files by text, sounds, tags that the model knows and filters; see `soundloom.library.search.finder`.

        Args:
            query: a `LibraryQuery`; or what `read_query` takes: a file, a region, the name of a sound, or text.
            k: how many matches, at most; one for each file, unless the query asks for every segment.
            offline: never fetch the tags of a published model.
            notices: a list to which is added what is noticed of the query's sounds, such as silence.
            remarks: a list to which is added how the query was understood, where that is not plain.

        Raises:
            QueryError: text that nothing here has, and that the model does not know; and as for `search_tags`.
        """
        finder = Finder(
            self.settings, self._library_model, self._tag_queries,
            offline=offline, notices=notices, remarks=remarks, failures=self.failures,
        )  # fmt: skip
        asked = self._query(query, remarks)
        return self._index_cache.use(lambda index: finder.find(index, asked, k))

    def explain(  # noqa: D417  (the other arguments are those of `search`)
        self,
        query: Source,
        hits: Sequence[Hit | Match],
        *,
        sample_rate: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        decoding: DecodeOptions | None = None,
    ) -> list[Explanation]:
        """Explain by which parts each hit is unusually similar to a sound; see `soundloom.library.search.explanation`.

        Args:
            query: what was searched for, with its region and decoding as for `search`.
            hits: what a search of this library found.

        Raises:
            AudioError: the query cannot be read, or the region lies outside it.
        """
        sound = QuerySound(query, start=start, end=end, sample_rate=sample_rate)
        pieces = embed_pieces(self.model, self.settings, sound, decoding)
        return self._index_cache.use(lambda index: index.explain(mean_of_pieces(index, pieces), hits))
