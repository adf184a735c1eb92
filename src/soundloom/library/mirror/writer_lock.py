"""Lock of a library in an object store: one writer at a time on all machines, by leases created if absent.

``writer/NUMBER.json`` says who writes and until when. The highest number counts: the process that creates the next
one, once it is released or expired, has the lock. A writer that lives renews its lease. Should clocks differ so much
that two write, the snapshot of one is refused (`soundloom.library.mirror.snapshots`).
"""

from __future__ import annotations

import json
import os
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from soundloom.errors import LibraryError, ResourceError
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["WriterLock"]


class WriterLock:
    """The lock of one library, as one process takes it.

    Args:
        storage: the library's.
        seconds: after how long without a sign of life a writer has lost it.
        clock: seconds since 1970.
    """

    def __init__(self, storage: ObjectStorage, seconds: float = 60.0, clock: Callable[[], float] = time.time) -> None:
        self._storage = storage
        self._seconds = seconds
        self._clock = clock
        self._holder = f"{socket.gethostname()}, process {os.getpid()}"

    @contextmanager
    def held(self, patience: float) -> Iterator[None]:
        """Hold the lock.

        Args:
            patience: seconds to wait for another writer.

        Raises:
            LibraryError: another process still writes.
            ResourceError: the store cannot be reached.
        """
        key, done = self._acquire(patience), Event()

        def renew() -> None:
            while not done.wait(self._seconds / 4):
                with suppress(ResourceError):  # tried again; a lease that runs out is noticed when it counts
                    self._storage.put(key, self._lease(self._seconds))

        thread = Thread(target=renew, daemon=True, name="soundloom-lease")
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self._storage.put(key, self._lease(0))

    def _acquire(self, patience: float) -> str:
        deadline, pause = time.monotonic() + patience, 0.02
        while True:
            keys = self._storage.keys("writer/")
            lease = json.loads((self._storage.get(keys[-1]) or b"null") if keys else b"null")
            if lease is None or lease["expires"] <= self._clock():
                number = 1 + (int(keys[-1].rpartition("/")[2].removesuffix(".json")) if keys else 0)
                key = f"writer/{number:010d}.json"
                if self._storage.create(key, self._lease(self._seconds)):
                    # Numbers are removed from below, so a process that looked long ago may take one that is over.
                    if max(self._storage.keys("writer/")) == key:
                        for earlier in keys:
                            self._storage.delete(earlier)
                        return key
                    self._storage.delete(key)
            elif time.monotonic() > deadline:
                raise LibraryError(
                    f"the library {self._storage.address!r} is being changed by {lease['holder']}: try again when "
                    "that is done"
                )
            time.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(1.5 * pause, 1.0)

    def _lease(self, seconds: float) -> bytes:
        return json.dumps({"holder": self._holder, "expires": self._clock() + seconds}).encode()
