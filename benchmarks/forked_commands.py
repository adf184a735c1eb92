"""Commands of soundloom in processes forked from one that has imported its packages, so that a start costs little.

The server of forks is a process of one thread that reads command lines from its input and answers with the id of the
process that runs each. The processes that a worker starts for its files are forks of the worker. All of them are
processes that can be killed at any moment, as those of `soundloom` are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from signal import SIG_DFL, SIG_IGN, SIGCHLD, SIGKILL, signal
from threading import active_count
from types import SimpleNamespace
from typing import Any, NoReturn

from soundloom.workers import ChildLostError
from soundloom.workers.child import Channel
from soundloom.workers.messages import read_message, write_message

__all__ = ["ForkServer", "ForkedChild"]


class ForkServer:
    """Starts commands of soundloom as forks; to be closed."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.forked_commands"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )

    def start(self, arguments: Sequence[str]) -> int:
        """Run a command; its process id."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(list(arguments)).encode() + b"\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        """End the server; what it started goes on."""
        self._process.kill()
        self._process.wait()


class ForkedChild:
    """`soundloom.workers.ChildProcess` whose function runs in a fork of this process.

    Args:
        target: ``module:function`` that it runs.
        options: those of `ChildProcess`, without effect.
    """

    def __init__(self, target: str, **options: Any) -> None:
        del options
        (requests, self._requests), (self._answers, answers) = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(self._requests)
            os.close(self._answers)
            _serve(target, requests, answers)
        os.close(requests)
        os.close(answers)
        self._in, self._out = os.fdopen(self._requests, "wb"), os.fdopen(self._answers, "rb")
        self.process = SimpleNamespace(pid=pid, returncode=None, kill=lambda: os.kill(pid, SIGKILL))

    def send(self, kind: bytes, *content: bytes) -> None:
        """See `ChildProcess`."""
        write_message(self._in, kind, *content)

    def receive(self) -> tuple[bytes, bytearray]:
        """See `ChildProcess`."""
        try:
            return read_message(self._out)
        except (EOFError, OSError):
            self.stop()
            raise ChildLostError(timed_out=False) from None

    def stop(self, patience: float = 2.0) -> None:
        """End it."""
        del patience
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                self.process.kill()
            self.process.returncode = os.waitstatus_to_exitcode(os.waitpid(self.process.pid, 0)[1])
            for pipe in (self._in, self._out):
                with suppress(OSError):
                    pipe.close()


def _serve(target: str, requests: int, answers: int) -> NoReturn:
    """The fork: serve a function, and end without what the parent had registered for its own end."""
    module, _, name = target.partition(":")
    code = 1
    try:
        getattr(import_module(module), name)(Channel(os.fdopen(requests, "rb"), os.fdopen(answers, "wb")))
        code = 0
    finally:
        os._exit(code)


def _run(arguments: Sequence[str]) -> NoReturn:
    """A fork of the server: run a command of soundloom, silently."""
    from soundloom.cli import main
    from soundloom.plans import embedding_process

    signal(SIGCHLD, SIG_DFL)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    embedding_process.ChildProcess = ForkedChild  # type: ignore[misc,assignment]
    code = 1
    try:
        main(list(arguments), standalone_mode=False)
        code = 0
    finally:
        os._exit(code)


def serve() -> None:
    """The server: import, then fork a process for each line of the input."""
    for name in ("torch", "soundfile", "soundloom.cli", "soundloom.cli.work", "soundloom.plans.shard_process"):
        import_module(name)
    assert active_count() == 1, "a process of several threads cannot be forked"
    signal(SIGCHLD, SIG_IGN)  # forks that have ended are collected by the system
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _run(json.loads(line))
        print(pid, flush=True)


if __name__ == "__main__":
    serve()
