"""Creation of a plan: the sounds that a library does not hold as they are, cut into shards.

The sounds are compared with the library as `soundloom index` compares them. A file whose content the library holds
already, under another path or with another time, is left to the next `soundloom index`, which embeds nothing for it.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.library import Library
from soundloom.library.indexing.diff import FileOnDisk, LibraryDiff, hash_known_sizes
from soundloom.library.indexing.file_rows import shortest_input
from soundloom.library.indexing.scan import FilesLeftOut, files_below, roots_of
from soundloom.library.mirror import shown
from soundloom.library.storage.exclusions import remember_exclusions
from soundloom.plans.plan_file import PLAN, PlanFile, Shard, identity_of
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["PlanReport", "create_plan", "require_empty"]

_MOST_FILES, _MOST_BYTES = 1000, 2 * 10**9
"""Size of a shard: minutes of work that a killed worker loses."""
_SHARDS = 64
"""Shards that a small plan is cut into, so that there is something for every worker."""


@dataclass
class PlanReport:
    """What was planned.

    Attributes:
        files: files to embed.
        bytes: their size.
        shards: how many shards they are cut into.
        unchanged: files that the library holds as they are.
        held: files whose content it holds otherwise: moved, copied or touched.
        failed: files and folders that could not be looked at: path -> reason.
        left_out: files in folders whose names are none of sounds, begin with a dot, or fit a pattern.
    """

    files: int = 0
    bytes: int = 0
    shards: int = 0
    unchanged: int = 0
    held: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    left_out: FilesLeftOut = field(default_factory=FilesLeftOut)


def create_plan(
    library: Library,
    sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    storage: ObjectStorage,
    *,
    exclude: Sequence[str] = (),
    shard_files: int | None = None,
    lease_seconds: float = 120.0,
) -> tuple[PlanFile, PlanReport]:
    """Plan the embedding of sounds; see `soundloom.plans.Plan.create`."""
    if shard_files is not None and shard_files < 1:
        raise InvalidArgumentError(f"shards of {shard_files} files: give 1 or more")
    if not 0 < lease_seconds < math.inf:
        raise InvalidArgumentError(f"leases of {lease_seconds} s: give more than 0, such as 120")
    require_empty(storage)
    model, roots, report = library.model, library.roots.searched(roots_of(sounds)), PlanReport()
    with library.adding() as indexed:
        exclude = remember_exclusions(indexed.folder, exclude)
        known = indexed.store.files()
        found = files_below(roots, report.failed, report.left_out, known, exclude, indexed.registry.forgotten())
        diff = LibraryDiff(found, known, roots, report.failed)
        with closing(hash_known_sizes(diff.candidates, known, indexed.workers)) as hashed:
            contents = {state.hash for state in known.values()}
            held = {file.path for file, digest in hashed if digest in contents}
    files = [file for file in diff.candidates if file.path not in held]
    report.files, report.bytes = len(files), sum(file.size for file in files)
    report.unchanged, report.held = diff.unchanged, len(held)
    identity, settings = identity_of(library.settings), library.settings
    count = shard_files or max(1, min(_MOST_FILES, -(-len(files) // _SHARDS)))
    shards = [Shard.of(some, identity) for some in _cut(files, count)]
    for shard in shards:
        shard.write(storage)
    plan = PlanFile(
        library=shown(library.folder),
        settings=settings,
        shortest=shortest_input(model, settings.decoding),
        roots=roots,
        shards={shard.id: len(shard.files) for shard in shards},
        failed=report.failed,
        lease_seconds=lease_seconds,
        created=time.time(),
    )
    report.shards = len(plan.shards)
    if not plan.write(storage):
        require_empty(storage)
    return plan, report


def require_empty(storage: ObjectStorage) -> None:
    """Refuse a place that holds something else than shards, which a planning that was killed leaves.

    Raises:
        LibraryError: there is a plan, or anything else.
    """
    if storage.get(PLAN) is None:
        if other := next((key for key in storage.keys("") if not key.startswith("shards/")), None):
            raise LibraryError(f"{storage.address!r} is not empty, it holds {other!r}: give a plan a place of its own")
    else:
        raise LibraryError(
            f"there is a plan at {storage.address!r} already: choose another place, or work on that one: "
            f"soundloom work {storage.address}"
        )


def _cut(files: Sequence[FileOnDisk], most: int) -> Iterator[list[FileOnDisk]]:
    """The files in their order, so many together, and fewer where they are large."""
    shard: list[FileOnDisk] = []
    size = 0
    for file in files:
        if shard and (len(shard) == most or size + file.size > _MOST_BYTES):
            yield shard
            shard, size = [], 0
        shard.append(file)
        size += file.size
    if shard:
        yield shard
