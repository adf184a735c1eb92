"""Plan of moves: which rows a library keeps when files are renamed, swapped, overwritten or copied.

A content is identified by its hash. Files on disk whose content the library holds, under whatever path, take over the
rows of a *donor*: the path that held the content so far. A donor that has lost its content (it is gone, or its name
now belongs to another content) gives its rows away; any other donor keeps them, and the new path gets a copy.

The order of the commits matters: rows must be read before they are overwritten. A chain of renames (a -> b -> c) is
done from its free end; a cycle (two files that swap their names) is done within one commit. A process that is killed
between two commits leaves every row under a path that holds, or held, its content, and the next run finishes.
"""

from __future__ import annotations

import os
from collections import defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from soundloom.library.indexing.diff import LibraryDiff
from soundloom.library.indexing.relocation import dispersed_roots, files_by_root
from soundloom.library.storage.root_paths import RootLookup
from soundloom.library.storage.table_schema import FileState
from soundloom.remote import is_there

__all__ = ["Move", "MoveBatch", "paths_losing_content", "plan_moves"]

_BATCH = 100
"""Files in one commit, unless a cycle is longer: their rows are in memory together."""


@dataclass(frozen=True)
class Move:
    """A file on disk whose content the library holds already.

    Attributes:
        target: the file.
        donor: the path under which the library holds its content; the file's own if only its time has changed.
        kept: whether the donor keeps its rows: the file is a copy.
    """

    target: FileState
    donor: str
    kept: bool = False


@dataclass(frozen=True)
class MoveBatch:
    """Moves that belong in one commit.

    Attributes:
        moves: the moves.
        vacated: paths whose rows are removed with it; another path has them now.
    """

    moves: list[Move] = field(default_factory=list)
    vacated: set[str] = field(default_factory=set)


def plan_moves(targets: Iterable[FileState], known: Mapping[str, FileState], leaving: Sequence[str]) -> list[MoveBatch]:
    """Assign a donor to every file whose content is known, and order the moves.

    Args:
        targets: files on disk whose content hash some known file has.
        known: the library's files, by path.
        leaving: known paths that no longer hold the content that the library knows; of several that held the same, the
            first gives its rows away first.
    """
    moves = _assign_donors(targets, known, leaving)
    overwritten = {move.target.path for move in moves}
    vacated = {move.donor for move in moves if not move.kept and move.donor not in overwritten}
    batches: list[MoveBatch] = []
    for some in _ordered(moves):
        if not batches or len(batches[-1].moves) + len(some) > _BATCH:
            batches.append(MoveBatch())
        batches[-1].moves.extend(some)
    for batch in reversed(batches):  # rows are removed with the last commit that reads them
        donors = {move.donor for move in batch.moves} & vacated
        batch.vacated.update(donors)
        vacated -= donors
    return batches


def paths_losing_content(
    diff: LibraryDiff,
    known: Mapping[str, FileState],
    hashes: Mapping[str, str],
    targets: Sequence[FileState],
    absent: Sequence[str],
    roots: Sequence[str],
) -> list[str]:
    """The known paths that no longer hold the content that the library knows: gone, or with another content.

    Files of an absent root stay, unless most of its contents are among the new files; so do files outside the roots
    that were searched, unless they are gone. Those that may have been edited in place come last.
    """
    new = {state.hash for state in targets if state.path not in known or known[state.path].hash != state.hash}
    held = {state.hash for state in known.values()}
    gone = list(diff.missing)
    replaced: list[str] = []
    edited: list[str] = []
    for file in diff.candidates:
        old, digest = known.get(file.path), hashes.get(file.path)
        # A file of the same size without a hash could not be read: nothing is known of its content.
        if old is not None and (digest is not None or file.size != old.size) and digest != old.hash:
            (replaced if digest in held else edited).append(file.path)
    away = RootLookup(absent)
    dispersed = set(dispersed_roots(files_by_root(known, absent), new))
    searched = RootLookup(roots)
    for path, state in known.items():
        if state.hash in new and path not in diff.present:
            root = away.root_of(path)
            elsewhere = root is None and searched.root_of(path) is None
            if root in dispersed or (elsewhere and not is_there(path)):
                gone.append(path)
    return [*dict.fromkeys(gone), *replaced, *edited]


def _assign_donors(targets: Iterable[FileState], known: Mapping[str, FileState], leaving: Sequence[str]) -> list[Move]:
    by_hash: dict[str, list[FileState]] = defaultdict(list)
    for state in targets:
        by_hash[state.hash].append(state)
    holders: dict[str, list[str]] = defaultdict(list)
    for path, state in sorted(known.items()):
        if state.hash in by_hash:
            holders[state.hash].append(path)
    order = {path: place for place, path in enumerate(leaving)}
    moves = []
    for digest, files in sorted(by_hash.items()):
        own = {state.path for state in files if state.path in known and known[state.path].hash == digest}
        moves += [Move(state, state.path) for state in files if state.path in own]
        others = sorted((state for state in files if state.path not in own), key=lambda state: state.path)
        free = sorted((path for path in holders[digest] if path in order), key=order.__getitem__)
        pairs = _pair(others, free)
        moves += [Move(state, donor) for state, donor in pairs.items()]
        spare = next((path for path in holders[digest] if path not in order), holders[digest][0])
        moves += [Move(state, spare, kept=True) for state in others if state not in pairs]
    return moves


def _pair(files: list[FileState], free: list[str]) -> dict[FileState, str]:
    """Files and the donors that give their rows away, first those of the same name."""
    by_name: dict[str, deque[str]] = defaultdict(deque)
    for path in free:
        by_name[os.path.basename(path)].append(path)
    pairs: dict[FileState, str] = {}
    for state in files:
        if donors := by_name[os.path.basename(state.path)]:
            pairs[state] = donors.popleft()
    rest = [state for state in files if state not in pairs]
    given = set(pairs.values())
    left = [path for path in free if path not in given]
    return pairs | dict(zip(rest, left, strict=False))


def _ordered(moves: list[Move]) -> list[list[Move]]:
    """Groups of moves, so that no group overwrites rows that a later one reads; a cycle is one group."""
    by_target = {move.target.path: move for move in moves}
    readers = dict.fromkeys(by_target, 0)
    for move in moves:
        if move.donor in readers and move.donor != move.target.path:
            readers[move.donor] += 1
    ready = [path for path, count in readers.items() if not count]
    groups = []
    done = set()
    while ready:
        path = ready.pop()
        done.add(path)
        move = by_target[path]
        groups.append([move])
        if move.donor in readers and move.donor != path:
            readers[move.donor] -= 1
            if not readers[move.donor]:
                ready.append(move.donor)
    for path in by_target:  # what is left are cycles
        cycle = []
        while path not in done:
            done.add(path)
            cycle.append(by_target[path])
            path = by_target[path].donor
        if cycle:
            groups.append(cycle)
    return groups
