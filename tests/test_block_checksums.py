"""Blocks of files that are compared with their checksums: each that is read, once, several from a disk at a time."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from soundloom.errors import CacheDamagedError
from soundloom.library.storage.block_checksums import BLOCK_BYTES, CheckedFile, FileChecksum


def test_damage_of_blocks_that_no_search_reads_costs_nothing(tmp_path: Path) -> None:
    data = np.random.default_rng(0).bytes(10 * BLOCK_BYTES + 5)
    file = tmp_path / "file"
    file.write_bytes(data)
    sums = FileChecksum.from_json(FileChecksum.of(file).to_json())
    assert (sums.bytes, len(sums.blocks)) == (len(data), 11)
    CheckedFile(file, sums).check_all()
    damage = bytearray(data)
    damage[6 * BLOCK_BYTES + 100] ^= 1
    file.write_bytes(damage)
    damaged = CheckedFile(file, sums)
    damaged.check(0, 6 * BLOCK_BYTES)
    damaged.check_ranges(np.array([7 * BLOCK_BYTES, 8]), np.array([len(data), 9]))
    damaged.check_ranges(np.array([6 * BLOCK_BYTES + 9]), np.array([6 * BLOCK_BYTES + 9]))
    with pytest.raises(CacheDamagedError, match="393,216"):
        damaged.check(6 * BLOCK_BYTES - 1, 6 * BLOCK_BYTES + 1)
    with pytest.raises(CacheDamagedError):
        damaged.check_all()


def test_blocks_anywhere_in_a_file_are_announced_before_they_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.write_bytes(np.random.default_rng(0).bytes(100 * 4096))
    checked = CheckedFile(file, FileChecksum.of(file, 4096))
    calls: list[tuple[str, int]] = []
    pread = os.pread
    monkeypatch.setattr(os, "POSIX_FADV_WILLNEED", 3, raising=False)
    monkeypatch.setattr(os, "posix_fadvise", lambda _, first, *__: calls.append(("announced", first)), raising=False)
    monkeypatch.setattr(os, "pread", lambda *given: calls.append(("read", given[2])) or pread(*given))
    rows = 4096 * np.array([7, 90, 42])
    checked.check_ranges(rows, rows + 512)
    assert calls == [(what, first) for what in ("announced", "read") for first in sorted(rows.tolist())]
    calls.clear()
    checked.check_ranges(rows, rows + 512)  # checked before: nothing is read
    checked.check(0, 1)  # a single block
    assert calls == [("read", 0)]
