"""A library: a folder of sounds made searchable, and all that can be asked of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.audio import DecodeOptions, Notice
from soundloom.embedder import Embedder, Source
from soundloom.errors import ModelError, QueryError
from soundloom.library.holdings import Holdings
from soundloom.library.map.library_map import Map, MapProgress, Maps
from soundloom.library.search import query as queries
from soundloom.library.search.explanation import Explanation, explain
from soundloom.library.search.finder import Finder
from soundloom.library.search.library_query import LibraryQuery
from soundloom.library.search.matches import Match
from soundloom.library.search.tag_query import tag_embedding, tags_of_library
from soundloom.library.segments import Hit, Mark, Segment, Segments
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.lifecycle import Loader
from soundloom.library.tags.active_learning import ExampleTagging, tagged_by_example
from soundloom.library.tags.editor import Edit
from soundloom.library.tags.label_export import export_tags, tag_counts
from soundloom.models import load

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex
    from soundloom.library.verification import DamagedFile
    from soundloom.tags import AlignedTags

__all__ = ["Hit", "Library"]


class Library(Holdings):
    """Sounds on disk, their embeddings, and search. Made by `create` or `open`.

    Attributes:
        folder: where the library lies.
        settings: the model that fills it and how files are cut.
    """

    def __init__(self, folder: Path, settings: LibrarySettings, model: Embedder | None, loader: Loader = load) -> None:
        super().__init__(folder, settings, model, loader)
        self._filter_masks = queries.FilterMaskCache(self._store)
        self._maps = Maps(folder / "map", settings.balance, self._store.note_contents)
        self._aligned: AlignedTags | None = None

    def embed(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        decoding: DecodeOptions | None = None,
        notices: list[Notice] | None = None,
    ) -> NDArray[np.float32]:
        """Embed a sound as a query of this library: by its model, decoded as its files are; see `Embedder.embed`."""
        options = decoding or self.settings.decoding
        return self.model.embed(source, sample_rate, start=start, end=end, options=options, notices=notices)

    def search(
        self,
        query: Source,
        k: int = 10,
        *,
        sample_rate: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        weights: Mapping[str, float] | None = None,
        where: str | None = None,
        include_query: bool = False,
        decoding: DecodeOptions | None = None,
        notices: list[Notice] | None = None,
    ) -> list[Hit]:
        """Find the segments that sound most like a sound.

        Args:
            query: a file, or a mono waveform, as `Embedder.embed` takes them; a file is decoded as the library's are.
            k: how many hits, at most.
            sample_rate: of a waveform, in hertz; that of the model if not given.
            start: where in the query to begin, in seconds.
            end: where in the query to stop; its end if not given.
            weights: part name -> how much that part counts; 1 for parts not named, 0 leaves a part out,
                below 0 looks for the unlike. They multiply the model's own balance (`Embedder.balance`).
            where: an SQL condition on path, start, end, duration, size, mtime_ns and tags.
            include_query: whether a query from the library may find itself.
            decoding: how the query is decoded, if not as the library's files are.
            notices: a list to which is added what is noticed of the query, such as silence.

        Raises:
            AudioError: the query cannot be read, or the region lies outside it.
            QueryError: unknown part, all weights zero, an invalid condition, or k below 1.
        """
        embedding = self.embed(query, sample_rate, start=start, end=end, decoding=decoding, notices=notices)
        exclude = None if include_query else queries.query_region(query, start, end)
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
        every = queries.apply_balance(queries.complete_weights(self.settings.parts, weights), self.settings.balance)

        def search(index: SearchIndex) -> list[Hit]:
            # The excluded rows are few (one file's): ask for as many more, and drop them.
            hidden = queries.overlapping_rows(index, exclude) if exclude else np.zeros(0, np.int64)
            mask = self._filter_masks.mask(index, where) if where is not None else None
            found = index.search(embedding.astype(np.float32), k + len(hidden), every, mask)
            shown = np.flatnonzero(~np.isin(found.rows, hidden))[:k]
            return queries.to_hits(index, found, shown, self._presence.absent)

        return self._with_index(search)

    def find(
        self,
        query: str | LibraryQuery,
        k: int = 10,
        *,
        offline: bool = False,
        notices: list[Notice] | None = None,
        remarks: list[str] | None = None,
    ) -> list[Match]:
        """Find files by text, sounds, words of the model and filters; see `soundloom.library.search.finder`.

        Text alone finds what names, tags, titles and folders hold, the best first, and then what the library's model
        takes for the same words. Each match says what found it.

        Args:
            query: text, or a `LibraryQuery`.
            k: how many matches, at most; one for each file, unless the query asks for every segment.
            offline: never fetch the words of a published model.
            notices: a list to which is added what is noticed of the query's sounds, such as silence.
            remarks: a list to which is added how the query was understood, where that is not plain.

        Raises:
            AudioError: a sound cannot be read, or its region lies outside it.
            QueryError: text that nothing here has, and that the model does not know; and as for `search_tags`.
            ModelError: the words of the model cannot be read.
        """
        asked = LibraryQuery(text=query) if isinstance(query, str) else query

        def find(index: SearchIndex) -> list[Match]:
            finder = Finder(
                self, index, self._filter_masks, self._presence.absent,
                offline=offline, notices=notices, remarks=remarks,
            )  # fmt: skip
            return finder.find(asked, k)

        return self._with_index(find)

    def browse(self, where: str | None = None, shown: slice = slice(None)) -> tuple[list[Segment], int]:
        """The segments that satisfy a condition, in the order of their paths: some of them, and how many there are.

        Args:
            where: as for `search`; every segment if not given.
            shown: which of them.

        Raises:
            QueryError: the condition cannot be evaluated.
        """
        index = self.index()
        rows = range(len(index)) if where is None else np.flatnonzero(self._filter_masks.mask(index, where))
        return Segments(index.rows, index.version, absent=self._presence.absent).at(rows[shown]), len(rows)

    def explain(
        self,
        query: Source,
        hits: Sequence[Hit],
        *,
        sample_rate: float | None = None,
        start: float = 0.0,
        end: float | None = None,
        decoding: DecodeOptions | None = None,
    ) -> list[Explanation]:
        """Tell by which parts each hit is unusually alike a sound; see `soundloom.library.search.explanation`.

        Args:
            query: as for `search`.
            hits: what a search of this library found.
            sample_rate: as for `search`.
            start: as for `search`.
            end: as for `search`.
            decoding: as for `search`.

        Raises:
            AudioError: the query cannot be read, or the region lies outside it.
        """
        return self.explain_embedding(self.embed(query, sample_rate, start=start, end=end, decoding=decoding), hits)

    def explain_embedding(self, embedding: NDArray[np.floating[Any]], hits: Sequence[Hit]) -> list[Explanation]:
        """Tell by which parts each hit is unusually alike an embedding; as `explain`.

        Args:
            embedding: ``[dim]``, what was searched for, as the model gives it.
            hits: what a search of this library found.
        """
        return explain(self.index(), embedding, hits)

    def search_tags(
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
        where: str | None = None,
        include_query: bool = False,
        decoding: DecodeOptions | None = None,
        notices: list[Notice] | None = None,
        offline: bool = False,
    ) -> list[Hit]:
        """Find the segments that some words describe, or that sound like a sound and are described so.

        The library's model must have learned from tags: ``coala``, or one of `soundloom train coala`. The words are
        looked for in the sounds; to filter by tags that are written down use ``where="array_has(tags, 'dog')"``.

        Args:
            tags: words that describe the hits, or one word.
            k: how many hits, at most.
            not_: words that do not.
            sound: a sound that the hits are like, as for `search`.
            sample_rate: as for `search`.
            start: where in the sound to begin, in seconds.
            end: where in the sound to stop.
            share: how much the tags count beside the sound, from 0 to 1.
            weights: as for `search`, with a sound.
            where: as for `search`.
            include_query: whether a sound from the library may find itself.
            decoding: as for `search`.
            notices: as for `search`.
            offline: never fetch the published tag encoder.

        Raises:
            AudioError: the sound cannot be read.
            QueryError: as for `search`; also a word that the model does not know (the nearest are named), or no
                words, or a model that knows none.
            ModelError: the tags of the model cannot be read.
        """
        tags, not_ = ((given,) if isinstance(given, str) else given for given in (tags, not_))
        embedded = (
            None
            if sound is None
            else self.embed(sound, sample_rate, start=start, end=end, decoding=decoding, notices=notices)
        )
        embedding, weights = self.tag_query(tags, not_, sound=embedded, share=share, weights=weights, offline=offline)
        exclude = None if include_query else queries.query_region(sound, start, end)
        return self.search_embedding(embedding, k, weights=weights, where=where, exclude=exclude)

    def tag_query(
        self,
        tags: Sequence[str] = (),
        not_: Sequence[str] = (),
        *,
        sound: NDArray[np.floating[Any]] | None = None,
        share: float = 0.5,
        weights: Mapping[str, float] | None = None,
        offline: bool = False,
    ) -> tuple[NDArray[np.floating[Any]], Mapping[str, float] | None]:
        """An embedding and weights that stand for words, and a sound beside them, in `search_embedding`.

        Args:
            tags: as for `search_tags`.
            not_: as for `search_tags`.
            sound: ``[dim]``, the embedding of a sound that the hits are like, as the model gives it.
            share: as for `search_tags`.
            weights: as for `search_tags`.
            offline: never fetch the published tag encoder.

        Raises:
            QueryError: as for `search_tags`.
            ModelError: the tags of the model cannot be read.
        """
        aligned = self._aligned_tags(offline)
        embedding = tag_embedding(aligned, self.settings, self.index(), tags, not_, sound=sound, share=share)
        if sound is None:
            # The other parts know no words.
            weights = {**dict.fromkeys(self.settings.parts, 0.0), aligned.part: 1.0, **(weights or {})}
        return embedding, weights

    def tag_vocabulary(self, *, offline: bool = False) -> tuple[str, ...]:
        """The words that `search_tags` understands; none if the library's model knows no tags.

        Args:
            offline: never fetch the published tag encoder; without it no words are known.
        """
        try:
            return tuple(self._aligned_tags(offline).vocabulary.tags)
        except (QueryError, ModelError):
            return ()

    def _aligned_tags(self, offline: bool) -> AlignedTags:
        if self._aligned is None:
            self._aligned = tags_of_library(self.settings, offline=offline)
        return self._aligned

    def verify(self) -> list[DamagedFile]:
        """Read everything in the library and report what is damaged; see `soundloom.library.verification`."""
        from soundloom.library.verification import verify_library

        return verify_library(self.folder)

    def renew_checksums(self) -> None:
        """Take the files of the store as they are now for right, from now on.

        Raises:
            ResourceError: the folder cannot be written.
        """
        self._store.renew_checksums()

    def map(
        self,
        weights: Mapping[str, float] | None = None,
        progress: Callable[[MapProgress], None] | None = None,
        *,
        recompute: bool = False,
    ) -> Map:
        """The library in two dimensions; kept in the library, computed if it is not there or mostly out of date.

        Args:
            weights: as for `search`, none below 0; each set of weights has a map of its own.
            progress: called often while a map is computed; what it raises stops the computation.
            recompute: compute it even if one is kept, which may be `Map.stale`.

        Raises:
            MissingExtraError: a map has to be computed and umap-learn is not installed.
            QueryError: weights that a map cannot be drawn by.
        """
        return self._with_index(
            lambda index: self._maps.get(index, self._segments_of(index), weights, progress, recompute=recompute)
        )

    def kept_map(self, weights: Mapping[str, float] | None = None) -> Map | None:
        """The map that is kept for these weights, which may be `Map.stale`; None if none is. Computes no map.

        Raises:
            QueryError: weights that a map cannot be drawn by.
        """
        return self._with_index(lambda index: self._maps.kept(index, self._segments_of(index), weights))

    def tag_by_example(
        self, tag: str, yes: Iterable[Mark], no: Iterable[Mark] = (), k: int = 50, *, above: float = 0.0
    ) -> ExampleTagging:
        """Rank the segments by how probably a tag fits them, learned from examples; nothing is written.

        Args:
            tag: the tag; segments that have it already are neither ranked nor doubted.
            yes: examples that it fits, at least one.
            no: examples that it does not fit.
            k: how many to rank and how many to doubt, at most.
            above: leave out of the ranking what is less probable than this.

        Raises:
            QueryError: no example, one that is both, one that is not in the library, or k below 1.
        """
        positive, negative = list(yes), list(no)
        return self._with_index(
            lambda index: tagged_by_example(index, self._segments_of(index), tag, positive, negative, k, above)
        )

    def edit_tag(self, tag: str, *, add: Iterable[Mark] = (), remove: Iterable[Mark] = ()) -> Edit:
        """Give a tag to some segments and take it from others, in one commit that `Edit.revert` takes back.

        Args:
            tag: the tag: a word or several, without commas, semicolons and line breaks.
            add: segments that shall have it; a file stands for all of its segments, also those it gets later.
            remove: segments that shall not have it.

        Raises:
            QueryError: a mark points at nothing in the library.
            LibraryError: the tag cannot be one, or a segment shall both have it and not.
        """
        return self._tag_editor.edit(self.segments(), {tag: (tuple(add), tuple(remove))}, self._retag)

    def add_tag(self, tag: str, marks: Iterable[Mark]) -> Edit:
        """Give a tag to segments; as `edit_tag`."""
        return self.edit_tag(tag, add=marks)

    def remove_tag(self, tag: str, marks: Iterable[Mark]) -> Edit:
        """Take a tag from segments; as `edit_tag`."""
        return self.edit_tag(tag, remove=marks)

    def set_tags(self, mark: Mark, tags: Iterable[str]) -> Edit:
        """Make these the tags of a file or segment, and no others; as `edit_tag`."""
        return self._tag_editor.set(self.segments(), mark, tags, self._retag)

    def tag_counts(self) -> dict[str, int]:
        """Every tag in the library and how many segments have it, the most frequent first."""
        return tag_counts(self.index().rows)

    def export_tags(self, out: str | os.PathLike[str]) -> int:
        """Write the tags to a CSV, or to a folder of Audacity label tracks; see `tag_export`.

        Returns:
            How many labels were written.

        Raises:
            LibraryError: the place cannot be written.
        """
        return export_tags(self.index().rows, out)
