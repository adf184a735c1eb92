"""Duplicate files of a library: of one content by its hash, and of one sound by fingerprints or embeddings.

Nothing is deleted. Fingerprints need the files, once: they are kept with the library. Embeddings need no file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt32

from soundloom import audio
from soundloom.errors import InvalidArgumentError
from soundloom.file_pool import Failed, process
from soundloom.library.duplicates.fingerprint import SAMPLE_RATE, fingerprint
from soundloom.library.duplicates.fingerprint_cache import read_fingerprints, write_fingerprints
from soundloom.library.duplicates.fingerprint_matches import matching_pairs
from soundloom.library.duplicates.similar_files import similar_files
from soundloom.library.search.index_cache import IndexCache
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import Failure
from soundloom.remote import is_there

__all__ = ["DuplicateFile", "DuplicateReport", "Duplicates"]

Print = UInt32[np.ndarray, " frames"]


@dataclass(frozen=True)
class DuplicateFile:
    """A file of a group of duplicates.

    Attributes:
        path: the file.
        duration: in seconds.
        agreement: share of the bits of the fingerprint in which it agrees with the nearest other of the group, or the
            similarity of the embeddings; 1 for files of the same content.
        exact: whether another file of the group has the same content.
    """

    path: str
    duration: float
    agreement: float
    exact: bool


@dataclass(frozen=True)
class DuplicateReport:
    """What was found.

    Attributes:
        groups: files that are copies of each other; the best of each group first: of the highest sample rate, the most
            channels and bits, the longest.
        failed: files that could not be compared, and why.
    """

    groups: list[list[DuplicateFile]]
    failed: list[Failure]


class Duplicates:
    """The search for duplicates in one library: `Library.duplicates`.

    Args:
        folder: the library's.
        store: its rows.
        settings: the library's: how its files are decoded, and how its parts count.
        index: the library's search index.
    """

    def __init__(self, folder: Path, store: Store, settings: LibrarySettings, index: IndexCache) -> None:
        self._folder = folder
        self._store = store
        self._settings = settings
        self._index = index

    def find(
        self,
        *,
        exact: bool = False,
        similar: float | None = None,
        coverage: float = 0.5,
        workers: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> DuplicateReport:
        """Find files that are copies of each other: also coded otherwise, at another rate or level, or trimmed.

        Args:
            exact: find only files of the same content.
            similar: compare embeddings instead of fingerprints: the least similarity of segments of both files, in
                (0, 1]; see `soundloom.library.duplicates.similar_files`. No file is read.
            coverage: least share of the longer sound that its copy must have.
            workers: how many files at a time; as many as there are processors if not given.
            progress: called after every fingerprint that had to be computed: how many are done, of how many.

        Raises:
            InvalidArgumentError: the share or the similarity is not above 0 and at most 1.
        """
        if similar is not None and not 0 < similar <= 1:
            raise InvalidArgumentError(f"the least similarity of a duplicate is above 0 and at most 1, got {similar}")
        if not 0 < coverage <= 1:
            raise InvalidArgumentError(f"the share that a copy must have is above 0 and at most 1, got {coverage}")
        paths: dict[str, list[str]] = defaultdict(list)
        for path, state in sorted(self._store.files().items()):
            paths[state.hash].append(path)
        failed: list[Failure] = []
        matches: dict[tuple[str, str], float] = {}
        if similar is not None:
            matches = self._similar(paths, similar, coverage)
        elif not exact:
            prints = self._fingerprints(paths, failed, workers or os.cpu_count() or 1, progress)
            hashes = sorted(prints)
            found = matching_pairs([prints[one] for one in hashes], coverage=coverage)
            matches = {(hashes[one.first], hashes[one.second]): one.agreement for one in found}
        return DuplicateReport(self._groups(paths, matches), failed)

    def _similar(
        self, paths: Mapping[str, Sequence[str]], limit: float, coverage: float
    ) -> dict[tuple[str, str], float]:
        """Pairs of contents whose embeddings are nearly equal, and how similar they are."""
        content_of = {path: content for content, some in paths.items() for path in some}
        weights = self._settings.balanced_weights()
        pairs = self._index.use(lambda index: similar_files(index, weights, limit, coverage))
        known = {pair: value for pair, value in pairs.items() if content_of.keys() >= set(pair)}
        found = {(content_of[one], content_of[other]): value for (one, other), value in known.items()}
        return {(one, other): value for (one, other), value in found.items() if one != other}

    def _fingerprints(
        self,
        paths: Mapping[str, Sequence[str]],
        failed: list[Failure],
        workers: int,
        progress: Callable[[int, int], None] | None,
    ) -> dict[str, Print]:
        """The fingerprint of every content, from the cache or from the first of its files that can be read."""
        known = read_fingerprints(self._folder)
        missing = [one for one in paths if one not in known]

        def compute(content: str, av: audio.AvProcess) -> Print:
            path = next((path for path in paths[content] if is_there(path)), paths[content][0])
            return fingerprint(audio.stream(path, SAMPLE_RATE, av=av, options=self._settings.decoding))

        for done, (content, result) in enumerate(
            zip(missing, process(missing, compute, workers=workers), strict=True), start=1
        ):
            if isinstance(result, Failed):
                failed.append(Failure(paths[content][0], result.reason))
            else:
                known[content] = result
            if progress is not None:
                progress(done, len(missing))
        prints = {content: known[content] for content in paths if content in known}
        if missing:
            write_fingerprints(self._folder, prints)
        return prints

    def _groups(
        self, paths: Mapping[str, Sequence[str]], matches: Mapping[tuple[str, str], float]
    ) -> list[list[DuplicateFile]]:
        """Files that are connected by the same content or by matches, the best first."""
        best: dict[str, float] = {}
        for pair, agreement in matches.items():
            for content in pair:
                best[content] = max(best.get(content, 0.0), agreement)
        durations, quality = self._store.durations(), self._quality()
        groups = []
        for contents in _connected(paths, matches):
            files = [
                DuplicateFile(
                    path, durations[path], 1.0 if len(paths[content]) > 1 else best[content], len(paths[content]) > 1
                )
                for content in contents
                for path in paths[content]
            ]
            groups.append(sorted(files, key=lambda file: (*quality.get(file.path, ()), -file.duration, file.path)))
        return sorted(groups, key=lambda files: files[0].path)

    def _quality(self) -> dict[str, tuple[int, int, int]]:
        """Path -> rate, channels and bits, the larger the smaller, so that the best is the first."""
        facts = read_facts_table(self._folder)
        if facts is None:
            return {}
        columns = facts.select(["path", "sample_rate", "channels", "bits"]).to_pydict()
        return {path: (-(rate or 0), -(channels or 0), -(bits or 0))
                for path, rate, channels, bits in zip(*columns.values(), strict=True)}  # fmt: skip


def _connected(paths: Mapping[str, Sequence[str]], matches: Mapping[tuple[str, str], float]) -> list[list[str]]:
    """The contents of each group of more than one file."""
    leader = {content: content for content in paths}

    def find(content: str) -> str:
        while leader[content] != content:
            leader[content] = leader[leader[content]]
            content = leader[content]
        return content

    for one, other in matches:
        leader[find(one)] = find(other)
    groups: dict[str, list[str]] = defaultdict(list)
    for content in paths:
        groups[find(content)].append(content)
    return [some for some in groups.values() if len(some) > 1 or len(paths[some[0]]) > 1]
