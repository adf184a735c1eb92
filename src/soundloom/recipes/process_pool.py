"""Trainings side by side, each in a process of its own.

A process each, because a training holds the interpreter's lock between its operators, and because what makes it
repeatable, torch's generators and its number of threads, is the process's. What a job gives does not depend on how
many others run: it is given the same arguments, and has to fix its threads itself (`TrainingSettings.threads`).

A job that fails costs itself; the others go on, and what failed is told in the end. When this process stops, for
whatever reason, its children stop: they are ended, and if nobody is left to end them, they see that the pipe on
which they were given their job has closed.

When not: several devices for one training, which Lightning starts processes of its own for.
"""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import IO, Any, cast

from soundloom.errors import InvalidArgumentError, SoundloomError
from soundloom.training import TrainingError

__all__ = ["Job", "Tell", "run_parallel"]

Tell = Callable[[Any], None]
"""Takes what a job says on the way; plain objects that can be pickled."""

_PATIENCE = 5.0
"""Seconds that a child is given to end by itself."""

# What a child says: something on the way, its result, or why there is none.
_TOLD, _DONE, _FAILED = "told", "done", "failed"


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training.

    Attributes:
        name: whose, in messages.
        work: a function of a module, called with the arguments and, as ``tell``, what takes its progress.
        arguments: can be pickled.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


def run_parallel(jobs: Sequence[Job], count: int, tell: Tell) -> list[Any]:
    """Do some jobs, so many at a time, and give their results in the order of the jobs.

    Args:
        jobs: what to do, begun in this order.
        count: how many at a time; 1 does them in this process.
        tell: told what the jobs tell, in this thread.

    Raises:
        TrainingError: a job failed; said when all others are done.
        InvalidArgumentError: fewer than one at a time.
    """
    if count < 1:
        raise InvalidArgumentError(f"{count} jobs at a time: there must be 1 or more")
    found, failed = _here(jobs, tell) if count == 1 else _beside(jobs, count, tell)
    if failed:
        raise TrainingError(_reasons(failed, len(jobs)))
    return [found[job.name] for job in jobs]


def _here(jobs: Sequence[Job], tell: Tell) -> tuple[dict[str, Any], dict[str, str]]:
    found, failed = {}, {}
    for job in jobs:
        try:
            found[job.name] = job.work(*job.arguments, tell=tell)
        except SoundloomError as error:
            failed[job.name] = str(error)
    return found, failed


def _beside(jobs: Sequence[Job], count: int, tell: Tell) -> tuple[dict[str, Any], dict[str, str]]:
    said: SimpleQueue[tuple[str, str, Any]] = SimpleQueue()
    waiting, running = deque(jobs), dict[str, _Child]()
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < count:
                job = waiting.popleft()
                running[job.name] = _Child(job, said)
            name, kind, content = said.get()
            if kind == _TOLD:
                tell(content)
                continue
            (found if kind == _DONE else failed)[name] = content
            running.pop(name).end()
    finally:
        # All are told to stop before any is waited for.
        for child in running.values():
            child.process.terminate()
        for child in running.values():
            child.end()
    return found, failed


class _Child:
    """A process that does a job, and a thread that hears what it says.

    Args:
        job: what it does.
        said: where to put the job's name, what kind of thing was said, and what.
    """

    def __init__(self, job: Job, said: SimpleQueue[tuple[str, str, Any]]) -> None:
        # Modules are found where this process found them, and nowhere else (-P). A session of its own, so that
        # Ctrl-C reaches this process alone, which then ends it.
        path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "soundloom.recipes.process_pool"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        self.name, self.said = job.name, said
        with suppress(OSError):
            # A child that is dead already is found out by the thread.
            pickle.dump((job.work, job.arguments), _piped(self.process.stdin))
            _piped(self.process.stdin).flush()
        threading.Thread(target=self._listen, daemon=True, name=f"beside {job.name}").start()

    def end(self) -> None:
        """Wait for the process, which has nothing left to do or was told to stop; not for ever."""
        with suppress(OSError):
            _piped(self.process.stdin).close()
        try:
            self.process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _listen(self) -> None:
        with _piped(self.process.stdout) as pipe:
            try:
                while True:
                    kind, content = pickle.load(pipe)
                    self.said.put((self.name, kind, content))
                    if kind != _TOLD:
                        return
            except (EOFError, pickle.UnpicklingError, OSError):
                code = self.process.wait()
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        self.said.put((self.name, _FAILED, f"its process was ended {how}; too little memory for so many at a time?"))


def _reasons(failed: dict[str, str], count: int) -> str:
    """Why jobs failed: each reason once, with the names of those that failed by it."""
    names: dict[str, list[str]] = {}
    for name, reason in failed.items():
        names.setdefault(reason, []).append(name)
    if len(names) == 1 and len(failed) == count:
        return next(iter(names))
    told = "; ".join(f"{', '.join(those)}: {reason}" for reason, those in names.items())
    kept = " (the others are done and kept: the same command goes on)" if len(failed) < count else ""
    return told + kept


def _piped(pipe: IO[bytes] | None) -> IO[bytes]:
    """A pipe that was asked for at the start, so that it is there."""
    return cast(IO[bytes], pipe)


def _serve() -> None:
    """The child: take a job from standard input, do it, and say what comes of it on standard output."""
    given = sys.stdin.buffer
    # What libraries print is not part of the conversation.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    work, arguments = pickle.load(given)
    threading.Thread(target=_leave_with, args=(given,), daemon=True).start()

    def say(kind: str, content: Any) -> None:
        pickle.dump((kind, content), answers)
        answers.flush()

    try:
        said = _DONE, work(*arguments, tell=lambda content: say(_TOLD, content))
    except SoundloomError as error:
        said = _FAILED, str(error)
    except Exception as error:
        traceback.print_exc()
        said = _FAILED, f"unexpected {type(error).__name__}: {error}"
    say(*said)


def _leave_with(pipe: IO[bytes]) -> None:
    """Wait until the pipe is closed, and end: whoever gave the job is no more."""
    pipe.read()
    os._exit(1)


if __name__ == "__main__":
    _serve()
