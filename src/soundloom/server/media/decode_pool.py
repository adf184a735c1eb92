"""Pool of child processes that decode, draw and transcode sound files within limits of memory and time.

Codecs crash, hang and exhaust memory on damaged or hostile files, so the serving process decodes nothing itself: a
child runs :mod:`soundloom.server.media.decode_worker`, one task at a time. A child that exceeds its time is killed and
replaced, and its task fails with a reason. Requests and answers are JSON objects.
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import Any

from soundloom.audio import DEFAULT_OPTIONS, DecodeOptions
from soundloom.errors import AudioError
from soundloom.workers import ChildLostError, ChildProcess

__all__ = ["DecodePool", "DecodeTimeout"]

# One thread each: there are as many children as the machine is to be busy with.
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
_TARGET = "soundloom.server.media.decode_worker:serve"
_TASKS_EACH = 500
"""After so many tasks a child is replaced, so that what codecs leak does not add up."""


class DecodeTimeout(AudioError):  # noqa: N818 (said of a sound)
    """A task was not done in time."""


class DecodePool:
    """Some child processes, each doing one task at a time. Safe to share between threads.

    Args:
        children: how many tasks at a time; further callers wait.
        options: how files are decoded: those of the library.
        memory: bytes that a child may address.
    """

    def __init__(self, children: int, options: DecodeOptions = DEFAULT_OPTIONS, *, memory: int = 4 * 2**30) -> None:
        self.options = options
        self._memory = memory
        self._free = threading.Semaphore(children)
        self._idle: LifoQueue[tuple[ChildProcess, int]] = LifoQueue()
        self._closed = False

    def do(self, task: str, path: str | os.PathLike[str], *, timeout: float, **details: Any) -> dict[str, Any]:
        """Have a task of :mod:`soundloom.server.media.decode_worker` done on a file.

        Args:
            task: its name.
            path: the file.
            timeout: seconds after which the child is killed.
            details: what else the task is to know; plain data.

        Raises:
            AudioError: the file cannot be decoded, or the child crashed.
            DecodeTimeout: it took too long.
        """
        with self._free:
            if self._closed:
                raise AudioError(path, "the server is stopping: ask again when it runs")
            try:
                child, tasks = self._idle.get_nowait()
            except Empty:
                child, tasks = ChildProcess(_TARGET, memory=self._memory, environment=_ENVIRONMENT), 0
            request = json.dumps(
                {"task": task, "path": os.fspath(path), "options": self.options.to_data(), **details}
            ).encode()
            try:
                answer: dict[str, Any] = json.loads(child.ask(b"t", request, timeout)[1])
            except ChildLostError as lost:
                child.stop()
                if lost.timed_out:
                    raise DecodeTimeout(
                        path, f"it could not be decoded within {timeout:g} s: use a shorter sound"
                    ) from None
                raise AudioError(path, "the process that decoded it crashed: the file is probably damaged") from None
            except BaseException:
                child.stop()
                raise
            if tasks + 1 >= _TASKS_EACH or self._closed:
                child.stop()
            else:
                self._idle.put((child, tasks + 1))
        if "error" in answer:
            raise AudioError(path, str(answer["error"]))
        return answer

    def pids(self) -> list[int]:
        """The process ids of the children that wait for work."""
        return [child.process.pid for child, _ in list(self._idle.queue)]

    def close(self) -> None:
        """End the children; those at work end with their task."""
        self._closed = True
        with suppress(Empty):
            while True:
                self._idle.get_nowait()[0].stop()
