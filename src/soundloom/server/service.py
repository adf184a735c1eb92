"""State shared by the routes: the library, its thread pools, and what is cached between requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, partial
from typing import Annotated, ParamSpec, TypeVar, cast

from fastapi import Depends, Request

from soundloom.cache_folder import cache_home
from soundloom.library import Library, Map, Segment
from soundloom.lru_cache import LruCache
from soundloom.server.catalogue import Catalogue
from soundloom.server.jobs import Jobs
from soundloom.server.media.decode_pool import DecodePool
from soundloom.server.media.file_cache import FileCache
from soundloom.server.media.sound_files import SoundFiles
from soundloom.server.media.upload_store import UploadStore
from soundloom.server.schemas import ServedLibrary
from soundloom.server.search import Search
from soundloom.server.settings import ServerSettings
from soundloom.server.tag_edits import TagEdits

__all__ = ["Service", "ServiceDep"]

P = ParamSpec("P")
Answer = TypeVar("Answer")

_CHILDREN = 2
_CATALOGUE_AGE = 1.0
"""Seconds for which segments are looked up without asking the store for changes."""


class Service:
    """A library being served. Closed once, after the last request.

    Every kind of work has threads of its own, so that none waits behind another: searches take milliseconds,
    embedding a query up to seconds, decoding a long file up to minutes.

    Args:
        library: what is served.
        settings: the server's.
        served: all libraries of the server, this one among them.

    Attributes:
        library: what is served.
        served: as given.
        settings: the server's.
        files: what is served of the library's files.
        uploads: the sounds that were brought as queries.
        jobs: the work in the background.
        maps: those that were asked for last.
        search: answers searches.
        tag_edits: changes of tags, used in the thread that writes.
        in_progress: for each pool, how many pieces of work are being done or wait.
    """

    def __init__(self, library: Library, settings: ServerSettings, served: Sequence[ServedLibrary] = ()) -> None:
        self.library = library
        self.served = served
        self.settings = settings
        # Two pools: uploads neither delay the library's own sounds nor are decoded beside them.
        self._decoders = (
            DecodePool(_CHILDREN, library.settings.decoding),
            DecodePool(_CHILDREN, library.settings.decoding),
        )
        cache = settings.cache or cache_home() / "served"
        self.files = SoundFiles(self._decoders[0], FileCache(cache, settings.cache_bytes))
        self.uploads = UploadStore(self._decoders[1], settings)
        self.jobs = Jobs()
        self.search = Search(library, self.catalogue, self.files, self.uploads)
        self.tag_edits = TagEdits(library)
        self._catalogues: LruCache[Catalogue] = LruCache(2)
        self._latest: tuple[float, Catalogue | None] = (0.0, None)
        self.maps: LruCache[Map] = LruCache(4)
        self._tags: LruCache[dict[str, int]] = LruCache(2)
        self._pools = {
            "search": ThreadPoolExecutor(settings.searches, "search"),
            "embed": ThreadPoolExecutor(2, "embed"),
            "decode": ThreadPoolExecutor(_CHILDREN, "decode"),
            # Beside "decode", for what a person is looking at: it waits for no row of thumbnails.
            "view": ThreadPoolExecutor(_CHILDREN, "view"),
            "upload": ThreadPoolExecutor(_CHILDREN, "upload"),
            "write": ThreadPoolExecutor(1, "write"),
        }
        self.in_progress = dict.fromkeys(self._pools, 0)

    async def run(self, pool: str, work: Callable[P, Answer], *args: P.args, **kwargs: P.kwargs) -> Answer:
        """Do work in a pool's threads: search, embed, decode, view, upload or write."""
        self.in_progress[pool] += 1
        try:
            return await asyncio.wrap_future(self._pools[pool].submit(partial(work, *args, **kwargs)))
        finally:
            self.in_progress[pool] -= 1

    @property
    def latest_catalogue(self) -> Catalogue | None:
        """The rows of the library as they were seen last; None before anybody asked."""
        return self._latest[1]

    def catalogue(self) -> Catalogue:
        """The rows of the library as it is now."""
        index = self.library.index()
        catalogue = self._catalogues.get(index.version, partial(Catalogue, self.library))
        if self._latest[1] is not catalogue:
            # Meanwhile, so that the first text need not wait for it.
            self._pools["embed"].submit(lambda: index.fields.text_index)
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
        if catalogue is None or time.monotonic() - asked > _CATALOGUE_AGE or identity not in catalogue:
            catalogue = await self.run("search", self.catalogue)
        return catalogue.segment(identity)

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """The words that the model understands; none if it understands none. Nothing is fetched for it."""
        return self.library.tags.vocabulary(offline=True)

    def tag_counts(self) -> dict[str, int]:
        """Every tag and how many segments have it, the most frequent first."""
        return self._tags.get(self.library.index().version, self.library.tags.counts)

    def close(self) -> None:
        """Stop everything and leave nothing behind."""
        self.jobs.close()
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
        for decoder in self._decoders:
            decoder.close()
        self.uploads.close()


async def _service_of(request: Request) -> Service:
    service = cast(Service, request.app.state.service)
    # In a thread: a drive that hangs must not stop the others. Seen before every answer, as what is remembered
    # would otherwise be shown of a library that is gone.
    await asyncio.to_thread(service.library.check_present)
    return service


ServiceDep = Annotated[Service, Depends(_service_of)]
"""The service, as a parameter of a route; the library is there."""
