"""Checks of path arguments: no addresses where a path is expected, inputs that exist, outputs among their own kind."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from soundloom.errors import InvalidArgumentError, QueryError

__all__ = ["check_output_folder", "local_path"]

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


def check_output_folder(folder: Path, is_ours: Callable[[Path], bool], kind: str, instead: str) -> None:
    """Refuse to write many files into a folder that holds others: a mistyped name may be that of any folder.

    Args:
        folder: the folder, which need not exist.
        is_ours: whether a file has a name of those that are written.
        kind: what these are called.
        instead: the name of a single file that holds the same.

    Raises:
        InvalidArgumentError: there is another file; hidden ones do not count.
    """
    for path in folder.rglob("*") if folder.is_dir() else ():
        if path.name[0] != "." and not path.is_dir() and not is_ours(path):
            raise InvalidArgumentError(
                f"the folder {str(folder)!r} holds other files than {kind}, such as {str(path.relative_to(folder))!r}: "
                f"name a new or empty folder, or a file such as {str(folder / instead)!r}"
            )
