"""Single-threaded computation, for results that are equal to the bit.

The number of threads decides how sums are split and so how they round; one thread rounds one way.
"""

from __future__ import annotations

import sys
import threading
from abc import ABC, abstractmethod
from functools import cached_property
from typing import Any

__all__ = ["one_blas_thread", "one_thread"]


class _OneThread(ABC):
    """While anyone is inside, a library computes on one thread in every thread that enters.

    The setting is partly the process's and partly the thread's, so only the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: int | None = None

    @abstractmethod
    def _threads(self) -> int:
        """How many the library takes; 1 where it is not loaded."""

    @abstractmethod
    def _take(self, threads: int) -> None:
        """Let it take so many."""

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if (threads := self._threads()) != 1:
                self._before = self._before or threads
                self._take(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before is not None:
                self._take(self._before)
                self._before = None


class _OneTorchThread(_OneThread):
    """PyTorch, where it is imported."""

    def _threads(self) -> int:
        torch: Any = sys.modules.get("torch")
        return 1 if torch is None else int(torch.get_num_threads())

    def _take(self, threads: int) -> None:
        sys.modules["torch"].set_num_threads(threads)


class _OneBlasThread(_OneThread):
    """The linear algebra of NumPy."""

    @cached_property
    def _libraries(self) -> list[Any]:
        import numpy as np  # noqa: F401 (loads the libraries that are looked for)
        from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

        return list(ThreadpoolController().select(user_api="blas").lib_controllers)

    def _threads(self) -> int:
        return max((library.num_threads for library in self._libraries), default=1)

    def _take(self, threads: int) -> None:
        for library in self._libraries:
            library.set_num_threads(threads)


one_thread = _OneTorchThread()
"""Enter it around many `EmbeddingModel.embed_samples` calls, so that the setting is not changed for each."""

one_blas_thread = _OneBlasThread()
"""Enter it around products and decompositions of matrices in NumPy whose bits are promised."""
