"""Facts of the files of a library in ``facts.arrow`` beside its rows: read without the store, renewed by `index`.

The table is a cache: what is not in it is read from the files again. A row is of one path and one content; a file that
was moved or changed is read anew, one that is not there keeps its row.
"""

from __future__ import annotations

import logging
import os
import re
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from soundloom.atomic_file import replacing
from soundloom.errors import CacheDamagedError
from soundloom.file_names import os_path
from soundloom.system_errors import first_line, one_line_errors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["COLUMNS", "FileFacts", "check_facts", "read_facts_table", "update_facts"]

_log = logging.getLogger(__name__)

_FILE = "facts.arrow"
_FORMAT = b"1"
"""Raised when facts are read in another way than before: all are read again."""

_NO_CHECKSUM = b"soundloom-facts-crc32:00000000"
_CHECKSUM = re.compile(rb"soundloom-facts-crc32:[0-9a-f]{8}")
"""The CRC-32 of the table's bytes, in its metadata; while it is computed, there are zeros in its place."""

COLUMNS = ("sample_rate", "channels", "bits", "codec", "recorded", "recorded_by", "title", "category")
"""What is known of a file beside its path and the hash of its content."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a file states of itself.

    Attributes:
        sample_rate: in hertz; None where the file could not be read.
        channels: how many.
        bits: of a sample; None where samples are not stored as numbers.
        codec: container and codec, such as ``WAV PCM_24``.
        recorded: when it was recorded, as ``2024-05-01T05:30:00``, the recorder's own time.
        recorded_by: what says so: name, bext, audiomoth, guano or file.
        title: titles, descriptions and comments that it holds.
        category: of the Universal Category System, if its name begins with one.
    """

    sample_rate: int | None
    channels: int | None
    bits: int | None
    codec: str
    recorded: str
    recorded_by: str
    title: str
    category: str


def read_facts_table(folder: Path) -> pa.Table | None:
    """The facts of a library's files, a row each: path, hash and `COLUMNS`.

    Args:
        folder: the library's.

    Returns:
        None where there are none, or they are of another version or damaged.
    """
    import pyarrow as pa

    try:
        content = (folder / _FILE).read_bytes()
        _check(content)
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    except (CacheDamagedError, pa.ArrowException) as error:
        _log.warning("%s is damaged (%s): titles and facts are left out until the next index", folder / _FILE, error)
        return None
    except OSError:
        return None
    return table if (table.schema.metadata or {}).get(b"format") == _FORMAT else None


def check_facts(folder: Path) -> None:
    """Compare the table of facts with its checksum, if there is a table.

    Args:
        folder: the library's.

    Raises:
        CacheDamagedError: it is damaged.
    """
    import pyarrow as pa

    try:
        content = (folder / _FILE).read_bytes()
        _check(content)
        pa.ipc.open_file(pa.BufferReader(content)).read_all()
    except FileNotFoundError:
        return
    except (OSError, pa.ArrowException) as error:
        raise CacheDamagedError(f"cannot be read: {first_line(error)}") from error


def _check(content: bytes) -> None:
    """Compare the bytes of a table with the checksum in its metadata; tables of earlier versions have none.

    Raises:
        CacheDamagedError: they differ.
    """
    found = _CHECKSUM.search(content)
    if found is not None and _checksum(content) != found[0]:
        raise CacheDamagedError("differs from what was written")


def _checksum(content: bytes) -> bytes:
    """The checksum of a table as it is written into it: of its bytes with eight zeros instead."""
    return b"soundloom-facts-crc32:%08x" % zlib.crc32(_CHECKSUM.sub(_NO_CHECKSUM, content))


def update_facts(folder: Path, hashes: Mapping[str, str], read: Callable[[str], FileFacts], *, workers: int = 1) -> int:
    """Bring the table up to date with the files of a library. Returns how many files were read.

    Args:
        folder: the library's.
        hashes: path of every file -> hash of its content.
        read: reads the facts of one file.
        workers: how many files at a time.

    Raises:
        ResourceError: the table cannot be written.
    """
    import pyarrow as pa

    table = read_facts_table(folder)
    keys = [] if table is None else list(zip(table["path"].to_pylist(), table["hash"].to_pylist(), strict=True))
    places = {key: place for place, key in enumerate(keys)}
    wanted = sorted(hashes.items())
    unread = [path for path, digest in wanted if (path, digest) not in places and os.path.exists(os_path(path))]
    kept = [places[key] for key in wanted if key in places]
    if unread or len(kept) != len(keys):
        with ThreadPoolExecutor(max(1, workers), thread_name_prefix="soundloom-facts") as pool:
            fresh = list(pool.map(read, unread))
        rows = [] if table is None else table.take(pa.array(kept, pa.int64())).to_pylist()
        rows += [
            {"path": path, "hash": hashes[path], **asdict(facts)} for path, facts in zip(unread, fresh, strict=True)
        ]
        _write(folder, sorted(rows, key=lambda row: row["path"]))
    return len(unread)


def _write(folder: Path, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa

    numbers = ("sample_rate", "channels", "bits")
    names = ("path", "hash", *COLUMNS)
    schema = pa.schema(
        [(name, pa.int32() if name in numbers else pa.string()) for name in names],
        metadata={b"format": _FORMAT, b"checksum": _NO_CHECKSUM},
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, schema) as writer:
        writer.write_table(pa.Table.from_pylist(rows, schema=schema))
    content = sink.getvalue().to_pybytes()
    with one_line_errors(folder), replacing(folder / _FILE) as temporary:
        temporary.write_bytes(_CHECKSUM.sub(_checksum(content), content))
