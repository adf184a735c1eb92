"""Checks of path arguments: no addresses where a path is expected, and inputs that exist."""

from __future__ import annotations

import os
import re
from pathlib import Path

from soundloom.errors import QueryError

__all__ = ["local_path"]

# One slash is enough: Path("s3://bucket") has lost the other.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+")


def local_path(path: str | os.PathLike[str], *, must_exist: bool = False) -> Path:
    """A path of this machine, with ``~`` expanded.

    Args:
        path: as it was given.
        must_exist: whether it is an input.

    Raises:
        QueryError: it is an address such as ``s3://bucket/lib.loom``, or it does not exist.
    """
    text = os.fspath(path)
    address = _ADDRESS.match(text)
    if address is not None and not os.path.exists(text):
        scheme = address.group(1)
        hint = "give the path itself" if scheme.lower() == "file" else "copy or mount it on this machine first"
        raise QueryError(f"{text!r} is an address, and only paths of this machine are understood: {hint}")
    try:
        found = Path(text).expanduser()
        if must_exist:
            os.stat(found)
    except FileNotFoundError:
        raise QueryError(f"there is no file or folder {text!r}: check the path") from None
    except RuntimeError:
        raise QueryError(f"{text!r} names the home folder of a user that does not exist: check the path") from None
    except ValueError as error:
        raise QueryError(f"{text!r} cannot be a path: {error}") from None
    return found
