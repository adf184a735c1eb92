"""Work that takes minutes, done beside the requests: its progress can be asked for, and it can be stopped."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Literal, TypeVar

from soundloom.errors import MissingExtraError, SoundloomError
from soundloom.server.http.error_responses import ApiError
from soundloom.server.job_schemas import JobKind

__all__ = ["BackgroundJob", "Jobs"]

_log = logging.getLogger(__name__)

_REMEMBERED = 50

Result = TypeVar("Result")

_WORK: dict[JobKind, str] = {
    "index": "indexing",
    "map": "the computing of the map",
    "train": "the training of a detector",
    "detect": "a detection",
    "sample": "the choice of windows",
    "duplicates": "the search for duplicates",
}
"""Kinds of jobs, for a sentence."""


class _Cancelled(Exception):  # noqa: N818 (the job is)
    pass


class BackgroundJob:
    """One piece of work and how far it is.

    Attributes:
        id: its name.
        kind: what it does.
        state: running, done or failed; a job that was stopped has failed.
        done: how much is done, in the unit of the job.
        total: how much there is; 0 while that is not known.
        message: what it does now, or what came of it.
        result: what came of it, of a job whose result is asked for; set by the work.
    """

    def __init__(self, kind: JobKind) -> None:
        self.id = "j_" + secrets.token_urlsafe(9)
        self.kind = kind
        self.state: Literal["running", "done", "failed"] = "running"
        self.done = 0
        self.total = 0
        self.message = "waiting to begin"
        self.result: object = None
        self._began = time.monotonic()
        self._stop = threading.Event()

    def reached(self, done: int, total: int, message: str) -> None:
        """Told by the work as it goes on; raises where the job is to stop."""
        if self._stop.is_set():
            raise _Cancelled
        self.done, self.total, self.message = done, total, message

    def cancel(self) -> None:
        """Ask the job to stop; it does at its next step."""
        self._stop.set()

    @property
    def cancelled(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def seconds_left(self) -> float | None:
        """How long it will go on at the pace so far; None where that is unknown."""
        if self.state != "running" or not 0 < self.done <= self.total:
            return None
        return (time.monotonic() - self._began) / self.done * (self.total - self.done)


class Jobs:
    """The jobs of a server, one at a time: they all write to the same library."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, BackgroundJob] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def start(self, kind: JobKind, work: Callable[[BackgroundJob], str]) -> BackgroundJob:
        """Begin a job in a thread of its own.

        Args:
            kind: what it does.
            work: does the work and reports its progress to the job; returns the result.

        Raises:
            ApiError: another one is running.
        """
        job = BackgroundJob(kind)
        with self._lock:
            running = self._running()
            if running is not None:
                raise ApiError(
                    409, "job_running", f"{_WORK[running.kind]} goes on: wait until it is done, or cancel it"
                )
            self._jobs[job.id] = job
            while len(self._jobs) > _REMEMBERED:
                self._jobs.popitem(last=False)
            self._thread = threading.Thread(target=_run, args=(job, work), name=job.id, daemon=True)
            self._thread.start()
        return job

    def latest(self) -> list[BackgroundJob]:
        """The last job of each kind, the newest first: the running one, if one is, and those that have ended."""
        with self._lock:
            newest: dict[JobKind, BackgroundJob] = {}
            for job in reversed(self._jobs.values()):
                newest.setdefault(job.kind, job)
        return list(newest.values())

    def _running(self) -> BackgroundJob | None:
        return next((known for known in self._jobs.values() if known.state == "running"), None)

    def get(self, identity: str) -> BackgroundJob:
        """A job by its id.

        Raises:
            ApiError: there is none.
        """
        with self._lock:
            if identity in self._jobs:
                return self._jobs[identity]
        raise ApiError(404, "no_job", f"there is no job {identity!r}: jobs are forgotten when the server stops")

    def result(self, identity: str, kind: type[Result]) -> Result:
        """The result of a job.

        Raises:
            ApiError: there is no such job, it is of another kind, runs, or has failed.
        """
        job = self.get(identity)
        if isinstance(job.result, kind):
            return job.result
        if job.state == "running":
            raise ApiError(409, "job_running", f"the job {identity} goes on: ask /jobs/{identity} until it is done")
        raise ApiError(404, "no_result", f"the job {identity} ({job.kind}) has no such result: {job.message}")

    def close(self, patience: float = 10.0) -> None:
        """Cancel the running job, and wait some seconds for it to end."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()
            thread = self._thread
        if thread is not None:
            thread.join(patience)


def _run(job: BackgroundJob, work: Callable[[BackgroundJob], str]) -> None:
    try:
        job.message = work(job)
        job.state = "done"
    except _Cancelled:
        job.message, job.state = "cancelled: what was done until then is kept", "failed"
    except SoundloomError as error:
        job.message, job.state = str(error), "failed"
    except Exception as error:
        defect = f"a defect of the server ({type(error).__name__}): its log holds the details"
        if (missing := MissingExtraError.of_torch(error)) is None:
            _log.exception("the job %s failed", job.id)
        job.message, job.state = str(missing or defect), "failed"
