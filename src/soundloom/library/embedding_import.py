"""Libraries of embeddings that were made elsewhere: Parquet, NPZ and CSV files with paths and times.

    .parquet    columns path, embedding (lists of numbers), and start and end in seconds
    .npz        arrays path, embedding [rows, dim], start, end
    .csv        columns path, start, end, about; the other columns, all of numbers, are the embedding

Parquet and .npz may have tags as well: lists of texts, or each list as JSON. Other columns are left out.

Without start and end a row is of a whole file. A file that `soundloom embed` wrote says which model made it: its
library embeds new sounds with it. Any other library is searched by the sounds that it holds, names, tags and filters.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Float32

from soundloom import audio
from soundloom.embedding_model import PLAIN
from soundloom.errors import AudioError, InvalidArgumentError, LibraryError, ResourceError
from soundloom.file_names import os_path
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, content_hash, segment_rows
from soundloom.local_path import local_path
from soundloom.remote import absolute_location
from soundloom.safe_text import csv_text
from soundloom.system_errors import reason_of

__all__ = ["import_embeddings"]

_ENDINGS = (".parquet", ".npz", ".csv")
_COMMIT_ROWS = 2**16


@dataclass(frozen=True)
class _Embeddings:
    """Rows of a file, and what it says of the model that made them."""

    paths: list[str]
    starts: Float[np.ndarray, " rows"] | None
    ends: Float[np.ndarray, " rows"] | None
    tags: list[list[str]]
    vectors: Float32[np.ndarray, "rows dim"]
    about: Mapping[str, Any]


def import_embeddings(
    source: str | os.PathLike[str], folder: str | os.PathLike[str], model: str | None = None
) -> tuple[int, int]:
    """Make a library of a file of embeddings; `Library.open` opens it.

    Args:
        source: the file.
        folder: where the library is made; must not exist, or be empty.
        model: the name of the model that made the embeddings, where the file does not say.

    Returns:
        How many files and segments it holds.

    Raises:
        LibraryError: the file cannot be read or lacks a column, numbers are not finite, or the folder is not empty.
    """
    file, target = local_path(source, must_exist=True), local_path(folder).resolve()
    found = _read(file)
    if target.exists() and any(target.iterdir()):
        raise LibraryError(f"{str(target)!r} is not empty: choose another name for the library")
    if not len(found.vectors) or not np.isfinite(found.vectors).all():
        raise LibraryError(
            f"{str(file)!r} holds {len(found.vectors)} rows, and all numbers of one or more must be finite"
        )
    dim, about = found.vectors.shape[1], found.about
    settings = LibrarySettings(
        model=model or about.get("model") or file.stem,
        fingerprint=about.get("fingerprint") or blake2b(found.vectors.tobytes(), digest_size=32).hexdigest(),
        dim=dim,
        parts={name: (first, last) for name, (first, last) in about.get("parts", {"all": (0, dim)}).items()},
        window=about.get("window"),
        hop=about.get("hop"),
        balance=about.get("balance", {}),
        centred=tuple(about.get("centred", ())),
        engine=about.get("engine", PLAIN),
        decoding=audio.DecodeOptions.from_data(about.get("decoding", {})),
        checksums=True,
    )
    if not set(settings.centred) <= settings.parts.keys():
        raise LibraryError(
            f"{str(file)!r} says that {', '.join(settings.centred)} are centred, and its parts are "
            f"{', '.join(settings.parts)}: write it anew with soundloom embed or export"
        )
    # Under another name until it is whole: an import that is interrupted leaves no library with some of the rows.
    making = target.with_name(f"{target.name}.making")
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        settings.write(making)
        files = _fill(Store(making / "store", dim), found)
        if target.exists():
            target.rmdir()
        making.rename(target)
    except OSError as error:
        raise ResourceError(f"cannot make a library at {str(target)!r}: {reason_of(error)}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)
    return files, len(found.vectors)


def _fill(store: Store, found: _Embeddings) -> int:
    """Write the rows, those of a file together. Returns the number of files."""
    rows_of: dict[str, list[int]] = {}
    for row, path in enumerate(found.paths):
        rows_of.setdefault(path, []).append(row)
    waiting: list[pa.Table] = []
    for path, rows in sorted(rows_of.items()):
        if found.starts is not None:
            rows.sort(key=found.starts.__getitem__)
        starts = [0.0] * len(rows) if found.starts is None else found.starts[rows].tolist()
        ends = [_duration(path)] * len(rows) if found.ends is None else found.ends[rows].tolist()
        if len(set(starts)) < len(starts):
            raise LibraryError(
                f"{len(rows)} rows are of {path!r}, and some begin at the same second: give each a start"
            )
        tags = [sorted(set(found.tags[row])) for row in rows]
        waiting.append(segment_rows(_state(path), starts, ends, found.vectors[rows], tags))
        if sum(table.num_rows for table in waiting) >= _COMMIT_ROWS:
            store.append(pa.concat_tables(waiting).combine_chunks())
            waiting.clear()
    if waiting:
        store.append(pa.concat_tables(waiting).combine_chunks())
    return len(rows_of)


def _state(path: str) -> FileState:
    """What is known of a file; of one that is not here, its path stands for its content."""
    try:
        return FileOnDisk.of(path).state(content_hash(path))
    except OSError:
        return FileState(path, 0, 0, blake2b(path.encode(), digest_size=16).hexdigest())


def _duration(path: str) -> float:
    try:
        return audio.info(os_path(path)).duration or 1.0
    except AudioError:
        return 1.0


def _read(file: Path) -> _Embeddings:
    if file.suffix.lower() not in _ENDINGS:
        raise LibraryError(f"embeddings are read from {', '.join(_ENDINGS)}, got {str(file)!r}")
    try:
        columns, about = {".parquet": _of_parquet, ".npz": _of_npz, ".csv": _of_csv}[file.suffix.lower()](file)
        vectors = np.ascontiguousarray(columns["embedding"], np.float32)
        start, end = (np.asarray(columns[name], np.float64) if name in columns else None for name in ("start", "end"))
        paths = [absolute_location(str(path)) for path in columns["path"]]
        if vectors.ndim != 2 or len(vectors) != len(paths):
            raise LibraryError(f"{str(file)!r} has embeddings of shape {vectors.shape} for {len(paths)} paths")
        tags = [_tag_list(one) for one in columns["tags"]] if "tags" in columns else [[]] * len(paths)
        return _Embeddings(paths, start if end is not None else None, end, tags, vectors, json.loads(about or "{}"))
    except KeyError:
        raise LibraryError(
            f"{str(file)!r} lacks a column: path and embedding are needed, as soundloom embed writes them"
        ) from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error
        raise LibraryError(f"{str(file)!r} cannot be read as embeddings: {reason}") from None


def _tag_list(cell: Any) -> list[str]:
    """The tags of a row: a list, or one as JSON, or none."""
    tags = json.loads(cell) if isinstance(cell, str) and cell else cell
    return [str(tag) for tag in tags or ()]


def _of_parquet(file: Path) -> tuple[dict[str, Any], str]:
    from pyarrow import parquet

    table = parquet.read_table(file)
    columns = {name: table[name].to_pylist() for name in ("path", "start", "end", "tags") if name in table.column_names}
    lists = table["embedding"].combine_chunks()
    columns["embedding"] = lists.flatten().to_numpy().reshape(len(lists), -1)
    return columns, (table.schema.metadata or {}).get(b"soundloom", b"").decode()


def _of_npz(file: Path) -> tuple[dict[str, Any], str]:
    with np.load(file, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in ("path", "start", "end", "tags", "embedding") if name in arrays}
        return columns, str(arrays["about"]) if "about" in arrays else ""


def _of_csv(file: Path) -> tuple[dict[str, Any], str]:
    with open(file, newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        names = next(reader, [])
        rows = [row for row in reader if row]
    known = {name: names.index(name) for name in ("path", "start", "end", "about") if name in names}
    # A column without a name counts the rows, as pandas writes its index.
    others = [place for place, name in enumerate(names) if name and name not in known]
    if short := next((row for row in rows if len(row) != len(names)), None):
        raise InvalidArgumentError(f"it has {len(names)} columns, and a row of {len(short)}: {short[:3]} ...")
    columns: dict[str, Any] = {"path": [csv_text(row[known["path"]]) for row in rows]}
    columns |= {name: [float(row[known[name]]) for row in rows] for name in ("start", "end") if name in known}
    numbers = [_numbers(names[place], [row[place] for row in rows]) for place in others]
    columns["embedding"] = np.array(numbers, np.float32).T
    return columns, rows[0][known["about"]] if rows and "about" in known else ""


def _numbers(name: str, cells: Sequence[str]) -> list[float]:
    try:
        return [float(cell) for cell in cells]
    except ValueError as error:
        raise InvalidArgumentError(
            f"all columns but path, start, end and about are its numbers, and of {name!r} {error}"
        ) from None
