"""What the routes share: the library, the pools of threads that ask it, and what is remembered between requests."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from threading import Lock
from typing import Annotated, Generic, ParamSpec, TypeVar, cast

import numpy as np
from fastapi import Depends, Request
from numpy.typing import NDArray

from soundloom.errors import ModelError, QueryError
from soundloom.library import Library
from soundloom.library.map.library_map import Map
from soundloom.library.search.tag_query import tag_embedding, tags_of_library
from soundloom.library.segments import Segment
from soundloom.library.tags.editor import Edit
from soundloom.models.download import cache_home
from soundloom.server.catalogue import Catalogue
from soundloom.server.http.errors import ApiError
from soundloom.server.jobs import Jobs
from soundloom.server.media.decode_pool import DecodePool
from soundloom.server.media.file_cache import FileCache
from soundloom.server.media.sound_files import SoundFiles
from soundloom.server.media.upload_store import UploadStore
from soundloom.server.queries import Query
from soundloom.server.settings import ServerSettings
from soundloom.tags import AlignedTags

__all__ = ["LruCache", "Service", "ServiceDep"]

P = ParamSpec("P")
Answer = TypeVar("Answer")
Value = TypeVar("Value")

_CHILDREN = 2
_EDITS = 1000
_LATELY = 1.0


class Service:
    """A library being served. Closed once, after the last request.

    Every kind of work has threads of its own, so that none waits behind another: searches take milliseconds,
    embedding a query up to seconds, decoding a long file up to minutes.

    Args:
        library: what is served.
        settings: the server's.

    Attributes:
        library: what is served.
        settings: the server's.
        files: what is served of the library's files.
        uploads: the sounds that were brought as queries.
        jobs: the work in the background.
        maps: those that were asked for last.
        edits: of tags, that can be taken back; used in the thread that writes.
    """

    def __init__(self, library: Library, settings: ServerSettings) -> None:
        self.library = library
        self.settings = settings
        # Two workshops: what strangers bring neither delays the library's own sounds nor is decoded beside them.
        self._decoders = DecodePool(_CHILDREN), DecodePool(_CHILDREN)
        cache = settings.cache or cache_home() / "served"
        self.files = SoundFiles(self._decoders[0], FileCache(cache, settings.cache_bytes))
        self.uploads = UploadStore(self._decoders[1], settings)
        self.jobs = Jobs()
        self._embeddings: LruCache[NDArray[np.float32]] = LruCache(512)
        self._catalogues: LruCache[Catalogue] = LruCache(2)
        self._latest: tuple[float, Catalogue | None] = (0.0, None)
        self.edits: OrderedDict[str, Edit] = OrderedDict()
        self.maps: LruCache[Map] = LruCache(4)
        self._tags: LruCache[dict[str, int]] = LruCache(2)
        self._pools = {
            "search": ThreadPoolExecutor(settings.searches, "search"),
            "embed": ThreadPoolExecutor(2, "embed"),
            "decode": ThreadPoolExecutor(_CHILDREN, "decode"),
            "upload": ThreadPoolExecutor(_CHILDREN, "upload"),
            "write": ThreadPoolExecutor(1, "write"),
        }

    async def run(self, pool: str, work: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Do work in a pool's threads: search, embed, decode, upload or write."""
        return await asyncio.wrap_future(self._pools[pool].submit(partial(work, *args, **kwargs)))

    def catalogue(self) -> Catalogue:
        """The rows of the library as it is now."""
        version = self.library.index().version
        catalogue = self._catalogues.get(version, partial(Catalogue, self.library))
        self._latest = time.monotonic(), catalogue
        return catalogue

    async def segment(self, identity: str) -> Segment:
        """The segment with an id, of the library as it was at most a second ago.

        Fifty pictures are asked for right after the search that found them: asking the store each time whether it has
        changed would take longer than sending them, and keep the next search waiting.

        Raises:
            ApiError: there is none.
        """
        asked, catalogue = self._latest
        if catalogue is None or time.monotonic() - asked > _LATELY or identity not in catalogue:
            catalogue = await self.run("search", self.catalogue)
        return catalogue.segment(identity)

    def stored_embedding(self, catalogue: Catalogue, segment: Segment) -> NDArray[np.float32]:
        """The embedding that the library holds of a segment."""
        return self._embeddings.get((catalogue.version, segment.id), lambda: self.library.embedding(segment.id))

    def embed_region(
        self, catalogue: Catalogue, segment: Segment, start: float, end: float | None
    ) -> NDArray[np.float32]:
        """The embedding of a region of a segment's file."""

        def hear() -> NDArray[np.float32]:
            model = self.library.model
            return model.embed(self.files.samples(segment, start, end, model.sample_rate))

        return self._embeddings.get((catalogue.version, segment.id, start, end), hear)

    def embed_upload(self, identity: str, start: float, end: float | None) -> NDArray[np.float32]:
        """The embedding of an upload, or of a region of it.

        Raises:
            ApiError: there is no such upload.
        """
        upload = self.uploads.get(identity)
        return self._embeddings.get(
            (identity, start, end), lambda: self.library.model.embed(upload.samples, start=start, end=end)
        )

    @cached_property
    def tags(self) -> AlignedTags | None:
        """What the model knows of words; None if nothing. Nothing is fetched for it."""
        try:
            return tags_of_library(self.library.settings, offline=True)
        except (QueryError, ModelError):
            return None

    def worded(
        self, query: Query, sound: NDArray[np.float32] | None, weights: dict[str, float]
    ) -> tuple[NDArray[np.float64], dict[str, float]]:
        """A query's words, and the sound beside them, as an embedding and weights to search by.

        Raises:
            ApiError: the model knows no words.
        """
        if self.tags is None:
            model = self.library.settings.model
            raise ApiError(409, "tags_not_searchable", f"the model {model!r} of this library does not understand words")
        library = self.library
        embedding = tag_embedding(
            self.tags, library.settings, library.index(), query.tag, query.without, sound=sound, share=query.share
        )
        if sound is None:
            # The other parts know no words.
            weights = {**dict.fromkeys(library.settings.parts, 0.0), self.tags.part: 1.0, **weights}
        return embedding, weights

    def tag_counts(self) -> dict[str, int]:
        """Every tag and how many segments have it, the most frequent first."""
        return self._tags.get(self.library.index().version, self.library.tag_counts)

    def remember(self, edit: Edit) -> None:
        """Keep an edit of tags, so that it can be taken back."""
        self.edits[edit.id] = edit
        while len(self.edits) > _EDITS:
            self.edits.popitem(last=False)

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        self.jobs.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()
        self.uploads.close()


class LruCache(Generic[Value]):
    """The values asked for last, by key; a value is made once even if several ask for it at the same time.

    Args:
        kept: how many.
    """

    def __init__(self, kept: int) -> None:
        self._kept = kept
        self._values: OrderedDict[Hashable, Value] = OrderedDict()
        self._making: dict[Hashable, Lock] = {}
        self._lock = Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value of a key."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]
            making = self._making.setdefault(key, Lock())
        with making:
            with self._lock:
                if key in self._values:
                    return self._values[key]
            try:
                value = make()
            finally:
                with self._lock:
                    self._making.pop(key, None)
            with self._lock:
                self._values[key] = value
                while len(self._values) > self._kept:
                    self._values.popitem(last=False)
        return value

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._values.clear()


async def _service_of(request: Request) -> Service:
    service = cast(Service, request.app.state.service)
    # In a thread: a drive that hangs must not stop the others. Seen before every answer, as what is remembered
    # would otherwise be shown of a library that is gone.
    await asyncio.to_thread(service.library.check_present)
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
"""The service, as a parameter of a route; the library is there."""
