"""Errors of the operating system, of memory and of the store's engine, as one line with the file and the remedy.

Python, Arrow, LanceDB, FAISS and torch report a full disk in five ways: an `OSError` with a number, an `OSError` with
the number in its text, a `RuntimeError`, a `ValueError`, and a Rust panic that is no `Exception` at all. `translated`
recognises all of them; `one_line_errors` is the same as a context.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from soundloom.errors import LibraryDamagedError, MissingExtraError, ResourceError, SoundloomError

__all__ = [
    "error_number",
    "first_line",
    "is_out_of_memory",
    "is_unwritable",
    "one_line_errors",
    "reason_of",
    "translated",
]

_REMEDIES_BY_NAME = {
    "ENOSPC": "the disk is full: make room, or choose a folder on another disk",
    "EDQUOT": "the disk quota is used up: make room, or choose a folder on another disk",
    "EROFS": "the file system is read-only: choose a folder that can be written",
    "EACCES": "permission denied: change the permissions, or choose another folder",
    "EPERM": "operation not permitted: change the permissions, or choose another folder",
    "EIO": "the disk cannot read or write it: check the disk and its cable, and restore the file from a backup",
    "EMFILE": "too many files are open in this process: raise the limit, such as: ulimit -n 4096",
    "ENFILE": "too many files are open on this machine: close some programs",
    "ENOMEM": "there is not enough memory: use fewer --workers, where there are some, or close other programs",
    "ENOENT": "no such file or folder",
    "EEXIST": "it exists already: choose another name",
    "ENOTDIR": "part of the path is a file, not a folder: check the path",
    "EISDIR": "it is a folder: name a file",
    "ENAMETOOLONG": "the name is too long for this file system: choose a shorter one",
    "ELOOP": "symbolic links lead in a circle: check the path",
    "EFBIG": "the file would be larger than this file system or limit allows: choose another disk",
    "ESTALE": "the network file system has lost it: mount it again",
    "ENOTEMPTY": "the folder is not empty: choose another name",
    "EBUSY": "it is in use: close the program that uses it",
    "ETXTBSY": "it is in use: close the program that uses it",
    "ENODEV": "the device is gone: connect it again",
    "ENXIO": "the device is gone: connect it again",
}
_REMEDIES = {getattr(errno, name): text for name, text in _REMEDIES_BY_NAME.items() if hasattr(errno, name)}
"""Error number -> remedy, for the numbers that this platform has."""

_UNWRITABLE = {getattr(errno, name, None) for name in ("EROFS", "EACCES", "EPERM", "ENOSPC", "EDQUOT")} - {None}

_ERROR_NUMBER = re.compile(r"(?:os error|errno:?|\[errno) (\d+)", re.IGNORECASE)
_NO_MEMORY = ("can't allocate memory", "not enough memory", "out of memory", "bad_alloc", "cannot allocate memory")
_ENGINE = ("lance", "pyarrow", "arrow", "object_store", "datafusion")
_PANIC = re.compile(r"\btask \d+ panicked\b|\bpanicked at\b")
_SHOWN = 300


def is_unwritable(error: BaseException) -> bool:
    """Whether an error says that a place cannot be written: read-only, no permission, no space."""
    return error_number(error) in _UNWRITABLE


def error_number(error: BaseException) -> int | None:
    """The number of a system error, also where only the text has it."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno
    found = _ERROR_NUMBER.search(str(error))
    if found:
        return int(found.group(1))
    return errno.ENOSPC if "no space left on device" in str(error).lower() else None


def reason_of(error: OSError) -> str:
    """What an error of the system means and what to do about it, without the file."""
    number = error_number(error)
    return first_line(error) if number is None else _REMEDIES.get(number, os.strerror(number).lower())


def translated(
    error: BaseException, path: str | os.PathLike[str] | None = None, *, from_engine: bool = False
) -> SoundloomError | None:
    """An error as soundloom reports it; None if it is none of the system's, memory's or the store's.

    Args:
        error: what was raised.
        path: the file or folder that was worked on, where the error itself does not name one.
        from_engine: whether it was LanceDB or Arrow that read a file; their errors do not always say so.
    """
    if isinstance(error, SoundloomError):
        return error
    missing = MissingExtraError.of_torch(error)
    if missing is not None:
        return missing
    named = _named(error, path)
    if is_out_of_memory(error):
        return ResourceError(f"{named}{_REMEDIES_BY_NAME['ENOMEM']}")
    number = error_number(error)
    from_engine = _is_from_engine(error) or (from_engine and isinstance(error, RuntimeError | ValueError | OSError))
    if number is not None and (isinstance(error, OSError) or from_engine or number == errno.ENOSPC):
        return ResourceError(f"{named}{_REMEDIES.get(number, os.strerror(number).lower())}")
    if from_engine:
        return LibraryDamagedError(
            f"{named}the store cannot be read or written ({first_line(error)}): "
            "find the damage with soundloom verify, and restore it from a backup"
        )
    if isinstance(error, OSError):
        return ResourceError(f"{named}{first_line(error)}")
    return None


@contextmanager
def one_line_errors(path: str | os.PathLike[str], *, from_engine: bool = False) -> Iterator[None]:
    """Raise errors of the system, of memory and of the store's engine as `SoundloomError` that name a file or folder.

    Args:
        path: named where the error itself names none.
        from_engine: whether only LanceDB and Arrow are called.

    Raises:
        ResourceError: no space, no permission, a read-only or failing disk, no memory, too many open files.
        LibraryDamagedError: the store's engine cannot make sense of its files.
    """
    try:
        yield
    except (KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        known = translated(error, path, from_engine=from_engine)
        if known is None or known is error:
            raise
        raise known from error


def first_line(error: BaseException) -> str:
    """The beginning of an error's text, or its class where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:_SHOWN] if lines else type(error).__name__


def _named(error: BaseException, path: str | os.PathLike[str] | None) -> str:
    names = [getattr(error, "filename", None), path]
    for name in names:
        if isinstance(name, str | bytes | os.PathLike) and name:
            return f"{os.fsdecode(name)!r}: "
    return ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, of this machine or of a graphics processor."""
    if isinstance(error, MemoryError):
        return True
    if not isinstance(error, RuntimeError | OSError):
        return False
    if isinstance(error, OSError) and error.errno not in (None, errno.ENOMEM):
        return False
    text = str(error).lower()
    return type(error).__name__ == "OutOfMemoryError" or any(sign in text for sign in _NO_MEMORY)


def _is_from_engine(error: BaseException) -> bool:
    """Whether LanceDB or Arrow raised it; a panic of theirs is a `BaseException` of the name PanicException."""
    kind = type(error)
    if kind.__name__ == "PanicException" or kind.__module__.split(".")[0] in ("pyarrow", "lancedb", "lance"):
        return True
    text = str(error).lower()
    named = any(text.startswith(sign) or f"{sign} error" in text or f"{sign}error" in text for sign in _ENGINE)
    return isinstance(error, RuntimeError | ValueError | OSError) and (named or bool(_PANIC.search(text)))
