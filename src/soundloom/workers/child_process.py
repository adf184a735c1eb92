"""The parent's side of a child process: start, ask within a time limit, stop, and say how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import IO, BinaryIO, cast

from soundloom.workers.messages import read_message, write_message

__all__ = ["ChildLostError", "ChildProcess"]

_PATIENCE = 2.0
"""Seconds in which a child may end by itself when its pipe is closed."""


class ChildLostError(Exception):
    """A child ended before it answered, or did not answer in time and was killed.

    Attributes:
        timed_out: whether it did not answer in time.
    """

    def __init__(self, timed_out: bool) -> None:
        self.timed_out = timed_out
        super().__init__("gave no answer in time" if timed_out else "ended before it answered")


class ChildProcess:
    """A child process that runs a function of a module. Not safe to share between threads.

    Args:
        target: ``module:function``, called with a `soundloom.workers.child.Channel`.
        memory: bytes that it may address; no limit if not given.
        environment: variables that are set for it.
        own_session: whether Ctrl-C of the terminal does not reach it.
        keep_errors: keep what it prints, for `stop` to quote; else it goes where the parent's goes.

    Attributes:
        owner: the process that started it; a forked copy of this object has no child.
        process: the process.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(
        self,
        target: str,
        *,
        memory: int | None = None,
        environment: Mapping[str, str] | None = None,
        own_session: bool = False,
        keep_errors: bool = True,
    ) -> None:
        self.owner = os.getpid()
        self._timed_out = False
        self._ending: str | None = None
        # Modules are found where this process found them, and nowhere else (-P: not in the folder that it happens to
        # be started in, where a user may keep an av.py).
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        limits = [] if memory is None else [str(memory)]
        with ExitStack() as cleaner:
            # A file, which unlike a pipe need not be emptied while the child runs.
            self._errors = cleaner.enter_context(tempfile.TemporaryFile()) if keep_errors else None
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "soundloom.workers.child", target, *limits],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": path, **(environment or {})},
                start_new_session=own_session,
            )
            cleaner.pop_all()

    def send(self, kind: bytes, *content: bytes | memoryview) -> None:
        """Send a request.

        Raises:
            OSError: the child has ended.
            ValueError: it was stopped.
        """
        write_message(_pipe(self.process.stdin), kind, *content)

    def receive(self) -> tuple[bytes, bytearray]:
        """Wait for an answer, however long it takes: its kind and content.

        Raises:
            ChildLostError: the child ended before.
        """
        try:
            return read_message(_pipe(self.process.stdout))
        except (EOFError, OSError, ValueError):
            raise ChildLostError(self._timed_out) from None

    def ask(self, kind: bytes, content: bytes, timeout: float) -> tuple[bytes, bytearray]:
        """Send a request and wait for its answer; a child that gives none within ``timeout`` seconds is killed.

        Raises:
            ChildLostError: there is no answer.
        """
        # A thread that kills works for a child that stops anywhere, within an answer too, and on every system.
        watch = threading.Timer(timeout, self._give_up)
        watch.daemon = True
        watch.start()
        try:
            self.send(kind, content)
            return self.receive()
        except (OSError, ValueError):
            raise ChildLostError(self._timed_out) from None
        finally:
            watch.cancel()

    def stop(self, patience: float = _PATIENCE) -> str:
        """End the process, after ``patience`` seconds by force, leaving no zombie, and say how it ended."""
        if self.owner != os.getpid():
            return "belongs to another process"
        if self._ending is None:
            with suppress(OSError):
                _pipe(self.process.stdin).close()
            try:
                code = self.process.wait(patience)
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = self.process.wait()
            _pipe(self.process.stdout).close()
            if self._timed_out:
                self._ending = "gave no answer in time and was stopped"
            elif code < 0:
                self._ending = f"was ended by {signal.Signals(-code).name}"
            else:
                self._ending = f"ended with code {code} ({self._last_error() or 'without a word'})"
            if self._errors is not None:
                self._errors.close()
        return self._ending

    def _last_error(self) -> str:
        """The last line that the child printed."""
        if self._errors is None:
            return ""
        self._errors.seek(0)
        return self._errors.read().decode(errors="replace").strip().rpartition("\n")[2].strip()

    def _give_up(self) -> None:
        self._timed_out = True
        self.process.kill()


def _pipe(pipe: IO[bytes] | None) -> BinaryIO:
    """A pipe that was asked for at the start, so that it is there."""
    return cast(BinaryIO, pipe)
