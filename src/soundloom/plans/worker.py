"""Worker of a plan: leases shards, has child processes embed their files, and writes one fragment a shard.

A worker keeps no state of its own. Killed at any moment, its leases expire and others do the shards again; of two that
did the same shard, the first to create ``done/ID.json`` counts.
"""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from uuid import uuid4

from soundloom.errors import InvalidArgumentError
from soundloom.library.indexing.add_report import FileProgress
from soundloom.plans.embedding_process import EmbeddingProcess
from soundloom.plans.fragment import FileResult, digest_of, encode_fragment
from soundloom.plans.lease import HeldLease, Lease, Leases, deadly_files, record_death
from soundloom.plans.plan_file import FinishedShard, PlanFile, Shard, marked_shards, shard_key
from soundloom.plans.shard_process import ModelSource
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["SERVE", "WorkReport", "Worker"]

SERVE = "soundloom.plans.shard_process:serve"

_SOON = 1.0
"""Pause from which on waiting is reported."""
_LONGEST_WAIT = 5.0
"""Seconds between two looks at what others do, when there is nothing left to lease."""


@dataclass
class WorkReport:
    """What a worker did.

    Attributes:
        shards: shards that it was the first to finish.
        files: files of these.
        failed: those of them that could not be embedded.
        seconds: seconds of sound embedded.
        repeated: shards that somebody else finished meanwhile.
    """

    shards: int = 0
    files: int = 0
    failed: int = 0
    seconds: float = 0.0
    repeated: int = 0


class Worker:
    """Works on a plan until all of its shards are done, by itself or by others.

    Args:
        storage: the plan's.
        plan: what it says.
        source: the model.
        processes: how many files at a time, each in a process of its own; one for each processor if not given.
        progress: called after every file.
        waiting: called with the leases of others, by shard, when there is nothing to do until they end or run out.
        target: ``module:function`` that the processes run.
    """

    def __init__(
        self,
        storage: ObjectStorage,
        plan: PlanFile,
        source: ModelSource,
        *,
        processes: int | None = None,
        progress: Callable[[FileProgress], None] | None = None,
        waiting: Callable[[Mapping[str, Lease]], None] | None = None,
        target: str = SERVE,
    ) -> None:
        count = processes if processes is not None else os.cpu_count() or 1
        if count < 1:
            raise InvalidArgumentError(f"{count} processes: give 1 or more")
        self._storage = storage
        self._plan = plan
        self._progress = progress
        self._waiting = waiting
        self._holder = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._leases = Leases(storage, plan.lease_seconds, self._holder)
        self._processes = [EmbeddingProcess(source, target) for _ in range(count)]
        self._stop = threading.Event()
        self._leasing, self._counting = threading.Lock(), threading.Lock()
        self._held: dict[str, HeldLease] = {}
        self._candidates: list[str] = []
        self._report = WorkReport()
        self._done, self._total, self._seconds = 0, 0, 0.0

    def run(self) -> WorkReport:
        """Work until every shard is done.

        Raises:
            ModelError, ModelMismatchError: the model cannot be loaded here, or is another one than the plan's.
            ResourceError: the plan cannot be read or written, or processes end before they begin a file.
        """
        done = marked_shards(self._storage, "done")
        self._total = sum(files for shard, files in self._plan.shards.items() if shard not in done)
        with ThreadPoolExecutor(len(self._processes), thread_name_prefix="soundloom-shards") as pool:
            try:
                threads = [pool.submit(self._serve, process) for process in self._processes]
                while not all(thread.done() for thread in threads):
                    for thread in wait(threads, self._plan.lease_seconds / 4, FIRST_EXCEPTION).done:
                        thread.result()
                    for lease in list(self._held.values()):
                        lease.renew()
                for thread in threads:
                    thread.result()
            finally:
                self._stop.set()
                for process in self._processes:
                    process.stop()
        return self._report

    def _serve(self, process: EmbeddingProcess) -> None:
        """One thread: shards, one after the other, with one process."""
        try:
            while (lease := self._next_lease()) is not None:
                self._held[lease.shard] = lease
                try:
                    self._embed(lease, process)
                finally:
                    del self._held[lease.shard]
                    lease.release()
        finally:
            process.close()

    def _next_lease(self) -> HeldLease | None:
        """A lease of a shard that is not done, as soon as there is one; None when there is nothing left to do."""
        pause = 0.05
        with self._leasing:
            while not self._stop.is_set():
                while self._candidates:
                    lease = self._leases.acquire(self._candidates.pop())
                    if lease is not None and self._storage.get(shard_key("done", lease.shard)) is None:
                        return lease
                    if lease is not None:
                        lease.release()
                left = self._plan.shards.keys() - marked_shards(self._storage, "done")
                if not left - self._held.keys():
                    return None
                leased = self._leases.held(left)
                self._candidates = sorted(left - leased.keys() - self._held.keys())
                random.Random(self._holder).shuffle(self._candidates)
                if not self._candidates:
                    if self._waiting is not None and pause >= _SOON:
                        self._waiting({shard: lease for shard, lease in leased.items() if shard not in self._held})
                    self._stop.wait(pause)
                    pause = min(2 * pause, _LONGEST_WAIT, self._plan.lease_seconds / 4)
        return None

    def _embed(self, lease: HeldLease, process: EmbeddingProcess) -> None:
        """Embed the files of a leased shard and publish their fragment."""
        shard, began = Shard.read(self._storage, lease.shard), time.time()
        results: dict[str, FileResult] = {}

        def take(result: FileResult) -> None:
            results[result.path] = result
            self._count(result)

        def set_aside() -> None:
            for file, reason in deadly_files(self._storage, lease).items():
                if file not in results:
                    take(FileResult(file, failure=reason))

        if lease.number > 1:
            set_aside()
        while not self._stop.is_set() and (left := [file for file in shard.files if file.path not in results]):
            batch = left[:1] if lease.careful else left
            if lease.careful:
                lease.note(batch[0].path)
            death = process.embed(batch, take)
            if self._stop.is_set():
                return
            if lease.careful:
                lease.note(None)
            if death is not None and death.file is not None:
                record_death(self._storage, lease.shard, death.file, death.cause)
                set_aside()
        if not self._stop.is_set():
            self._publish(lease, [results[file.path] for file in shard.files], began)

    def _publish(self, lease: HeldLease, results: list[FileResult], began: float) -> None:
        content = encode_fragment(results)
        fragment = f"fragments/{lease.shard}-{lease.number}-{uuid4().hex[:8]}.arrow"
        self._storage.put(fragment, content)
        failed = {result.path: result.failure for result in results if result.failure}
        seconds = sum(max(result.embedded.ends) for result in results if result.embedded is not None)
        said = FinishedShard(
            fragment=fragment, digest=digest_of(content), identity=self._plan.identity, files=len(results),
            failed=failed, seconds=seconds, began=began, finished=time.time(), holder=self._holder,
        )  # fmt: skip
        first = said.create(self._storage, lease.shard)
        lease.remove()
        with self._counting:
            if not first:
                self._report.repeated += 1
                self._storage.delete(fragment)
                return
            self._report.shards += 1
            self._report.files += len(results)
            self._report.failed += len(failed)
            self._report.seconds += seconds

    def _count(self, result: FileResult) -> None:
        with self._counting:
            self._done += 1
            self._seconds += 0.0 if result.embedded is None else max(result.embedded.ends)
            if self._progress is not None:
                self._progress(FileProgress(self._done, max(self._total, self._done), self._seconds, result.path))
