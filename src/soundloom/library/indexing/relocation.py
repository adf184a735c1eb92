"""Recognition of a root that has moved: the same names, sizes and contents below another folder.

Only an absent root can have moved: one that is gone, or is empty where it held files. It is compared with the files
that are new on disk. A folder below which at least half of the root's files lie under the same names with the same
sizes is its new place, if the content hashes of a sample agree; all of its rows then get new paths at once. Where names
have changed too, the root has moved if at least half of its contents turn up among the new files.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from shlex import quote

from soundloom.counted import counted
from soundloom.errors import LibraryError
from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.storage.facts_table import move_facts
from soundloom.library.storage.root_paths import RootLookup, is_below, is_empty, renamed
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, content_hash
from soundloom.library.tags.editor import TagEditor
from soundloom.remote import is_there
from soundloom.remote.locations import existing, inside, separator_of

__all__ = ["absent_roots", "dispersed_roots", "files_by_root", "find_new_place", "relocate_root"]

_SHARE = 0.5
"""Share of a root's files that must be found again."""
_SAMPLE = 16
"""Files whose contents are compared."""
_AGREEING = 0.75
"""Share of the sample that must agree; files may have been edited since."""


def files_by_root(known: Mapping[str, FileState], roots: Collection[str]) -> dict[str, list[FileState]]:
    """The library's files, by the root that they lie in; roots without files are left out."""
    lookup = RootLookup(roots)
    files: dict[str, list[FileState]] = defaultdict(list)
    for path, state in known.items():
        if (root := lookup.root_of(path)) is not None:
            files[root].append(state)
    return dict(files)


def absent_roots(
    roots: Iterable[str],
    registered: Iterable[str],
    known: Mapping[str, FileState],
    present: Iterable[str],
    excluded: Collection[str],
    *,
    prune: bool,
) -> list[str]:
    """The roots that are not there, or are empty where they held files; not those that are to be pruned.

    Args:
        roots: the folders and files that were searched.
        registered: all roots of the library.
        known: the library's files.
        present: the paths of the files that were found.
        excluded: the files and folders that a pattern leaves out, which are there.
        prune: whether the rows of an empty root that was searched shall be removed.
    """
    scanned, listed = set(roots), set(registered)
    searched, every = RootLookup(scanned), RootLookup(scanned | listed)
    left_out = RootLookup(excluded)
    filled = {every.root_of(path) for path in (*present, *(set(excluded) - scanned - listed))}
    absent = []
    for root in sorted(files_by_root(known, scanned | listed)):
        if searched.root_of(root) is not None:
            covered = left_out.root_of(root) is not None and not is_empty(root)
            gone = root not in filled and not covered and not (prune and is_there(root))
        else:
            gone = is_empty(root)
        if gone:
            absent.append(root)
    return absent


def find_new_place(
    root: str, files: Sequence[FileState], candidates: Iterable[FileOnDisk], known: Mapping[str, FileState]
) -> str | None:
    """The folder that holds now what an absent root held; None if there is none.

    Args:
        root: the absent root.
        files: its files, as the library knows them.
        candidates: files on disk that are new.
        known: all files of the library; a folder that holds one under the name of another file is none.
    """
    if any(state.path == root for state in files):
        return None  # a single file is recognised by its content alone
    relative = {state.path.removeprefix(inside(root)).replace(separator_of(root), "/"): state for state in files}
    by_name: dict[tuple[str, int], list[str]] = defaultdict(list)
    for name, state in relative.items():
        by_name[os.path.basename(name), state.size].append(name)
    places: Counter[str] = Counter()
    for file in candidates:
        for name in by_name.get((os.path.basename(file.path), file.size), ()) if file.path not in known else ():
            if file.path.replace(os.sep, "/").endswith("/" + name):
                places[file.path[: -len(name) - 1]] += 1
    for place, count in places.most_common(3):
        taken = place == root or any(_below(place, name) in known for name in relative)
        if count >= _SHARE * len(files) and not taken and _same_contents(relative, place):
            return place
    return None


def dispersed_roots(files: Mapping[str, Sequence[FileState]], hashes: Collection[str]) -> list[str]:
    """Absent roots at least half of whose files have contents that new files on disk have.

    Args:
        files: absent root -> its files.
        hashes: content hashes of the new files.
    """
    held = set(hashes)
    return [root for root, some in files.items() if sum(state.hash in held for state in some) >= _SHARE * len(some)]


def relocate_root(store: Store, registry: RootRegistry, tag_editor: TagEditor, old: str, new: str) -> int:
    """Give everything below a path another path, and the roots there; see `Roots.relocate`.

    Returns:
        How many of the files are not at the new path.

    Raises:
        LibraryError: nothing was indexed below the old path, none of its files is at the new one, or one path lies in
            the other.
    """
    if is_below(new, [old]) or is_below(old, [new]):
        raise LibraryError(f"{old!r} and {new!r} lie in one another: relocate to a folder beside it")
    known, moved, annotations = store.files(), partial(renamed, old=old, new=new), AnnotationLog(store.folder.parent)
    files = [path for path in sorted(known) if is_below(path, [old])]
    if not files and not any(is_below(path, [old]) for path in registry.paths()):
        folder = quote(str(store.folder.parent))
        raise LibraryError(f"nothing in this library was indexed from {old!r}; its roots: soundloom roots -l {folder}")
    missing = _missing_files(files, old, new, store.folder.parent)
    annotations.note_places(known)
    doubles = {path: twin for path in files if (twin := new + path.removeprefix(old)) in known}
    if doubles:
        tags = store.tags([*doubles, *doubles.values()])
        both = {
            (twin, start): sorted(some | tags[path].get(start, frozenset()))
            for path, twin in doubles.items()
            if known[path].hash == known[twin].hash
            for start, some in tags[twin].items()
        }
        if both:
            store.write_tags(both)
        tag_editor.keep_gone(path for path, twin in doubles.items() if known[path].hash != known[twin].hash)
        store.remove(sorted(doubles))
    registry.relocate(store, old, new)
    annotations.note_places(store.files(), moved)
    move_facts(store.folder.parent, moved)
    tag_editor.reconcile()
    return missing


def _missing_files(files: Sequence[str], old: str, new: str, library: Path) -> int:
    """How many files below a path are not below another one.

    Raises:
        LibraryError: none of them is: the other folder is not the one that was moved.
    """
    moved = [renamed(path, old, new) for path in files]
    missing = len(moved) - len(existing(moved))
    if moved and missing == len(moved):
        raise LibraryError(
            f"{new!r} is not what was indexed from {old!r}: none of its {counted(missing, 'file')} is there, such as "
            f"{moved[0]!r}. Give the folder that holds them now, with its drive plugged in; files of other names are "
            f"recognised by: soundloom index {quote(new)} -l {quote(str(library))}"
        )
    return missing


def _same_contents(relative: Mapping[str, FileState], place: str) -> bool:
    """Whether a sample of the files below a folder has contents of the root, under whatever name: names are swapped."""
    held = {state.hash for state in relative.values()}
    there = [name for name in sorted(relative) if is_there(_below(place, name))]
    sample = there[:: -(-len(there) // _SAMPLE)] if there else []
    agreeing = 0
    for name in sample:
        try:
            agreeing += content_hash(_below(place, name)) in held
        except OSError:
            continue
    return bool(sample) and agreeing >= _AGREEING * len(sample)


def _below(place: str, name: str) -> str:
    """The location of a name, with ``/`` between its parts, below another location."""
    return inside(place) + name.replace("/", separator_of(place))
