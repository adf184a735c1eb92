"""Reader of the chunks of a RIFF file (WAV, BWF, RF64) except its samples.

A chunk is four letters, a length of four bytes, and so many bytes, made even (IBM and Microsoft 1991). Where a WAV
exceeds 4 GB, the length of ``data`` stands in a chunk ``ds64`` instead (EBU Tech 3306).
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Collection

from soundloom.remote import file_status, open_binary

__all__ = ["chunks"]

_LARGEST = 1 << 20
_ABSENT = 0xFFFFFFFF


def chunks(path: str | os.PathLike[str], wanted: Collection[bytes]) -> dict[bytes, bytes]:
    """The wanted chunks of a file by their letters, the first of each; nothing of a file that is no RIFF.

    A file that ends too early gives what came before; a chunk over 1 MiB is passed over, and so is a ``LIST`` of
    something else than texts (``INFO``), such as of markers.

    Raises:
        OSError: the file cannot be read.
    """
    found: dict[bytes, bytes] = {}
    with open_binary(os.fspath(path)) as raw, io.BufferedReader(raw) as file:
        head = file.read(12)
        if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64", b"BW64") or head[8:] != b"WAVE":
            return {}
        end = file_status(path).size
        samples: int | None = None
        while len(header := file.read(8)) == 8:
            letters, length = struct.unpack("<4sI", header)
            begins = file.tell()
            if letters == b"ds64" and length >= 16:
                samples = struct.unpack("<QQ", file.read(16))[1]
            elif letters in wanted and letters not in found and length <= _LARGEST:
                content = file.read(length)
                if letters != b"LIST" or content.startswith(b"INFO"):
                    found[letters] = content
            if letters == b"data" and length == _ABSENT and samples is not None:
                length = samples
            following = begins + length + length % 2
            if following >= end:
                break
            file.seek(following)
    return found
