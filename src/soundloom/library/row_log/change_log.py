"""Log of what has changed since the table of a search index was written: a small file beside that, replaced whole.

Rows that came are inserted, with their vectors; rows that went are removed; rows of the same segment and vector that
have other tags, or lie elsewhere in the store, are replaced. A process that is killed leaves the log as it was or as it
is to be, so readers need no lock. A log belongs to one table: another one, or none, makes it void.

    changes.npz     arrays and tables, and the CRC-32 of all that
"""

from __future__ import annotations

import io
import json
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.atomic_file import replacing
from soundloom.errors import CacheDamagedError
from soundloom.library.row_log.table_fragments import Fragment

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CHANGES", "ChangeLog", "StoreState"]

CHANGES = "changes.npz"
_CRC_BYTES = 4


@dataclass(frozen=True)
class StoreState:
    """The state of a library's store that an index shows.

    Attributes:
        version: of the segments.
        store: checksum of their manifest.
        failures: checksum of the manifest of the failures.
        fragments: of the segments, by number; None where they are not known.
    """

    version: int
    store: str
    failures: str
    fragments: dict[int, Fragment] | None

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StoreState:
        """From what `to_json` gives; earlier versions noted no fragments."""
        fragments = data.get("fragments")
        known = None if fragments is None else {int(number): Fragment(*one) for number, one in fragments.items()}
        return cls(data["version"], data["store"], data.get("failures", ""), known)

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON."""
        known = self.fragments
        fragments = None if known is None else {str(number): list(one) for number, one in known.items()}
        return asdict(self) | {"fragments": fragments}


@dataclass(frozen=True, eq=False)
class ChangeLog:
    """The changes.

    Attributes:
        base: checksum of the manifest of the index whose table has changed.
        state: of the store, with the changes.
        removed: numbers of the table's rows that went, ascending.
        places: numbers of the table's rows that are replaced, ascending.
        replaced: what is in their places.
        before: for each inserted row the number of the table's row that it precedes.
        inserted: these rows, ordered by path and start.
        vectors: of the inserted rows, in the precision of the index.
        norms: lengths of the parts of these before they had unit length; without columns where the index has none.
        failed: the files that could not be read.
    """

    base: str
    state: StoreState
    removed: NDArray[np.int64]
    places: NDArray[np.int64]
    replaced: pa.Table
    before: NDArray[np.int64]
    inserted: pa.Table
    vectors: NDArray[np.floating]
    norms: NDArray[np.float32]
    failed: pa.Table

    @classmethod
    def read(cls, folder: Path, base: str) -> ChangeLog | None:
        """The log in the folder of an index; None if there is none, or it belongs to another index.

        Raises:
            CacheDamagedError: it is not as it was written.
        """
        file = folder / CHANGES
        try:
            content = file.read_bytes()
            checksum = int.from_bytes(content[-_CRC_BYTES:], "little")
            if not content or zlib.crc32(content[:-_CRC_BYTES]) != checksum:
                raise CacheDamagedError(f"{str(file)!r} is not as it was written")
            with np.load(io.BytesIO(content[:-_CRC_BYTES]), allow_pickle=False) as arrays:
                data = json.loads(bytes(arrays["state"]))
                tables = {name: _read_table(arrays[name]) for name in ("replaced", "inserted", "failed")}
                numbers = {name: arrays[name] for name in ("removed", "places", "before", "vectors")}
                # Earlier versions inserted rows only where an index has none.
                numbers["norms"] = arrays["norms"] if "norms" in arrays else numbers["vectors"][:, :0]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise CacheDamagedError(f"{str(file)!r} cannot be read ({error})") from None
        if data.pop("base") != base:
            return None
        return cls(base=base, state=StoreState.from_json(data), **numbers, **tables)

    def write(self, folder: Path) -> None:
        """Put the log in the place of the one in the folder of an index.

        Raises:
            OSError: it cannot be written.
        """
        kept: dict[str, Any] = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "base"}
        for name in ("replaced", "inserted", "failed"):
            kept[name] = _table_bytes(kept[name])
        text = json.dumps(self.state.to_json() | {"base": self.base})
        kept["state"] = np.frombuffer(text.encode(), np.uint8)
        content = io.BytesIO()
        np.savez(content, **kept)
        whole = content.getvalue()
        with replacing(folder / CHANGES) as temporary:
            temporary.write_bytes(whole + zlib.crc32(whole).to_bytes(_CRC_BYTES, "little"))


def _table_bytes(table: pa.Table) -> NDArray[np.uint8]:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return np.frombuffer(sink.getvalue(), np.uint8)


def _read_table(content: NDArray[np.uint8]) -> pa.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.py_buffer(content)).read_all().combine_chunks()
