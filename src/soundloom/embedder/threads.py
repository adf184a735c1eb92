"""Single-threaded computation, for results that are equal to the bit.

The number of threads decides how sums are split and so how they round; one thread rounds one way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

__all__ = ["alone", "one_thread"]


class _OneThread:
    """While anyone is inside, torch computes on one thread in every thread that enters.

    The number of threads decides how sums are split and so how they round; one thread rounds one way.
    The setting is partly the process's and partly the thread's, so only the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads()
            self._inside += 1
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before != 1:
                torch.set_num_threads(self._before)


one_thread = _OneThread()
"""Enter it around many `Embedder.embed_samples` calls, so that the setting is not changed for each."""


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """Evaluate on one thread, without gradients or dropout, and put everything back."""
    training = model.training
    if training:
        model.eval()
    try:
        with one_thread, torch.inference_mode():
            yield
    finally:
        if training:
            model.train()
