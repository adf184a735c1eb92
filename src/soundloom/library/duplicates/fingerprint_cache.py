"""Fingerprints of the files of a library in ``fingerprints.arrow`` beside its rows, by the hash of a content.

The table is a cache: what is not in it is computed from the files again. Where the library's folder cannot be written,
nothing is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from jaxtyping import UInt32

from soundloom.atomic_file import replacing
from soundloom.audio import DECODER_VERSION
from soundloom.library.library_files import FINGERPRINTS_FILE
from soundloom.system_errors import is_unwritable

__all__ = ["read_fingerprints", "write_fingerprints"]

_VERSION = 1
"""Raised when fingerprints are computed in another way than before: all are computed again."""
_FORMAT = f"{_VERSION}/{DECODER_VERSION}".encode()


def read_fingerprints(folder: Path) -> dict[str, UInt32[np.ndarray, " _frames"]]:
    """The fingerprints that are kept; none of another version, or where the table is damaged.

    Args:
        folder: the library's.
    """
    try:
        with pa.OSFile(str(folder / FINGERPRINTS_FILE), "rb") as file:
            table = pa.ipc.open_file(file).read_all()
        if (table.schema.metadata or {}).get(b"format") != _FORMAT:
            return {}
        words = (np.frombuffer(words, np.dtype("<u4")) for words in table["words"].to_pylist())
        return dict(zip(table["hash"].to_pylist(), words, strict=True))
    except (OSError, pa.ArrowException, KeyError, ValueError):
        return {}


def write_fingerprints(folder: Path, prints: Mapping[str, UInt32[np.ndarray, " _frames"]]) -> None:
    """Keep fingerprints, and no others.

    Args:
        folder: the library's.
        prints: hash of a content -> its fingerprint.
    """
    schema = pa.schema([("hash", pa.string()), ("words", pa.large_binary())], metadata={b"format": _FORMAT})
    hashes = sorted(prints)
    words = [prints[one].astype("<u4").tobytes() for one in hashes]
    try:
        with (
            replacing(folder / FINGERPRINTS_FILE) as temporary,
            pa.OSFile(str(temporary), "wb") as sink,
            pa.ipc.new_file(sink, schema) as writer,
        ):
            writer.write_table(pa.table([hashes, words], schema=schema))
    except OSError as error:
        if not is_unwritable(error):
            raise
