"""Single-threaded computation, for results that are equal to the bit.

The number of threads decides how sums are split and so how they round; one thread rounds one way.
"""

from __future__ import annotations

import sys
import threading
from typing import Any

__all__ = ["one_thread"]


class _OneThread:
    """While anyone is inside, torch computes on one thread in every thread that enters.

    The setting is partly the process's and partly the thread's, so only the last one out puts it back. Where torch is
    not imported there is nothing to set.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: int | None = None

    def __enter__(self) -> None:
        torch: Any = sys.modules.get("torch")
        with self._lock:
            self._inside += 1
            if torch is None:
                return
            threads = torch.get_num_threads()
            if self._before is None:
                self._before = threads
            if threads != 1:
                torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before is not None:
                before, self._before = self._before, None
                if before != 1:
                    sys.modules["torch"].set_num_threads(before)


one_thread = _OneThread()
"""Enter it around many `EmbeddingModel.embed_samples` calls, so that the setting is not changed for each."""
