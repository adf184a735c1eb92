"""Search requests and their answers: by a segment, a region or an upload, by words, or by filters alone."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from soundloom.audio import DecodeOptions
from soundloom.errors import AudioError, NothingFoundError
from soundloom.library import (
    Explanation,
    Library,
    LibraryTags,
    Match,
    QuerySound,
    Segment,
    embed_pieces,
    mean_of_pieces,
    misread,
    refuse_exclusion,
    silence_error,
)
from soundloom.lru_cache import LruCache
from soundloom.option_hints import hints_for_page
from soundloom.server.catalogue import Catalogue
from soundloom.server.find_schemas import FacetCounts, FacetValue, FoundFile, FoundFiles
from soundloom.server.http.error_responses import ApiError
from soundloom.server.media.sound_files import SoundFiles
from soundloom.server.media.upload_store import UploadStore
from soundloom.server.queries import FacetQuery, FileQuery, Query, parse_weights
from soundloom.server.schemas import SearchResult

__all__ = ["Search"]

Embedding = NDArray[Any]

_EMBEDDINGS = 512
"""Embeddings of queries that are kept."""
_STORED_ROWS = 6
"""Segments of a region from which on their stored embeddings are taken; a shorter one is embedded."""


class Search:
    """Searches of one library. Safe to share between threads.

    Args:
        library: what is searched.
        catalogue: gives the rows of the library as it is now.
        files: decodes regions of the library's files.
        uploads: the sounds that were uploaded.
    """

    def __init__(
        self, library: Library, catalogue: Callable[[], Catalogue], files: SoundFiles, uploads: UploadStore
    ) -> None:
        self._library = library
        self._catalogue = catalogue
        self._files = files
        self._uploads = uploads
        self._embeddings: LruCache[Embedding] = LruCache(_EMBEDDINGS)

    def embed_query(self, query: Query) -> Embedding:
        """The embeddings of the pieces of an upload or a region of a file, ``[pieces, dim]``, computed once for each.

        A region of many segments has their stored embeddings: an hour is not decoded and embedded again.

        Raises:
            ApiError: there is no such segment or upload.
            AudioError: the region lies outside the sound.
        """
        start, end = query.start or 0.0, query.end
        if query.upload is not None:
            uploaded = self._uploaded(query.upload, start, end)
            try:
                return self._embeddings.get((query.upload, start, end), lambda: self._embedded(uploaded))
            except AudioError as error:  # names the file as the person does, not the server's copy
                raise AudioError(self._uploads.get(query.upload).name, error.reason) from None
        catalogue = self._catalogue()
        segment = catalogue.segment(query.like or "")
        start, end = _region(query, segment)

        def embed() -> Embedding:
            index = self._library.index()
            rows = index.rows_in_region(segment.path, start, float("inf") if end is None else end)
            if len(rows) >= _STORED_ROWS:
                embeddings = index.embeddings([segment])
                return np.stack([embeddings[one.path, one.start] for one in index.segments.at(rows)])
            return self._embedded(self._sound(segment, start, end))

        return self._embeddings.get((catalogue.version, segment.id, start, end), embed)

    def answer(self, query: Query, embedding: Embedding | None, began: float) -> str:
        """What a query finds, as JSON.

        Args:
            query: what is searched for.
            embedding: of the pieces of the query's upload or region, if it has one.
            began: when the request came, by `time.perf_counter`.

        Raises:
            ApiError: there is no such segment, or the model understands no words.
            QueryError: weights, words or filters that the library does not know.
        """
        catalogue = self._catalogue()
        where = query.row_filter(catalogue) or None
        weights: Mapping[str, float] | None = parse_weights(query.weights)
        exclude, remark = None, ""
        if query.like is not None:
            segment = catalogue.segment(query.like)
            start, end = _region(query, segment)
            exclude = (segment.path, start, float("inf") if end is None else end)
            if embedding is None:
                embedding = self._stored(catalogue, segment)
        index = self._library.index()
        mean = None if embedding is None else mean_of_pieces(index, embedding)
        if query.tag or query.without:
            tags = self._tags_with_words()
            remark = tags.remark_on_weights(weights, beside_sound=mean is not None, offline=True)
            mean, weights = tags.query(
                query.tag, query.without, sound=mean, share=query.share, weights=weights, offline=True
            )
            embedding = mean
        shown = slice(query.offset, query.offset + query.k)
        hits: Sequence[Segment]
        try:
            hits, total = index.browse(where, shown if embedding is None else slice(0), query.sort)
        except NothingFoundError as nothing:
            nothing_found = SearchResult(
                hits=[],
                total=0,
                remarks=[nothing.reason],
                version=str(catalogue.version),
                milliseconds=_since(began),
            )
            return nothing_found.model_dump_json()
        explained: Sequence[Explanation] = ()
        if embedding is not None and mean is not None:
            found = self._library.search_embedding(embedding, shown.stop, weights=weights, where=where, exclude=exclude)
            hits = best = index.fields.sorted(found[shown], query.sort)
            if query.explain and (query.like is not None or query.upload is not None):
                explained = index.explain(mean, best)
        result = SearchResult(
            hits=catalogue.show(hits, explained, self._columns(hits, query.column)),
            total=total,
            remarks=[remark] if remark else [],
            version=str(catalogue.version),
            milliseconds=_since(began),
        )
        return result.model_dump_json(exclude_none=True)

    def _tags_with_words(self) -> LibraryTags:
        """The library's tags.

        Raises:
            ApiError: its model knows no words.
        """
        if not self._library.tags.vocabulary(offline=True):
            model = self._library.settings.model
            raise ApiError(409, "tags_not_searchable", f"the model {model!r} of this library does not understand words")
        return self._library.tags

    def find(self, query: FileQuery) -> FoundFiles:
        """The files that text, sounds and filters find.

        Raises:
            ApiError: nothing is asked for, or there is no such segment.
            QueryError: the text holds no word, or is meant to leave one out; or no file is in the folder.
        """
        began = time.perf_counter()
        catalogue = self._catalogue()
        if not query.names_only:
            refuse_exclusion(query.text)
        remarks = [reason] if (reason := misread(query.text)) else []
        read = self._library.read_query(*query.terms(), files=False, names_only=query.names_only, remarks=remarks)
        # The sounds of the query are samples here, and would find themselves.
        own = {catalogue.segment(one).path for one in (*query.like, *query.unlike)}
        own |= {str(sound.source) for sound in read.like}
        read = replace(read, like=tuple(map(self._named, read.like)))
        asked = query.asked(catalogue, read, self._sound, self._uploaded)
        found: list[Match] = []
        try:
            every = self._library.find(asked, query.offset + query.k + len(own), offline=True, remarks=remarks)
            found = [match for match in every if match.path not in own][query.offset : query.offset + query.k]
        except NothingFoundError as nothing:
            remarks.append(nothing.reason)
        # A region of several segments has the id of its first, which is known to the other routes.
        index = self._library.index()
        rows = [index.rows_in_region(match.path, match.start, match.end) for match in found]
        firsts = index.segments.ids([int(some[0]) for some in rows])
        files = [
            FoundFile(
                **catalogue.region_fields(match, first),
                fields=columns,
                is_segment=first == match.id,
                found_by=list(match.found_by),
                similarity=match.similarity,
                parts=match.parts,
                percentile=match.percentile,
                probability=match.probability,
            )
            for match, first, columns in zip(found, firsts, self._columns(found, query.column), strict=True)
        ]
        return FoundFiles(
            files=files,
            remarks=[hints_for_page(one) for one in remarks],
            version=str(catalogue.version),
            milliseconds=_since(began),
        )

    def facets(self, query: FacetQuery) -> FacetCounts:
        """How many files have each value of some fields, among those that text and filters admit.

        Raises:
            QueryError: there is no such field, folder or tag, or the condition cannot be evaluated.
        """
        began = time.perf_counter()
        try:
            found = self._library.facets(query.fields, query.admitted(self._catalogue()))
        except NothingFoundError:
            return FacetCounts(files=0, facets={}, milliseconds=_since(began))
        counts = {
            field: [FacetValue(value=value, files=files) for value, files in values.items()]
            for field, values in found.counts.items()
        }
        return FacetCounts(files=found.files, facets=counts, milliseconds=_since(began))

    def _columns(self, found: Sequence[Segment | Match], names: Sequence[str]) -> Sequence[dict[str, Any] | None]:
        """The fields of the files of what was found, times as text; None for each if none are asked for.

        Raises:
            QueryError: there is no such field.
        """
        if not names:
            return [None] * len(found)
        values = self._library.index().fields.of_files([one.path for one in found], names)
        return [{name: _plain(value) for name, value in one.items()} for one in values]

    def _sound(self, segment: Segment, start: float, end: float | None) -> QuerySound:
        """A region of a segment's file as the sound of a query, decoded in a process of its own."""
        rate = self._library.model.sample_rate
        return QuerySound(self._files.samples(segment, start, end, rate), sample_rate=rate)

    def _named(self, sound: QuerySound) -> QuerySound:
        """A sound of the library, or a region of one, as the sound of a query."""
        index = self._library.index()
        row = int(index.rows_in_region(str(sound.source), 0.0, float("inf"))[0])
        segment = index.segments.at([row])[0]
        return replace(self._sound(segment, sound.start, sound.end), weight=sound.weight)

    def _uploaded(self, identity: str, start: float, end: float | None) -> QuerySound:
        """A region of an upload as the sound of a query.

        Raises:
            ApiError: there is none.
        """
        upload = self._uploads.get(identity)
        # The samples are decoded already, by the library's options: its speed too.
        first, last = start / upload.speed, None if end is None else end / upload.speed
        return QuerySound(upload.samples, start=first, end=last)

    def _stored(self, catalogue: Catalogue, segment: Segment) -> Embedding:
        """The embedding that the library holds of a segment.

        Raises:
            AudioError: its file is silent.
        """
        if segment.path in catalogue.silent:
            raise silence_error(os.path.basename(segment.path))
        key = catalogue.version, segment.id
        return self._embeddings.get(key, lambda: self._library.index().embedding(segment.id)[None])

    def _embedded(self, sound: QuerySound) -> Embedding:
        """The embeddings of the pieces of a sound that is decoded already, at the library's speed."""
        return embed_pieces(self._library.model, self._library.settings, sound, DecodeOptions())


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value


def _since(began: float) -> float:
    """Milliseconds since a time of `time.perf_counter`."""
    return round(1000 * (time.perf_counter() - began), 2)


def _region(query: Query, segment: Segment) -> tuple[float, float | None]:
    """The region of the segment's file that is searched by."""
    if query.start is None and query.end is None:
        return segment.start, segment.end
    return query.start or 0.0, query.end
