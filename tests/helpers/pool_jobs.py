"""Jobs for `soundloom.workers.parallel`, in a module of their own, so that a child process finds them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soundloom.errors import SoundloomError

Report = Callable[[Any], None]


def double(number: int, *, report: Report) -> int:
    """Say the number, print what is not meant for the parent, and double it."""
    report(number)
    print("a library talks")
    return 2 * number


def fail(reason: str, *, report: Report) -> None:
    """Fail in a way that was foreseen."""
    report(reason)
    raise SoundloomError(reason)


def crash(*, report: Report) -> None:
    """Fail in a way that was not."""
    raise KeyError("nobody thought of this")


def die(*, report: Report) -> None:
    """End as the system ends processes when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(folder: str, name: str, *, report: Report) -> None:
    """Leave the process's number behind and do nothing for a long time."""
    (Path(folder) / name).write_text(str(os.getpid()))
    report(name)
    time.sleep(600)
