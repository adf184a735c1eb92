"""Parent's side of a process that embeds the files of shards: start, send files, take results, say on what it died."""

from __future__ import annotations

import pickle
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from soundloom.errors import ModelError, ModelMismatchError, ResourceError
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.plans.fragment import FileResult
from soundloom.plans.shard_process import BEGUN, DONE, READY, RESULT, SHARD, ModelSource
from soundloom.workers import ChildLostError, ChildProcess

__all__ = ["Death", "EmbeddingProcess"]

_ATTEMPTS = 3
"""Processes in a row that may end before they begin a file; one that is short of memory does."""


@dataclass(frozen=True)
class Death:
    """The end of a process that had not done its files.

    Attributes:
        file: the one that it worked on; None if it had begun none.
        cause: how it ended, such as ``SIGSEGV`` or ``code 1``.
    """

    file: str | None
    cause: str


class EmbeddingProcess:
    """A process that embeds, started when it is needed, and again after it died. Used by one thread.

    Args:
        source: the model.
        target: ``module:function`` that it runs.
    """

    def __init__(self, source: ModelSource, target: str) -> None:
        self._source = source
        self._target = target
        self._child: ChildProcess | None = None
        self._in_vain = 0

    def embed(self, files: Sequence[FileOnDisk], take: Callable[[FileResult], None]) -> Death | None:
        """Embed files; None if all are done, else how the process ended.

        Args:
            files: the files, done in their order.
            take: called with the result of each.

        Raises:
            ModelError, ModelMismatchError: the model cannot be loaded, or is another one than the plan's.
            ResourceError: processes end before they begin a file.
        """
        at_work: str | None = None
        try:
            child = self._started()
            child.send(SHARD, pickle.dumps(list(files)))
            while True:
                kind, content = child.receive()
                if kind == DONE:
                    return None
                if kind == BEGUN:
                    at_work, self._in_vain = pickle.loads(content), 0
                elif kind == RESULT:
                    result: FileResult = pickle.loads(content)
                    at_work = None if result.path == at_work else at_work
                    take(result)
        except (ChildLostError, OSError, ValueError, pickle.UnpicklingError):
            return self._death(at_work)

    def stop(self) -> None:
        """End the process at once; `embed` in another thread returns."""
        if self._child is not None:
            with suppress(ProcessLookupError):
                self._child.process.kill()

    def close(self) -> None:
        """End the process."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def _started(self) -> ChildProcess:
        if self._child is None:
            # Ctrl-C of the terminal reaches the parent alone, which gives its leases back and ends its children.
            self._child = ChildProcess(self._target, own_session=True, keep_errors=False)
            self._child.send(b"m", pickle.dumps(self._source))
            kind, content = self._child.receive()
            if kind != READY:
                name, message = pickle.loads(content)
                raise (ModelMismatchError if name == ModelMismatchError.__name__ else ModelError)(message)
        return self._child

    def _death(self, at_work: str | None) -> Death:
        child, self._child = self._child, None
        cause = "code 1"
        if child is not None:
            child.stop(1.0)
            code = child.process.returncode
            cause = signal.Signals(-code).name if code < 0 else f"code {code}"
        self._in_vain += at_work is None
        if self._in_vain >= _ATTEMPTS:
            raise ResourceError(
                f"{self._in_vain} processes in a row ended ({cause}) before they began a file; too little memory for "
                "so many at a time? Use fewer --workers"
            )
        return Death(at_work, cause)
