"""Background prefetching of batches with a thread pool, and their sharding over processes.

A batch is a function of its step (`soundloom.objectives.base.BatchSampler`), so it does not matter which thread draws
it, when, or what was drawn before: the loader has no state to save.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from soundloom.objectives.base import Batch, BatchSampler

__all__ = ["prefetch", "shard"]

_THREADS = 2


@contextmanager
def prefetch(
    sampler: BatchSampler, steps: range, *, rank: int = 0, world: int = 1, pinned: bool = False
) -> Generator[Generator[Batch]]:
    """One process's shares of the batches of these steps, in order.

    Args:
        sampler: step -> batch; one with a method ``share(step, rank, world)`` makes no more of it than that.
        steps: which.
        rank: of the process.
        world: how many processes there are.
        pinned: put them in page-locked memory, from which a GPU copies by itself.
    """
    draw = getattr(sampler, "share", lambda step, *process: shard(sampler(step), *process))

    def load(step: int) -> Batch:
        # Copied: numpy's arrays have any alignment, and matrix products round by alignment.
        return {
            name: tensor.pin_memory() if pinned else tensor.clone() for name, tensor in draw(step, rank, world).items()
        }

    with ThreadPoolExecutor(_THREADS, thread_name_prefix="prefetch") as pool:
        waiting: deque[Future[Batch]] = deque()

        def batches() -> Generator[Batch]:
            for step in steps:
                while len(waiting) < _THREADS and step + len(waiting) < steps.stop:
                    waiting.append(pool.submit(load, step + len(waiting)))
                yield waiting.popleft().result()

        try:
            yield batches()
        finally:
            for future in waiting:
                future.cancel()


def shard(batch: Batch, rank: int, world: int) -> Batch:
    """The examples of one of several processes, each of which has as many."""
    if world == 1:
        return batch
    return {name: tensor.chunk(world)[rank] for name, tensor in batch.items()}
