"""The search index after a change of tags alone: its rows are read again, its vectors stay as they are.

Without this every tag that a person gives would have the index of a large library built anew at the next search:
minutes for a million segments, instead of seconds.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from soundloom.library.search.index import SearchIndex
from soundloom.library.storage.store import Store

__all__ = ["retagged"]


def retagged(folder: Path, store: Store, index: SearchIndex) -> SearchIndex | None:
    """The index with the tags that the store has now; None if more than tags has changed since it was built.

    Args:
        folder: where the index lies; replaced.
        store: the library's rows. The caller knows that only tags were written since the index's version.
        index: the index to go on from.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    version = store.version
    batches = list(store.scan(["path", "start", "end", "duration", "tags"], row_ids=True))
    if not batches:
        return None
    rows = pa.Table.from_batches(batches)
    rows = rows.take(pc.sort_indices(rows, sort_keys=[("path", "ascending"), ("start", "ascending")]))
    same = ["path", "start", "end"]
    if not rows.select(same).equals(index.rows.select(same)):
        return None
    temporary = folder.with_name(folder.name + ".building")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    for file in folder.iterdir():
        if file.name not in ("rows.arrow", "index.json"):
            _share(file, temporary / file.name)
    with pa.OSFile(str(temporary / "rows.arrow"), "wb") as sink, pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_table(rows)
    facts = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    (temporary / "index.json").write_text(json.dumps(facts | {"version": version}), encoding="utf-8")
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    return SearchIndex.open(folder, version)


def _share(file: Path, place: Path) -> None:
    """The same file in another place, without a copy where the file system can."""
    try:
        os.link(file, place)
    except OSError:
        shutil.copy2(file, place)
