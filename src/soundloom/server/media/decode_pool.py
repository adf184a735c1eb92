"""Pool of child processes that decode, draw and transcode sound files within limits of memory and time.

Codecs crash, hang and exhaust memory on damaged or hostile files, so the serving process decodes nothing itself: a
child runs :mod:`soundloom.server.media.decode_worker`, one task at a time. A child that exceeds its time is killed and
replaced, and its task fails with a reason.

Requests and answers are JSON, one a line. Nothing that a child says is unpickled, so that a codec taken over by a
hostile file gains nothing in the parent.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from queue import Empty, LifoQueue
from typing import IO, Any, cast

from soundloom.errors import AudioError

__all__ = ["DecodePool", "DecodeTimeout"]

_ANSWER_BYTES = 16 * 2**20
_TASKS_EACH = 500
"""After so many tasks a child is replaced, so that what codecs leak does not add up."""


class DecodeTimeout(AudioError):  # noqa: N818 (said of a sound)
    """A task was not done in time."""


class DecodePool:
    """Some child processes, each doing one task at a time. Safe to share between threads.

    Args:
        children: how many tasks at a time; further callers wait.
        memory: bytes that a child may address.
    """

    def __init__(self, children: int, *, memory: int = 4 * 2**30) -> None:
        self._memory = memory
        self._free = threading.Semaphore(children)
        self._idle: LifoQueue[_Child] = LifoQueue()
        self._closed = False

    def do(self, task: str, path: str | os.PathLike[str], *, timeout: float, **details: Any) -> dict[str, Any]:
        """Have a task of :mod:`soundloom.server.media.decode_worker` done on a file.

        Args:
            task: its name.
            path: the file.
            timeout: seconds after which the child is killed.
            details: what else the task is to know; plain data.

        Raises:
            AudioError: the file cannot be decoded, or the child died of it.
            DecodeTimeout: it took too long.
        """
        with self._free:
            if self._closed:
                raise AudioError(path, "the server is stopping: ask again when it runs")
            try:
                child = self._idle.get_nowait()
            except Empty:
                child = _Child(self._memory)
            try:
                answer = child.ask({"task": task, "path": os.fspath(path), **details}, timeout)
            except _Lost as lost:
                child.stop()
                if lost.overrun:
                    raise DecodeTimeout(
                        path, f"it could not be decoded within {timeout:g} s: use a shorter sound"
                    ) from None
                raise AudioError(path, "the process that decoded it died of it: the file is probably damaged") from None
            except BaseException:
                child.stop()
                raise
            if child.tasks >= _TASKS_EACH or self._closed:
                child.stop()
            else:
                self._idle.put(child)
        if "error" in answer:
            raise AudioError(path, str(answer["error"]))
        return answer

    def pids(self) -> list[int]:
        """The process ids of the children that wait for work."""
        return [child.process.pid for child in list(self._idle.queue)]

    def close(self) -> None:
        """End the children; those at work end with their task."""
        self._closed = True
        with suppress(Empty):
            while True:
                self._idle.get_nowait().stop()


class _Lost(Exception):  # noqa: N818 (the child is)
    """A child that gave no answer; whether because time was up."""

    def __init__(self, overrun: bool) -> None:
        self.overrun = overrun
        super().__init__()


class _Child:
    """One run of :mod:`soundloom.server.media.decode_worker`."""

    def __init__(self, memory: int) -> None:
        self.tasks = 0
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "soundloom.server.media.decode_worker", str(memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # One thread each: there are as many children as the machine is to be busy with.
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def ask(self, request: Mapping[str, Any], timeout: float) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            _Lost: there is none.
        """
        overrun = threading.Event()

        def give_up() -> None:
            overrun.set()
            self.process.kill()

        watch = threading.Timer(timeout, give_up)
        watch.daemon = True
        watch.start()
        try:
            pipe = cast(IO[bytes], self.process.stdin)
            pipe.write(json.dumps(request).encode() + b"\n")
            pipe.flush()
            line = cast(IO[bytes], self.process.stdout).readline(_ANSWER_BYTES)
            if not line.endswith(b"\n"):
                raise _Lost(overrun.is_set())
            answer = json.loads(line)
        except (OSError, ValueError):
            raise _Lost(overrun.is_set()) from None
        finally:
            watch.cancel()
        if not isinstance(answer, dict):
            raise _Lost(overrun=False)
        self.tasks += 1
        return answer

    def stop(self) -> None:
        """End the process, leaving no zombie."""
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                cast(IO[bytes], pipe).close()
        self.process.wait()
