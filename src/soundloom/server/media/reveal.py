"""Opener of a file's folder in the desktop's file manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import suppress

from soundloom.file_names import os_path
from soundloom.remote import is_address
from soundloom.server.http.error_responses import ApiError

__all__ = ["can_reveal", "reveal"]

_PATIENCE = 5.0
"""Seconds after which an opener that still runs counts as successful: some stay until the window is closed."""


def can_reveal() -> bool:
    """Whether this machine has a desktop and a program that opens folders."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")) and shutil.which("xdg-open") is not None


def reveal(path: str) -> None:
    """Open the folder of a file, with the file selected where the system can do that.

    Raises:
        ApiError: the file is gone, there is no desktop, or the folder could not be opened.
    """
    if is_address(path):
        raise ApiError(501, "no_folder", f"{path!r} is an address: there is no folder of this machine to open")
    path = os_path(path)
    if not os.path.exists(path):
        raise ApiError(
            404, "gone", f"{path!r} is not there now: connect its drive, or bring the library up to date if it is gone"
        )
    if not can_reveal():
        raise ApiError(501, "no_desktop", "the server's machine has no desktop to open folders on")
    # Never through a shell, and every path is absolute: no name is taken for a command or an option.
    if sys.platform == "win32":
        command = ["explorer", f"/select,{path}"]
    elif sys.platform == "darwin":
        command = ["open", "-R", path]
    else:
        command = ["xdg-open", os.path.dirname(path)]
    try:
        opener = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    except OSError as error:
        raise ApiError(501, "no_desktop", f"{command[0]!r} cannot be started ({error.strerror})") from None
    with suppress(subprocess.TimeoutExpired):
        # Explorer's exit status is 1 also when it has opened the folder.
        if opener.wait(_PATIENCE) and sys.platform != "win32":
            raise ApiError(501, "not_opened", f"{command[0]!r} could not open the folder of {path!r}")
