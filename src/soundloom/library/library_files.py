"""Names of the files and folders that a library consists of.

library.json   the model, its parts, how files are cut and decoded (storage/library_settings.py)
store/         LanceDB tables: one row a segment; the files that failed (storage/store.py); after an upgrade store-2-...
facts.arrow    what the files state of themselves; a cache (storage/facts_table.py)
columns.arrow  columns of users' tables (indexing/column_table.py)
roots.json     the folders that it was filled from (storage/root_registry.py)
exclude.txt    patterns of files that are left out (storage/exclusions.py)
indexing.json  what an indexing or a merge that did not come to its end has left to do (storage/indexing_note.py)
tags.jsonl     the log of tag edits; tags.sum: how much of it the rows show (tags/edit_log.py)
annotations.jsonl, deployments.csv   annotations of regions; where recorders were (annotation_store, search/fields)
searches.json  saved searches (saved_searches.py)
index/         the standardised copy that searches use, rebuilt when it is stale
map/           two-dimensional maps, a cache like the index
fingerprints.arrow   by which copies of files are found; a cache (duplicates/fingerprint_cache.py)
unfinished/    embeddings of long files that an interrupted run has begun (indexing/file_rows.py)
"""

from __future__ import annotations

import os

__all__ = [
    "ADD_LOCK",
    "ANNOTATIONS_FILE",
    "COLUMNS_FILE",
    "DEPLOYMENTS_FILE",
    "EXCLUSIONS_FILE",
    "FACTS_FILE",
    "FINGERPRINTS_FILE",
    "INDEXING_FILE",
    "INDEX_FOLDER",
    "INDEX_LOCK",
    "MAP_FOLDER",
    "ROOTS_FILE",
    "SEARCHES_FILE",
    "SETTINGS_FILE",
    "TAGS_FILE",
    "TAGS_LOCK",
    "TAGS_SUM_FILE",
    "UNFINISHED_FOLDER",
    "UNFINISHED_INDEX_FOLDER",
    "is_library",
]

SETTINGS_FILE = "library.json"
FACTS_FILE = "facts.arrow"
COLUMNS_FILE = "columns.arrow"
ROOTS_FILE = "roots.json"
EXCLUSIONS_FILE = "exclude.txt"
INDEXING_FILE = "indexing.json"
TAGS_FILE = "tags.jsonl"
TAGS_SUM_FILE = "tags.sum"
ANNOTATIONS_FILE = "annotations.jsonl"
DEPLOYMENTS_FILE = "deployments.csv"
SEARCHES_FILE = "searches.json"
INDEX_FOLDER = "index"
UNFINISHED_INDEX_FOLDER = f"{INDEX_FOLDER}.building"
MAP_FOLDER = "map"
FINGERPRINTS_FILE = "fingerprints.arrow"
UNFINISHED_FOLDER = "unfinished"
INDEX_LOCK = "index.lock"
ADD_LOCK, TAGS_LOCK = "add.lock", "tags.lock"
"""Held by a process that changes the library: they surround a change of a library at an address, too."""


def is_library(folder: str | os.PathLike[str]) -> bool:
    """Whether a folder is a library's."""
    return os.path.isfile(os.path.join(folder, SETTINGS_FILE))
