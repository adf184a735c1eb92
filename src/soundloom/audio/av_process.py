"""FFmpeg in a process of its own.

PyAV holds the interpreter's lock for much of its work: two threads of it decode half as fast as one. And a codec
that crashes on a damaged file takes its process with it. Behind this class a child process decodes; the threads of
the parent stay free, and a crash is an :class:`soundloom.errors.AudioError` for that file and no more.

Not worth its start (a third of a second) for a single file.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import IO, Any, Literal, Self, cast

import numpy as np
from jaxtyping import Float32

from soundloom.audio import av_protocol
from soundloom.audio.containers.layout import Part
from soundloom.audio.decoder import ChannelMixer, Decoder
from soundloom.audio.notices import Notice
from soundloom.audio.options import DecodeOptions
from soundloom.errors import AudioError, InvalidArgumentError

__all__ = ["AvProcess"]

_Request = list[str | int | dict[str, Any] | None]


class AvProcess:
    """A child process that decodes files with FFmpeg, one after another or several in turn.

    The child starts with the first file that needs it, and again with the next file after it died. Safe to share
    between threads, which then wait for each other; but a crash ends every file that is open at the time, so give
    each thread its own.

    >>> with AvProcess() as av:  # doctest: +SKIP
    ...     waveform = soundloom.audio.read("talk.m4a", 16000, av=av)
    """

    def __init__(self, *, timeout: float = 60.0) -> None:
        """Prepare, without starting anything.

        Args:
            timeout: seconds after which a child that does not answer counts as hung. An answer is one block, about
                1.5 s of sound, which takes milliseconds.

        Raises:
            InvalidArgumentError: the timeout is not positive.
        """
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout is {timeout} s: it must be positive, 60 for instance")
        self.timeout = timeout
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._child: _Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The child's process id; None while there is none."""
        return None if self._child is None else self._child.process.pid

    def open(self, path: str, options: DecodeOptions, notices: list[Notice], part: Part) -> Decoder:
        """Open a file in the child.

        Args:
            path: the file.
            options: how it is decoded.
            notices: where what is noticed goes.
            part: the stretch of the file, and what is known of it.

        Raises:
            AudioError: FFmpeg cannot read the file, or the child cannot be started or died over it.
        """
        number = next(self._numbers)
        with self._lock:
            # After a fork the pipes would be shared with the parent, and the answers mixed up.
            if self._child is None or self._child.owner != os.getpid():
                try:
                    self._child = _Child()
                except OSError as error:
                    raise AudioError(path, f"the process to decode it cannot be started ({error.strerror})") from error
                weakref.finalize(self, self._child.stop)
            child = self._child
        _, facts = self._ask(child, path, ["open", number, os.path.abspath(path), options.to_data(), part.to_data()])
        about = json.loads(facts)
        notices += [Notice(*notice) for notice in about.pop("notices")]
        try:
            return _Remote(self, child, path, number, options, notices, **about)
        except AudioError:
            self._forget(child, number)
            raise

    def close(self) -> None:
        """End the child. The next file starts another."""
        with self._lock:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def _ask(self, child: _Child, path: str, request: _Request) -> tuple[bytes, bytearray]:
        """Send a request and wait for the answer: its kind and content.

        Raises:
            AudioError: the child reports an error, or is dead.
        """
        with self._lock:
            try:
                kind, content = child.ask(request, self.timeout)
            except (OSError, EOFError, ValueError) as error:
                why = child.stop()
                if self._child is child:
                    self._child = None
                raise AudioError(
                    path,
                    f"the process that decodes it {why}: the file is probably damaged; convert it to wav or flac, "
                    "or leave it out",
                ) from error
        if kind == av_protocol.ERROR:
            raise AudioError(path, content.decode("utf-8", "surrogateescape"))
        return kind, content

    def _forget(self, child: _Child, number: int) -> None:
        """Tell the child that a file is not needed any more; a dead child has forgotten it already."""
        with self._lock, suppress(OSError, ValueError):
            child.send(["close", number])


class _Remote:
    """The parent's side of a decoder that lives in the child; see :class:`soundloom.audio.decoder.Decoder`."""

    name: Literal["pyav"] = "pyav"
    frames: int | None = None

    def __init__(
        self,
        process: AvProcess,
        child: _Child,
        path: str,
        number: int,
        options: DecodeOptions,
        notices: list[Notice],
        *,
        sample_rate: int,
        channels: int,
        seconds: float | None,
        codec: str,
    ) -> None:
        self._process, self._child, self._path, self._number = process, child, path, number
        self.sample_rate, self.channels, self.seconds, self.codec = sample_rate, channels, seconds, codec
        self.mixer, self._notices = ChannelMixer(path, channels, options), notices

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoder.Decoder.blocks`."""
        while True:
            kind, content = self._process._ask(self._child, self._path, ["next", self._number, first, last])
            if kind == av_protocol.END:
                self._notices += [Notice(*notice) for notice in json.loads(content)]
                return
            energies = self.mixer.energies
            energies += np.frombuffer(content, np.float64, len(energies))
            yield np.frombuffer(content, np.float32, offset=energies.nbytes)

    def close(self) -> None:
        """Let go of the file."""
        self._process._forget(self._child, self._number)


class _Child:
    """One run of :mod:`soundloom.audio.av_worker`."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._hung = False
        self._ending: str | None = None
        # The child finds its modules where this process found them, and nowhere else (-P: not in the folder it
        # happens to be started in, where a user may keep an av.py).
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        with ExitStack() as cleaner:
            # A file, which unlike a pipe need not be emptied while the child runs.
            self._errors = cleaner.enter_context(tempfile.TemporaryFile())
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "soundloom.audio.av_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env={**os.environ, "PYTHONPATH": path},
            )
            cleaner.pop_all()

    def send(self, request: _Request) -> None:
        """Write a request."""
        pipe = _piped(self.process.stdin)
        pipe.write(json.dumps(request).encode() + b"\n")
        pipe.flush()

    def ask(self, request: _Request, timeout: float) -> tuple[bytes, bytearray]:
        """Write a request and read the answer.

        Raises:
            EOFError: the child ended within the answer, or did not give it in time and was killed.
            OSError: the child ended before the request.
            InvalidArgumentError: the child was stopped earlier.
        """
        # A thread that kills works for a child that stops anywhere, within an answer too, and on every system.
        watch = threading.Timer(timeout, self._give_up)
        watch.daemon = True
        watch.start()
        try:
            self.send(request)
            kind, length = av_protocol.HEAD.unpack(self._receive(av_protocol.HEAD.size))
            return kind, self._receive(length)
        finally:
            watch.cancel()

    def stop(self) -> str:
        """End the process, leaving no zombie, and say how it ended."""
        # A forked copy of this object has no child: that belongs to the process that started it.
        if self.owner != os.getpid():
            return "belongs to another process"
        if self._ending is None:
            with suppress(OSError):
                _piped(self.process.stdin).close()
            try:
                code = self.process.wait(timeout=2)
            except subprocess.TimeoutExpired:
                self.process.kill()
                code = self.process.wait()
            _piped(self.process.stdout).close()
            with self._errors:
                self._errors.seek(0)
                lines = self._errors.read().decode(errors="replace").strip().split("\n")
            if self._hung:
                self._ending = "gave no answer in time and was stopped"
            elif code < 0:
                self._ending = f"was ended by {signal.Signals(-code).name}"
            else:
                self._ending = f"ended with code {code} ({lines[-1].strip() or 'without a word'})"
        return self._ending

    def _give_up(self) -> None:
        self._hung = True
        self.process.kill()

    def _receive(self, length: int) -> bytearray:
        """Exactly so many bytes from the child."""
        content = bytearray(length)
        if _piped(self.process.stdout).readinto(content) < length:
            raise EOFError("the child closed its pipe")
        return content


def _piped(pipe: IO[bytes] | None) -> io.BufferedIOBase:
    """A pipe that was asked for at the start, so that it is there."""
    return cast(io.BufferedIOBase, pipe)
