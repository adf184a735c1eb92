"""Atomic writing of files: whole ones under a temporary name, renamed when complete; what is appended in place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["append_durably", "replacing", "write_atomically"]


@contextmanager
def replacing(path: str | os.PathLike[str], *, shared: bool = False) -> Iterator[Path]:
    """A temporary file beside a path, which takes its place when the block ends without an error.

    Args:
        path: the file to write or replace.
        shared: whether other processes may write the file at the same time. Each then has a temporary file of its own;
            else one that a killed process left is written over.

    Raises:
        OSError: the file cannot be made or renamed.
    """
    target = Path(path)
    temporary = target.with_name(f"{target.name}.{os.getpid()}.writing" if shared else f"{target.name}.writing")
    try:
        with _usual_permissions(temporary):
            yield temporary
        temporary.replace(target)
    except BaseException:
        with suppress(OSError):  # where nothing can be written, nothing is there
            temporary.unlink()
        raise


@contextmanager
def _usual_permissions(path: Path) -> Iterator[None]:
    """Give a file that is written in the block the permissions that new files have here.

    Writers such as that of safetensors make files that nobody else may read, also where the user's mask allows it.

    Raises:
        OSError: the file cannot be made.
    """
    path.touch()
    mode = path.stat().st_mode & 0o777
    yield
    if path.exists() and path.stat().st_mode & 0o777 != mode:
        path.chmod(mode)


def write_atomically(path: str | os.PathLike[str], text: str) -> None:
    """Write a text file in UTF-8, whole or not at all, also when the machine loses power.

    Raises:
        OSError: it cannot be written; the old file is unchanged, and nothing is left beside it.
    """
    with replacing(path) as temporary, open(temporary, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())


def append_durably(path: str | os.PathLike[str], content: bytes, *, after: int) -> None:
    """Append to a file, all of it or nothing, also when the machine loses power.

    Args:
        path: the file, which is made if it is not there.
        content: what is appended.
        after: bytes of the file that are whole; what follows, as a process leaves that was killed, is cut off.

    Raises:
        OSError: it cannot be written; the file holds what was whole.
    """
    with open(path, "ab", buffering=0) as file:
        file.truncate(after)
        try:
            rest = memoryview(content)
            while rest:  # a disk that is nearly full takes a part, and refuses the next
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        except OSError:
            file.truncate(after)
            raise
