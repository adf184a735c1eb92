"""Jobs for `soundloom.recipes.process_pool`, in a module of their own, so that a child process finds them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soundloom.errors import SoundloomError

Tell = Callable[[Any], None]


def double(number: int, *, tell: Tell) -> int:
    """Say the number, print what is not meant for the parent, and double it."""
    tell(number)
    print("a library talks")
    return 2 * number


def fail(reason: str, *, tell: Tell) -> None:
    """Fail in a way that was foreseen."""
    tell(reason)
    raise SoundloomError(reason)


def crash(*, tell: Tell) -> None:
    """Fail in a way that was not."""
    raise KeyError("nobody thought of this")


def die(*, tell: Tell) -> None:
    """End as the system ends processes when memory is short."""
    os.kill(os.getpid(), signal.SIGKILL)


def sleep(folder: str, name: str, *, tell: Tell) -> None:
    """Leave the process's number behind and do nothing for a long time."""
    (Path(folder) / name).write_text(str(os.getpid()))
    tell(name)
    time.sleep(600)
