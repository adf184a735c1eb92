"""Showing a file in the desktop's file manager."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from soundloom.server.http.errors import ApiError

__all__ = ["reveal"]


def reveal(path: str) -> None:
    """Open the folder of a file, with the file selected where the system can do that.

    Raises:
        ApiError: the file is gone, or there is no desktop.
    """
    if not os.path.exists(path):
        raise ApiError(404, "gone", f"{path!r} is not there any more: bring the library up to date")
    # Never through a shell, and every path is absolute: no name is taken for a command or an option.
    if sys.platform == "win32":
        command = ["explorer", f"/select,{path}"]
    elif sys.platform == "darwin":
        command = ["open", "-R", path]
    else:
        command = ["xdg-open", os.path.dirname(path)]
    if shutil.which(command[0]) is None:
        raise ApiError(501, "no_desktop", f"there is no {command[0]!r} on this machine to open folders with")
    subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
