"""Cache of teachers' targets on disk: computed once for a teacher and a set of windows, resumed where it stopped.

    CACHE/targets/DIGEST/embeddings.npy, scores.npy      half precision, a row a window
    CACHE/targets/DIGEST/done                            rows that are computed

The digest is of the teacher and of the windows' sounds.
"""

from __future__ import annotations

import hashlib
import logging
import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from jaxtyping import Bool, Int

from soundloom.cache_folder import cache_home
from soundloom.objectives.distillation_windows import MixtureWindows
from soundloom.objectives.teachers import Targets, Teacher
from soundloom.one_thread import one_thread

__all__ = ["TargetTable", "targets_of"]

_log = logging.getLogger(__name__)

# Windows that a teacher is given at a time, and that are written at a time.
_AT_ONCE = 64
_BLOCK = 64 * _AT_ONCE


class TargetTable:
    """Targets of every window by one teacher.

    Attributes:
        embeddings: [windows, dim], float16.
        scores: [windows, classes], float16; None for a teacher without class scores.
    """

    def __init__(self, embeddings: np.ndarray, scores: np.ndarray | None) -> None:
        self.embeddings = embeddings
        self.scores = scores

    def of(self, chosen: Bool[np.ndarray, " windows"]) -> TargetTable:
        """The targets of some windows."""
        return TargetTable(self.embeddings[chosen], None if self.scores is None else self.scores[chosen])


def targets_of(windows: MixtureWindows, teacher: Teacher, folder: Path | None = None) -> TargetTable:
    """The targets of windows, from the cache as far as they are there.

    Args:
        windows: whose.
        teacher: by which model.
        folder: the cache; ``targets`` in the user's cache if not given.
    """
    place = (folder or cache_home() / "targets") / _digest(windows, teacher)
    place.mkdir(parents=True, exist_ok=True)
    sizes = {"embeddings": teacher.dim} | ({"scores": len(teacher.classes)} if teacher.classes else {})
    with FileLock(place / "lock"):
        tables = {name: _opened(place / f"{name}.npy", (len(windows), size)) for name, size in sizes.items()}
        done = _rows_done(place)
        for begin in range(done, len(windows), _BLOCK):
            end = min(begin + _BLOCK, len(windows))
            pieces = [np.arange(first, min(first + _AT_ONCE, end)) for first in range(begin, end, _AT_ONCE)]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for chosen, targets in zip(pieces, pool.map(partial(_ask, windows, teacher), pieces), strict=True):
                    for name, table in tables.items():
                        values: torch.Tensor = getattr(targets, name)
                        table[chosen] = values.numpy().astype(np.float16)
            for table in tables.values():
                table.flush()
            (place / "done").write_text(str(end), encoding="ascii")
            _log.info("%s: targets of %d of %d windows", teacher.name, end, len(windows))
    return TargetTable(tables["embeddings"], tables.get("scores"))


def _ask(windows: MixtureWindows, teacher: Teacher, chosen: Int[np.ndarray, " chosen"]) -> Targets:
    """The targets of some windows, on one thread, so that their bits do not depend on how many there are."""
    with one_thread:
        return teacher.targets(windows.render(chosen))


def _opened(path: Path, shape: tuple[int, int]) -> np.memmap:
    if path.is_file():
        table: np.memmap = np.load(path, mmap_mode="r+")
        if table.shape == shape:
            return table
    made: np.memmap = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    return made


def _rows_done(place: Path) -> int:
    try:
        return int((place / "done").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _digest(windows: MixtureWindows, teacher: Teacher) -> str:
    """What decides the targets: the teacher, which sounds are mixed how, and the sounds themselves."""
    digest = hashlib.blake2b(f"1 {teacher.identity} {windows.rows}".encode(), digest_size=16)
    for table in (windows.clips, windows.starts, windows.levels):
        digest.update(np.ascontiguousarray(table).tobytes())
    dataset = windows.dataset
    for clip in np.unique(windows.clips[windows.clips >= 0]):
        rows = dataset.take(np.array([clip]), np.array([0]), int(dataset.lengths[clip]))
        digest.update(rows.numpy().tobytes())
    return digest.hexdigest()
