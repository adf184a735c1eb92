"""Entry point of child processes: ``python -m soundloom.workers.child MODULE:FUNCTION [MEMORY]``.

The function is called with a `Channel` and serves requests until it returns or the parent closes the pipe. A thread
waits for that at all times, so the child ends with its parent even while a codec is busy or stuck.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from importlib import import_module
from queue import SimpleQueue
from typing import BinaryIO

from soundloom.workers.messages import read_message, write_message

__all__ = ["Channel", "main"]


class Channel:
    """The child's side of the two pipes."""

    def __init__(self, requests: BinaryIO, answers: BinaryIO) -> None:
        self._requests = requests
        self._answers = answers
        self._received: SimpleQueue[tuple[bytes, bytearray]] = SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def receive(self) -> tuple[bytes, bytearray]:
        """Wait for the next request: its kind and content."""
        return self._received.get()

    def send(self, kind: bytes, *content: bytes | memoryview) -> None:
        """Answer."""
        write_message(self._answers, kind, *content)

    def _listen(self) -> None:
        try:
            while True:
                self._received.put(read_message(self._requests))
        except (EOFError, OSError):
            os._exit(0)


def main() -> None:
    """Serve the function that the command line names."""
    # Ctrl-C reaches every process of the terminal; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if len(sys.argv) > 2:
        _limit_memory(int(sys.argv[2]))
    # Both pipes belong to the channel alone: what libraries print goes to standard error.
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    module, _, function = sys.argv[1].partition(":")
    try:
        getattr(import_module(module), function)(Channel(requests, answers))
    except BrokenPipeError:
        os._exit(0)
    except BaseException:
        traceback.print_exc()
        os._exit(1)


def _limit_memory(memory: int) -> None:
    """Limit the address space, where the system knows such limits."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
