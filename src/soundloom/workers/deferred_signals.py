"""Ctrl-C and SIGTERM that wait for a moment at which work can be kept."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["DeferredSignals", "deferred_signals"]

_log = logging.getLogger(__name__)


class DeferredSignals:
    """A signal that has come, if one has, and waits."""

    def __init__(self) -> None:
        self._number: int | None = None

    @property
    def waits(self) -> bool:
        """Whether there is one."""
        return self._number is not None

    def deliver(self) -> None:
        """Do now what the signal would have done at once; nothing if none has come."""
        if self._number is not None:
            signal.raise_signal(self._number)


@contextmanager
def deferred_signals(*, active: bool = True) -> Iterator[DeferredSignals]:
    """Have the first Ctrl-C or SIGTERM wait until it is delivered; a second one does not wait.

    Args:
        active: none waits without, nor in another thread than the main one, which gets no signals, nor one that is
            ignored.
    """
    signals = DeferredSignals()
    if not active or threading.current_thread() is not threading.main_thread():
        yield signals
        return
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handlers = {number: own for number, own in handlers.items() if own not in (None, signal.SIG_IGN)}

    def restore() -> None:
        for number, own in handlers.items():
            signal.signal(number, own)

    def wait(number: int, _frame: FrameType | None) -> None:
        signals._number = number
        restore()
        _log.warning("it stops when what it is doing can be kept; press Ctrl-C again to stop at once")

    for number in handlers:
        signal.signal(number, wait)
    try:
        yield signals
    finally:
        restore()
