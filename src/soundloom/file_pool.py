"""Work on several files at a time, with results that do not depend on how many.

A file is the unit of work and is processed from its first byte to its last vector by one worker, alone
and on one thread of computation. So neither the number of workers nor the order in which they finish
can change a bit of the result. Decoding, resampling and torch all release the interpreter's lock, so
the workers are threads; codecs that do not are run in a child process (`soundloom.audio.AvProcess`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from threading import Event, local
from typing import Generic, TypeVar

from soundloom.audio import AvProcess
from soundloom.errors import AudioError, SoundloomError
from soundloom.one_thread import one_thread
from soundloom.system_errors import reason_of

__all__ = ["Failed", "process"]

_log = logging.getLogger(__name__)

_IN_FLIGHT = 32
"""Items begun, or finished and waiting for an earlier one, for each worker."""

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


@dataclass(frozen=True)
class Failed(Generic[Item]):
    """An item on which the work failed, and why."""

    item: Item
    reason: str


def process(
    items: Iterable[Item], work: Callable[[Item, AvProcess], Outcome], *, workers: int
) -> Generator[Outcome | Failed[Item]]:
    """Do the work on several items at a time, yielding outcomes in the items' order.

    An item that cannot be read, or on which the work fails, gives `Failed` in its place. Few items are in
    flight, so memory does not grow with their number. When nobody takes the outcomes any more, as after Ctrl-C, the
    files in work are left at their next block.

    Args:
        items: what to work on.
        work: what to do with an item, given a child process for codecs that need one.
        workers: how many items at a time.
    """
    mine = local()
    every: list[AvProcess] = []
    closing = Event()

    def attempt(item: Item) -> Outcome | Failed[Item]:
        if not hasattr(mine, "av"):
            mine.av = AvProcess()
            every.append(mine.av)
            if closing.is_set():
                mine.av.stop()
        try:
            return work(item, mine.av)
        except AudioError as error:
            return Failed(item, error.reason)
        except SoundloomError as error:
            return Failed(item, str(error))
        except OSError as error:
            return Failed(item, reason_of(error))
        except Exception as error:
            # A defect of ours or of a codec's must cost one file, not the night's work.
            _log.exception("while working on %r", item)
            return Failed(item, f"unexpected {type(error).__name__}: {error}")

    executor = ThreadPoolExecutor(workers, thread_name_prefix="soundloom")
    remaining = iter(items)
    pending: deque[Future[Outcome | Failed[Item]]] = deque()
    # Held from outside, so that no worker finds the number of threads changed under it.
    with one_thread:
        try:
            pending.extend(executor.submit(attempt, item) for item in islice(remaining, _IN_FLIGHT * workers))
            while pending:
                yield pending.popleft().result()
                pending.extend(executor.submit(attempt, item) for item in islice(remaining, 1))
        finally:
            # Items that are in work end soon where nobody waits for them any more.
            closing.set()
            for av in every:
                av.stop()
            executor.shutdown(wait=True, cancel_futures=True)
