"""Parallel trainings, each in a child process: their results, progress and failures.

A process each, because a training holds the interpreter's lock between its operators, and because what makes it
repeatable, torch's generators and its number of threads, belongs to the process. The result of a job does not depend on
how many others run: it gets the same arguments, and has to fix its threads itself (`TrainingSettings.threads`).

A job that fails does not stop the others; failures are reported in the end. When this process stops, for whatever
reason, its children stop (:mod:`soundloom.workers`). Messages are pickled: both sides run this program's own code.

When not: several devices for one training, which Lightning starts processes of its own for.
"""

from __future__ import annotations

import pickle
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from soundloom.errors import InvalidArgumentError, SoundloomError, TrainingError
from soundloom.workers import ChildLostError, ChildProcess
from soundloom.workers.child import Channel

__all__ = ["ParallelJob", "Report", "run_parallel"]

Report = Callable[[Any], None]
"""Takes what a job says on the way; plain objects that can be pickled."""

_PATIENCE = 5.0
"""Seconds that a child is given to end by itself."""

# Messages of a child: progress, its result, or why there is none.
_PROGRESS, _DONE, _FAILED = b"p", b"d", b"f"


@dataclass(frozen=True, kw_only=True)
class ParallelJob:
    """One training.

    Attributes:
        name: whose, in messages.
        work: a function of a module, called with the arguments and, as ``report``, what takes its progress.
        arguments: can be pickled.
    """

    name: str
    work: Callable[..., Any]
    arguments: tuple[Any, ...]


def run_parallel(jobs: Sequence[ParallelJob], count: int, report: Report) -> list[Any]:
    """Do some jobs, so many at a time, and give their results in the order of the jobs.

    Args:
        jobs: what to do, begun in this order.
        count: how many at a time; 1 does them in this process.
        report: called with what the jobs report, in this thread.

    Raises:
        TrainingError: a job failed; said when all others are done.
        InvalidArgumentError: fewer than one at a time.
    """
    if count < 1:
        raise InvalidArgumentError(f"{count} jobs at a time: there must be 1 or more")
    found, failed = _here(jobs, report) if count == 1 else _in_children(jobs, count, report)
    if failed:
        raise TrainingError(_reasons(failed, len(jobs)))
    return [found[job.name] for job in jobs]


def _here(jobs: Sequence[ParallelJob], report: Report) -> tuple[dict[str, Any], dict[str, str]]:
    found, failed = {}, {}
    for job in jobs:
        try:
            found[job.name] = job.work(*job.arguments, report=report)
        except SoundloomError as error:
            failed[job.name] = str(error)
    return found, failed


def _in_children(jobs: Sequence[ParallelJob], count: int, report: Report) -> tuple[dict[str, Any], dict[str, str]]:
    messages: SimpleQueue[tuple[str, bytes, Any]] = SimpleQueue()
    waiting, running = deque(jobs), dict[str, _Training]()
    found: dict[str, Any] = {}
    failed: dict[str, str] = {}
    try:
        while waiting or running:
            while waiting and len(running) < count:
                job = waiting.popleft()
                running[job.name] = _Training(job, messages)
            name, kind, content = messages.get()
            if kind == _PROGRESS:
                report(content)
                continue
            (found if kind == _DONE else failed)[name] = content
            running.pop(name).child.stop(_PATIENCE)
    finally:
        # All are terminated before any is waited for.
        for training in running.values():
            training.child.process.terminate()
        for training in running.values():
            training.child.stop(_PATIENCE)
    return found, failed


class _Training:
    """A child process that does a job, and a thread that passes on its messages.

    Args:
        job: what it does.
        messages: where to put the job's name, the kind of a message, and its content.
    """

    def __init__(self, job: ParallelJob, messages: SimpleQueue[tuple[str, bytes, Any]]) -> None:
        # Ctrl-C reaches this process alone, which then ends its children.
        self.child = ChildProcess("soundloom.workers.parallel:serve", own_session=True, keep_errors=False)
        self._name, self._messages = job.name, messages
        with suppress(OSError):
            # A child that is dead already is noticed by the thread.
            self.child.send(b"j", pickle.dumps((job.work, job.arguments)))
        threading.Thread(target=self._listen, daemon=True, name=f"training {job.name}").start()

    def _listen(self) -> None:
        kind = _PROGRESS
        while kind == _PROGRESS:
            try:
                kind, content = self.child.receive()
                message = pickle.loads(content)
            except (ChildLostError, pickle.UnpicklingError):
                code = self.child.process.wait()
                how = f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
                kind = _FAILED
                message = f"its process was ended {how}; too little memory for so many at a time?"
            self._messages.put((self._name, kind, message))


def _reasons(failed: dict[str, str], count: int) -> str:
    """Why jobs failed: each reason once, with the names of those that failed by it."""
    names: dict[str, list[str]] = {}
    for name, reason in failed.items():
        names.setdefault(reason, []).append(name)
    if len(names) == 1 and len(failed) == count:
        return next(iter(names))
    reasons = "; ".join(f"{', '.join(those)}: {reason}" for reason, those in names.items())
    kept = " (the others are done and kept: the same command goes on)" if len(failed) < count else ""
    return reasons + kept


def serve(channel: Channel) -> None:
    """The child: receive a job, do it, and send its progress and result."""
    work, arguments = pickle.loads(channel.receive()[1])
    try:
        kind, message = _DONE, work(*arguments, report=lambda content: channel.send(_PROGRESS, pickle.dumps(content)))
    except SoundloomError as error:
        kind, message = _FAILED, str(error)
    except Exception as error:
        traceback.print_exc()
        kind, message = _FAILED, f"unexpected {type(error).__name__}: {error}"
    channel.send(kind, pickle.dumps(message))
