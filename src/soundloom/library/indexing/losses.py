"""Limit of what an update may remove: a tenth of a root's files, one at least, or of its length, or an hour.

More than that is kept: a drive may be unplugged, or a folder moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from soundloom.library.storage.root_paths import RootLookup, totals_by_root

__all__ = ["large_losses"]

_LARGEST_SHARE, _MOST_SECONDS = 0.1, 3600.0
"""What may be gone of a root for its rows to be removed: a share of its files and of its length, and seconds."""


def large_losses(paths: Iterable[str], durations: Mapping[str, float], roots: Iterable[str]) -> list[str]:
    """Those of some files whose roots would lose too much if all of these were removed.

    Args:
        paths: the files.
        durations: path of every file of the library -> seconds.
        roots: folders and files that they lie in; files outside of all of them count as one root.
    """
    lookup, listed, every = RootLookup(roots), sorted(paths), {*roots, ""}
    whole = totals_by_root(every, durations, lambda path: lookup.root_of(path) or "")
    gone = totals_by_root(every, {path: durations.get(path, 0.0) for path in listed}, lambda p: lookup.root_of(p) or "")

    def is_large(root: str) -> bool:
        (files, seconds), (all_files, all_seconds) = gone[root], whole[root]
        # One short file among a few was deleted, more likely than not.
        return files > max(1, _LARGEST_SHARE * all_files) or seconds > min(_MOST_SECONDS, _LARGEST_SHARE * all_seconds)

    return [path for path in listed if is_large(lookup.root_of(path) or "")]
