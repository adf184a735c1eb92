"""Decoding with FFmpeg (PyAV) in a child process, over pipes: no shared interpreter lock, and no crashes here.

PyAV holds the interpreter's lock for much of its work, so two threads that use it are half as fast as one. A codec that
crashes on a damaged file ends its process; in a child, that is an :class:`soundloom.errors.AudioError` for the file.

libmpg123, within libsndfile, prints what it finds wrong in MPEG audio to the standard error of its process. The child's
goes to a file, so MPEG audio with anything but regular frames is decoded there as well, by libsndfile.

Requests to :mod:`soundloom.audio.decoders.av_worker` are JSON lists, answered by the messages below; see
:mod:`soundloom.workers.messages` for their framing.

    OPEN [number, path, options, part]   answered by OPENED and a JSON object, or by ERROR
    NEXT [number, first, last]           answered by BLOCK, by END and a JSON list of notices, or by ERROR
    CLOSE [number]                       not answered

A BLOCK holds the energies of its channels (float64, as many as `ChannelMixer.energies`), then float32 samples.
A notice is a list of its code and text. Notices of opening a file are in the JSON object, all others in END.
The number identifies an open file. ``first`` and ``last`` are read in the first NEXT of a file only. The child sends
nothing but answers, so a reader that stops early leaves no message behind in the pipe.

Starting the child takes a third of a second, which does not pay for a single file.
"""

from __future__ import annotations

import itertools
import json
import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import Literal, Self

import numpy as np
from jaxtyping import Float32

from soundloom.audio.containers.layout import Part
from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.base import ChannelMixer, Decoder
from soundloom.audio.notices import Notice
from soundloom.errors import AudioError, InvalidArgumentError
from soundloom.remote import is_address
from soundloom.workers import ChildLostError, ChildProcess

__all__ = ["BLOCK", "CLOSE", "END", "ERROR", "NEXT", "OPEN", "OPENED", "AvProcess"]

OPEN, NEXT, CLOSE = b"o", b"n", b"c"
OPENED, BLOCK, END, ERROR = b"O", b"B", b"Z", b"E"


class AvProcess:
    """A child process that decodes files, with FFmpeg or libsndfile; several files may be open at a time.

    The child is started for the first file that needs it, and again for the next file after it died. It may be shared
    between threads, which then wait for each other. A crash fails every file that is open at the time, so each thread
    should have a process of its own.

    >>> with AvProcess() as av:  # doctest: +SKIP
    ...     waveform = soundloom.audio.read("talk.m4a", 16000, av=av)
    """

    def __init__(self, *, timeout: float = 60.0) -> None:
        """Store the settings; the child is started later.

        Args:
            timeout: seconds to wait for an answer before the child is taken for hung and stopped. An answer is one
                block, about 1.5 s of sound, which takes milliseconds.

        Raises:
            InvalidArgumentError: the timeout is not positive.
        """
        if not timeout > 0:
            raise InvalidArgumentError(f"timeout is {timeout} s: it must be positive, 60 for instance")
        self.timeout = timeout
        self.stopped = False
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._child: ChildProcess | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def stop(self) -> None:
        """Have every sound that is streamed with this process end at its next block, as nobody wants it any more."""
        self.stopped = True

    @property
    def pid(self) -> int | None:
        """The process id of the child; None while no child runs."""
        return None if self._child is None else self._child.process.pid

    def open(self, path: str, options: DecodeOptions, notices: list[Notice], part: Part) -> Decoder:
        """Open a file in the child.

        Args:
            path: the file.
            options: how it is decoded.
            notices: the list that notices are added to.
            part: the byte range of the file to decode, and what is known of it.

        Raises:
            AudioError: the file cannot be read, or the child cannot be started or died over it.
        """
        number = next(self._numbers)
        with self._lock:
            # A forked process shares the pipes of its parent and would read the parent's answers.
            if self._child is None or self._child.owner != os.getpid():
                try:
                    self._child = ChildProcess("soundloom.audio.decoders.av_worker:serve")
                except OSError as error:
                    raise AudioError(path, f"the process to decode it cannot be started ({error.strerror})") from error
                weakref.finalize(self, self._child.stop)
            child = self._child
        place = path if is_address(path) else os.path.abspath(path)
        _, facts = self._ask(child, path, OPEN, number, place, options.to_data(), part.to_data())
        about = json.loads(facts)
        notices += [Notice(*notice) for notice in about.pop("notices")]
        try:
            return _Remote(self, child, path, number, options, notices, **about)
        except AudioError:
            self._forget(child, number)
            raise

    def close(self) -> None:
        """Stop the child. The next file starts another."""
        with self._lock:
            if self._child is not None:
                self._child.stop()
                self._child = None

    def _ask(self, child: ChildProcess, path: str, kind: bytes, *request: object) -> tuple[bytes, bytearray]:
        """Send a request and return the kind and content of the answer.

        Raises:
            AudioError: the child reports an error, died, or did not answer in time.
        """
        with self._lock:
            try:
                answer, content = child.ask(kind, json.dumps(request).encode(), self.timeout)
            except ChildLostError as error:
                why = child.stop()
                if self._child is child:
                    self._child = None
                raise AudioError(
                    path,
                    f"the process that decodes it {why}: the file is probably damaged; convert it to wav or flac, "
                    "or leave it out",
                ) from error
        if answer == ERROR:
            raise AudioError(path, content.decode("utf-8", "surrogateescape"))
        return answer, content

    def _forget(self, child: ChildProcess, number: int) -> None:
        """Close a file in the child, if the child still runs."""
        with self._lock, suppress(OSError, ValueError):
            child.send(CLOSE, json.dumps([number]).encode())


class _Remote:
    """Proxy of a decoder in the child; see :class:`soundloom.audio.decoders.base.Decoder`."""

    def __init__(
        self,
        process: AvProcess,
        child: ChildProcess,
        path: str,
        number: int,
        options: DecodeOptions,
        notices: list[Notice],
        *,
        sample_rate: int,
        channels: int,
        seconds: float | None,
        codec: str,
        frames: int | None,
        name: Literal["soundfile", "pyav"],
    ) -> None:
        self._process, self._child, self._path, self._number = process, child, path, number
        self.sample_rate, self.channels, self.seconds, self.codec = sample_rate, channels, seconds, codec
        self.frames, self.name = frames, name
        self.mixer, self._notices = ChannelMixer(path, channels, options), notices

    def blocks(self, first: int, last: int | None) -> Iterator[Float32[np.ndarray, " frames"]]:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoders.base.Decoder.blocks`."""
        while True:
            kind, content = self._process._ask(self._child, self._path, NEXT, self._number, first, last)
            if kind == END:
                self._notices += [Notice(*notice) for notice in json.loads(content)]
                return
            energies = self.mixer.energies
            energies += np.frombuffer(content, np.float64, len(energies))
            yield np.frombuffer(content, np.float32, offset=energies.nbytes)

    def close(self) -> None:
        """Close the file."""
        self._process._forget(self._child, self._number)
