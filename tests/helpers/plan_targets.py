"""Processes of a plan as threads of the test's process, which start at once, and functions that die in them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from queue import SimpleQueue
from signal import SIGKILL, SIGSEGV
from threading import Thread
from types import SimpleNamespace
from typing import Any, NoReturn, cast

import pytest

from soundloom.plans import embedding_process, shard_process
from soundloom.workers import ChildLostError
from soundloom.workers.child import Channel


class DiedError(BaseException):
    """The end of a process."""


class ThreadChild:
    """`soundloom.workers.ChildProcess` whose function runs in a thread."""

    def __init__(self, target: str, **_options: Any) -> None:
        module, _, name = target.partition(":")
        self._requests: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[bytes, bytes] | None] = SimpleQueue()
        self.process = SimpleNamespace(returncode=0, kill=self._end)
        self._thread = Thread(target=self._run, args=[getattr(import_module(module), name)], daemon=True)
        self._thread.start()

    def send(self, kind: bytes, *content: bytes) -> None:
        self._requests.put((kind, b"".join(content)))

    def receive(self) -> tuple[bytes, bytes]:
        if (answer := self._answers.get()) is None:
            raise ChildLostError(False)
        return answer

    def stop(self, patience: float = 2.0) -> None:
        self._end()
        self._thread.join(patience)

    def _end(self) -> None:
        self._requests.put(None)
        self._answers.put(None)

    def _run(self, function: Any) -> None:
        def received() -> tuple[bytes, bytes]:
            if (request := self._requests.get()) is None:
                raise EOFError
            return request

        def send(kind: bytes, *content: bytes) -> None:
            if self.process.returncode == 0:
                self._answers.put((kind, b"".join(content)))

        def die(code: int) -> NoReturn:
            self.process.returncode = self.process.returncode or code
            self._answers.put(None)
            raise DiedError

        try:
            function(SimpleNamespace(receive=received, send=send, die=die))
        except (EOFError, DiedError):
            self._answers.put(None)


@contextmanager
def threads_for_processes() -> Iterator[None]:
    """Have plans embed in threads."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(embedding_process, "ChildProcess", ThreadChild)
        yield


def die_on_files(channel: Any) -> None:
    """Die by a fault on files that are called so, and as the kernel kills for memory on others."""

    def send(kind: bytes, *content: bytes) -> None:
        channel.send(kind, *content)
        if kind == shard_process.BEGUN:
            code = {"fault.wav": SIGSEGV, "memory.wav": SIGKILL}.get(Path(pickle.loads(content[0])).name)
            if code is not None:
                channel.die(-code)

    shard_process.serve(cast(Channel, SimpleNamespace(receive=channel.receive, send=send)))


def die_at_once(channel: Any) -> None:
    """End before anything is done."""
    channel.die(3)
