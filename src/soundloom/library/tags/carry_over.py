"""Transfer of tags from rows that are replaced or removed: to the store that replaces theirs, or to the log of edits.

Between stores they go by content and start second.

A file that has the content of an old one gets that one's tags, whatever its name. A file that was edited in place keeps
those of its old rows, as in `soundloom.library.indexing.file_rows`: a segment those of the segment that began at the
same second, a segment beyond them the tags that all of the old ones had.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from soundloom.library.storage.store import Store
from soundloom.library.tags.edit_log import Decisions, GoneTags

__all__ = ["carry_over_tags", "gone_tags"]

_COMMIT_ROWS = 2**16

Tags = frozenset[str]


def carry_over_tags(old: Store, new: Store, decisions: Decisions) -> list[GoneTags]:
    """Give the rows of a new store the tags of the old one's, and those decided on.

    Args:
        old: the store that is replaced.
        new: its successor.
        decisions: those in force.

    Returns:
        The tags of contents that the new store does not hold.
    """
    tagged = _tagged_files(old)
    donors = _donors(old, new)
    changes: dict[tuple[str, float], list[str]] = {}
    for path, start, digest, before in new.values(["path", "start", "hash", "tags"]):
        donor = tagged.get(donors.get(path, ""), {})
        if donor or before or decisions.concern(path, digest):
            common = frozenset.intersection(*donor.values()) if donor else Tags()
            tags = decisions.apply(donor.get(start, common), path, digest, start)
            if tags != frozenset(before or ()):
                changes[path, start] = sorted(tags)
    keys = sorted(changes)
    for first in range(0, len(keys), _COMMIT_ROWS):
        new.write_tags({key: changes[key] for key in keys[first : first + _COMMIT_ROWS]})
    held, after = {state.hash for state in new.files().values()}, new.files()
    lost = {path: state.hash for path, state in old.files().items() if path not in after and state.hash not in held}
    return gone_tags(old, decisions, lost)


def _tagged_files(store: Store) -> dict[str, dict[float, Tags]]:
    """The tags of all segments of the files that have tags: path -> start second -> tags."""
    return store.tags(sorted({path for path, tags in store.values(["path", "tags"]) if tags}))


def _donors(old: Store, new: Store) -> dict[str, str]:
    """The old file whose tags a new one gets; new files without one are left out."""
    before, after = old.files(), new.files()
    contents = {state.hash for state in after.values()}
    holders: dict[str, str] = {}
    for path in sorted(before, key=lambda path: (path in after, path)):  # those that were renamed come first
        holders.setdefault(before[path].hash, path)
    donors = {}
    for path, state in after.items():
        known = before.get(path)
        if known is not None and (known.hash == state.hash or known.hash not in contents):
            donors[path] = path
        if (known is None or known.hash != state.hash) and state.hash in holders:
            donors[path] = holders[state.hash]
    return donors


def gone_tags(store: Store, decisions: Decisions, files: Mapping[str, str]) -> list[GoneTags]:
    """The tags that tables gave to files whose rows are about to be removed, without those that were decided on.

    Args:
        store: their rows.
        decisions: those in force.
        files: path -> hash of its content.
    """
    gone = []
    for path, segments in sorted(store.tags(sorted(files)).items()):
        starts: dict[str, set[float]] = defaultdict(set)
        for start, tags in segments.items():
            for tag in tags - decisions.apply(Tags(), path, files[path], start):
                starts[tag].add(start)
        one = GoneTags(
            files[path],
            {tag: None if len(some) == len(segments) else frozenset(some) for tag, some in starts.items()},
        )
        if one != decisions.when_gone(one.hash):
            gone.append(one)
    return gone
