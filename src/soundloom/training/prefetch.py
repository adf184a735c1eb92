"""Background prefetching of batches with a thread pool, and their sharding over processes.

A batch is a function of its step (`soundloom.objectives.base.BatchSampler`), so it does not matter which thread draws
it, when, or what was drawn before: the loader has no state to save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from soundloom.objectives.base import Batch, BatchSampler

__all__ = ["prefetch", "shard"]

_THREADS = 2


@contextmanager
def prefetch(draw: BatchSampler, steps: range, *, pinned: bool = False) -> Generator[Generator[Batch]]:
    """The batches of these steps, in order.

    Args:
        draw: step -> batch.
        steps: which.
        pinned: put them where a GPU can fetch them by itself.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="draw") as pool:
        waiting: deque[Future[Batch]] = deque()

        def batches() -> Generator[Batch]:
            for step in steps:
                while len(waiting) < _THREADS and step + len(waiting) < steps.stop:
                    waiting.append(pool.submit(_settled, draw, step + len(waiting), pinned=pinned))
                yield waiting.popleft().result()

        try:
            yield batches()
        finally:
            for future in waiting:
                future.cancel()


def _settled(draw: BatchSampler, step: int, *, pinned: bool) -> Batch:
    # A copy: arrays of numpy lie anyhow aligned, and matrix products round by alignment.
    place = partial(lambda tensor: tensor.pin_memory()) if pinned else partial(lambda tensor: tensor.clone())
    return {name: place(tensor) for name, tensor in draw(step).items()}


def shard(batch: Batch, rank: int, world: int) -> Batch:
    """The examples of one of several processes, each of which has as many."""
    if world == 1:
        return batch
    return {name: tensor.chunk(world)[rank] for name, tensor in batch.items()}
