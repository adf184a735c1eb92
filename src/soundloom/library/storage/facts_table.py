"""Facts of the files of a library in ``facts.arrow`` beside its rows: read without the store, renewed by `index`.

The table is a cache: what is not in it is read from the files again. A row is of one path and one content; a file that
was moved or changed is read anew, one that is not there keeps its row. Levels belong to the content, and moved files
keep them. ``columns.arrow`` holds what tables of the user say of files, which cannot be read again: its columns are
joined to the facts by path, or by content where a file was moved. ``deployments.csv`` says where files were recorded; a
table that is read has it in its metadata, from which sites are computed.
"""

from __future__ import annotations

import logging
import re
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from soundloom.atomic_file import replacing, write_atomically
from soundloom.errors import CacheDamagedError
from soundloom.library.library_files import COLUMNS_FILE, DEPLOYMENTS_FILE, FACTS_FILE
from soundloom.library.storage.table_schema import with_column
from soundloom.remote import is_there
from soundloom.system_errors import first_line, one_line_errors

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = [
    "COLUMNS",
    "DEPLOYMENTS",
    "STORED",
    "FactsReader",
    "FileFacts",
    "Levels",
    "check_columns",
    "check_facts",
    "move_facts",
    "read_columns",
    "read_facts_table",
    "take_over_facts",
    "update_facts",
    "write_columns",
]

_log = logging.getLogger(__name__)

_FORMAT = b"2"
"""Raised when facts are read in another way than before: all are read again, and until then used as they are."""
_FORMATS = (b"1", _FORMAT)

DEPLOYMENTS = b"deployments"
"""The key of the deployments in a table's metadata."""

_NO_CHECKSUM = b"soundloom-facts-crc32:00000000"
_CHECKSUM = re.compile(rb"soundloom-facts-crc32:[0-9a-f]{8}")
"""The CRC-32 of the table's bytes, in its metadata; while it is computed, there are zeros in its place."""

COLUMNS = ("sample_rate", "channels", "bits", "codec", "recorded", "recorded_by", "title", "category", "peak", "rms")
"""What is known of a file beside its path and the hash of its content."""

STORED = ("size", "mtime_ns", "hash", "notices", "decoder")
"""What only the store knows of a file: conditions can be of it."""

Levels = Mapping[str, tuple[float, float]]
"""Hash of a content -> its peak and root mean square, in decibels of full scale."""


@dataclass(frozen=True, kw_only=True)
class FileFacts:
    """What a file states of itself.

    Attributes:
        sample_rate: in hertz; None where the file could not be read.
        channels: how many.
        bits: of a sample; None where samples are not stored as numbers.
        codec: container and codec, such as ``WAV PCM_24``.
        recorded: when it was recorded, as ``2024-05-01T05:30:00``, the recorder's own time.
        recorded_by: what says so: name, bext, ixml, audiomoth, guano, wamd or file.
        title: titles, descriptions and comments that it holds.
        category: of the Universal Category System, if its name begins with one.
        peak: the largest sample of the sound as the library takes it, in decibels of full scale; -200 for silence.
            None where it was not measured.
        rms: root mean square of its samples, likewise.
    """

    sample_rate: int | None
    channels: int | None
    bits: int | None
    codec: str
    recorded: str
    recorded_by: str
    title: str
    category: str
    peak: float | None = None
    rms: float | None = None


class FactsReader:
    """Reads the facts of a library's files again whenever their tables were written.

    Args:
        folder: the library's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: tuple[object, pa.Table | None] | None = None

    def current(self) -> pa.Table | None:
        """As `read_facts_table`; the same object as long as nothing was written."""
        state = [_file_state(self._folder / name) for name in (FACTS_FILE, COLUMNS_FILE, DEPLOYMENTS_FILE)]
        if self._read is None or self._read[0] != state:
            self._read = state, read_facts_table(self._folder)
        return self._read[1]


def _file_state(file: Path) -> object:
    """What differs after a file was replaced; None if there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_facts_table(folder: Path) -> pa.Table | None:
    """The facts of a library's files, a row each: path, hash, `COLUMNS` and the user's columns.

    Args:
        folder: the library's.

    Returns:
        None where there are none, or they are of another version or damaged.
    """
    table = _read(folder / FACTS_FILE)
    if table is None:
        return None
    columns = read_columns(folder)
    table = table if columns is None else _joined(table, columns)
    try:
        deployments = (folder / DEPLOYMENTS_FILE).read_bytes()
    except OSError:
        return table
    return table.replace_schema_metadata({**(table.schema.metadata or {}), DEPLOYMENTS: deployments})


def read_columns(folder: Path) -> pa.Table | None:
    """What tables of the user say of files: path, hash, and the user's columns; None if there is nothing."""
    return _read(folder / COLUMNS_FILE)


def write_columns(folder: Path, table: pa.Table) -> None:
    """Replace what tables of the user say of files.

    Raises:
        ResourceError: the table cannot be written.
    """
    _write(folder / COLUMNS_FILE, table)


def _read(file: Path) -> pa.Table | None:
    import pyarrow as pa

    try:
        content = file.read_bytes()
        _check(content)
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    except (CacheDamagedError, pa.ArrowException) as error:
        _log.warning("%s is damaged (%s): it is left out until the next index", file, error)
        return None
    except OSError:
        return None
    return table if (table.schema.metadata or {}).get(b"format") in _FORMATS else None


def _joined(facts: pa.Table, columns: pa.Table) -> pa.Table:
    """Facts with the user's columns: those of the path, or else of the content."""
    import pyarrow.compute as pc

    by_path = pc.index_in(facts["path"].combine_chunks(), value_set=columns["path"].combine_chunks())
    by_hash = pc.index_in(facts["hash"].combine_chunks(), value_set=columns["hash"].combine_chunks())
    rows = pc.coalesce(by_path, by_hash)
    for name in columns.column_names:
        if name not in ("path", *STORED, *COLUMNS):
            facts = facts.append_column(name, columns[name].combine_chunks().take(rows))
    return facts


def check_facts(folder: Path) -> None:
    """Compare the table of facts with its checksum, if there is a table.

    Args:
        folder: the library's.

    Raises:
        CacheDamagedError: it is damaged.
    """
    _check_file(folder / FACTS_FILE)


def check_columns(folder: Path) -> None:
    """Compare the user's columns with their checksum, if there are any.

    Args:
        folder: the library's.

    Raises:
        CacheDamagedError: they are damaged.
    """
    _check_file(folder / COLUMNS_FILE)


def _check_file(file: Path) -> None:
    import pyarrow as pa

    try:
        content = file.read_bytes()
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


def update_facts(
    folder: Path,
    hashes: Mapping[str, str],
    read: Callable[[str], FileFacts],
    *,
    workers: int = 1,
    levels: Levels = MappingProxyType({}),
) -> int:
    """Bring the table up to date with the files of a library. Returns how many files were read.

    Args:
        folder: the library's.
        hashes: path of every file -> hash of its content.
        read: reads the facts of one file.
        workers: how many files at a time.
        levels: measured since the table was written.

    Raises:
        ResourceError: the table cannot be written.
    """
    import pyarrow as pa

    table = _read(folder / FACTS_FILE)
    levels = {**_levels_of(table), **levels}
    if table is not None and (table.schema.metadata or {}).get(b"format") != _FORMAT:
        table = None
    keys = [] if table is None else list(zip(table["path"].to_pylist(), table["hash"].to_pylist(), strict=True))
    places = {key: place for place, key in enumerate(keys)}
    wanted = sorted(hashes.items())
    unread = [path for path, digest in wanted if (path, digest) not in places and is_there(path)]
    kept = [places[key] for key in wanted if key in places]
    rows = [] if table is None else table.take(pa.array(kept, pa.int64())).to_pylist()
    measured = [row for row in rows if row["peak"] is None and row["hash"] in levels]
    if unread or measured or len(kept) != len(keys):
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(max(1, workers), thread_name_prefix="soundloom-facts") as pool:
            fresh = list(pool.map(read, unread))
        rows += [
            {"path": path, "hash": hashes[path], **asdict(facts)} for path, facts in zip(unread, fresh, strict=True)
        ]
        for row in rows:
            if row["peak"] is None and (level := levels.get(row["hash"])) is not None:
                row["peak"], row["rms"] = level
        _write(
            folder / FACTS_FILE, pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["path"])), schema=_schema())
        )
    return len(unread)


def take_over_facts(folder: Path, other: Path, hashes: Mapping[str, str]) -> None:
    """Add what another library's table says of files; where both know a file, this one's row stays.

    Args:
        folder: the library's.
        other: the other library's. Its deployments are taken over where this one has none.
        hashes: path of every file of this library -> hash of its content.

    Raises:
        ResourceError: the table cannot be written.
    """
    import pyarrow as pa

    tables = [table for table in (_read(other / FACTS_FILE), _read(folder / FACTS_FILE)) if table is not None]
    current = [table for table in tables if (table.schema.metadata or {}).get(b"format") == _FORMAT]
    rows = {row["path"]: row for table in current for row in table.to_pylist()}
    held = [row for path, row in sorted(rows.items()) if hashes.get(path) == row["hash"]]
    if held:
        _write(folder / FACTS_FILE, pa.Table.from_pylist(held, schema=_schema()))
    if (other / DEPLOYMENTS_FILE).is_file() and not (folder / DEPLOYMENTS_FILE).exists():
        write_atomically(folder / DEPLOYMENTS_FILE, (other / DEPLOYMENTS_FILE).read_text(encoding="utf-8"))


def move_facts(folder: Path, moved: Callable[[str], str]) -> None:
    """Give files other paths in the tables; what is known of a path already there stays.

    Args:
        folder: the library's.
        moved: a path as it was -> as it is now.

    Raises:
        ResourceError: a table cannot be written.
    """
    import pyarrow as pa

    for name in (FACTS_FILE, COLUMNS_FILE):
        table = _read(folder / name)
        if table is None:
            continue
        before = table["path"].to_pylist()
        after = [moved(path) for path in before]
        if after == before:
            continue
        stays = {path for path, same in zip(before, after, strict=True) if path == same}
        kept = [row for row, path in enumerate(after) if path == before[row] or path not in stays]
        renamed = with_column(table, "path", after)
        order = sorted(kept, key=lambda row: after[row])
        _write(folder / name, renamed.take(pa.array(order, pa.int64())))


def _levels_of(table: pa.Table | None) -> dict[str, tuple[float, float]]:
    """The levels that a table has, by content."""
    if table is None or "peak" not in table.column_names:
        return {}
    columns = table.select(["hash", "peak", "rms"]).to_pydict().values()
    return {digest: (peak, rms) for digest, peak, rms in zip(*columns, strict=True) if peak is not None}


def _schema() -> pa.Schema:
    import pyarrow as pa

    types = {"sample_rate": pa.int32(), "channels": pa.int32(), "bits": pa.int32()}
    types |= {"peak": pa.float32(), "rms": pa.float32()}
    return pa.schema([(name, types.get(name, pa.string())) for name in ("path", "hash", *COLUMNS)])


def _write(file: Path, table: pa.Table) -> None:
    import pyarrow as pa

    table = table.replace_schema_metadata({b"format": _FORMAT, b"checksum": _NO_CHECKSUM})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    content = sink.getvalue().to_pybytes()
    with one_line_errors(file.parent), replacing(file) as temporary:
        temporary.write_bytes(_CHECKSUM.sub(_checksum(content), content))
