"""Messages over a pipe between parent and child: a kind (1 byte), the length of the content (8 bytes), the content.

Nothing is unpickled here. Content is JSON or bare samples wherever the child reads foreign files, so that a codec
taken over by a hostile file gains nothing in the parent.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

__all__ = ["read_message", "write_message"]

_HEAD = struct.Struct("<cQ")
_LARGEST = 2**30
"""Bytes of content that are read; a child out of control could announce any number."""


def write_message(pipe: BinaryIO, kind: bytes, *content: bytes | memoryview) -> None:
    """Write a message whose content is given in pieces.

    Raises:
        OSError: nobody reads the pipe any more.
    """
    pipe.write(_HEAD.pack(kind, sum(map(len, content))))
    for piece in content:
        pipe.write(piece)
    pipe.flush()


def read_message(pipe: BinaryIO) -> tuple[bytes, bytearray]:
    """Wait for a message; its kind and content.

    Raises:
        EOFError: the pipe was closed, or what comes is not a message.
    """
    kind, length = _HEAD.unpack(_read(pipe, _HEAD.size))
    if length > _LARGEST:
        raise EOFError(f"a message of {length} bytes is not read")
    return kind, _read(pipe, length)


def _read(pipe: BinaryIO, length: int) -> bytearray:
    content = bytearray(length)
    if pipe.readinto(content) < length:  # type: ignore[attr-defined]
        raise EOFError("the pipe was closed")
    return content
