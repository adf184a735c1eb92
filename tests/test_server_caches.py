"""Caches of the server: files made from sounds within a limit of bytes, and values in memory made once."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from soundloom.lru_cache import LruCache
from soundloom.server.media import file_cache
from soundloom.server.media.file_cache import FileCache


def test_the_cache_stays_within_its_bound_and_drops_what_was_used_longest_ago(tmp_path: Path) -> None:
    cache = FileCache(tmp_path, 100_000)

    def entry(number: int) -> bytes:
        with cache.open(["entry", number], lambda out: Path(out).write_bytes(bytes([number]) * 5000)) as file:
            return file.read()

    for number in range(60):
        assert entry(number) == bytes([number]) * 5000
        entry(0)
        time.sleep(0.002)
    kept = list(tmp_path.glob("??/*"))
    assert sum(path.stat().st_size for path in kept) <= 100_000
    assert {path.read_bytes()[0] for path in kept} >= {0, 59}
    assert not list(tmp_path.glob("*.making"))


@pytest.mark.parametrize("damage", ["flip", "cut", "append"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    content, made = bytes(range(256)) * 40, []

    def entry(cache: FileCache) -> bytes:
        with cache.open("key", lambda out: made.append(Path(out).write_bytes(content))) as file:
            return file.read()

    assert entry(FileCache(tmp_path, 10**6)) == content
    (path,) = tmp_path.glob("??/*")
    status = path.stat()
    odd = {"flip": b"\x01" + content[1:], "cut": content[:-1], "append": content + b"x"}[damage]
    path.write_bytes(odd)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    cache = FileCache(tmp_path, 10**6)
    assert entry(cache) == content
    assert "damaged" in caplog.text
    assert entry(cache) == content
    assert len(made) == 2


def test_an_entry_is_read_once_to_be_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache, checked = FileCache(tmp_path, 10**6), []
    monkeypatch.setattr(file_cache, "_length_and_checksum", lambda path: checked.append(path) or "7.00000000")
    for _ in range(3):
        cache.open("key", lambda out: Path(out).write_bytes(b"content")).close()
    assert len(checked) == 2, "when it is made, and when it is first opened"


def test_an_entry_is_made_once_and_not_kept_when_making_it_fails(tmp_path: Path) -> None:
    cache, made = FileCache(tmp_path, 10_000), []

    def make(out: str) -> None:
        made.append(out)
        time.sleep(0.1)
        Path(out).write_bytes(b"content")

    answers: list[bytes] = []

    def ask() -> None:
        with cache.open("key", make) as file:
            answers.append(file.read())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), answers) == (1, [b"content"] * 8)

    def fail(out: str) -> None:
        Path(out).write_bytes(b"half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        cache.open("other", fail)
    assert len(list(tmp_path.glob("**/*.making"))) == 0
    with cache.open("other", lambda out: Path(out).write_bytes(b"whole")) as file:
        assert file.read() == b"whole"


def test_recent_values_are_made_once_and_forgotten_in_turn() -> None:
    recent: LruCache[int] = LruCache(2)
    made: list[str] = []

    def value(key: str) -> int:
        return recent.get(key, lambda: made.append(key) or len(made))

    assert [value(key) for key in "ababcab"] == [1, 2, 1, 2, 3, 4, 5]
    with pytest.raises(ZeroDivisionError):
        recent.get("x", lambda: 1 // 0)
    assert recent.get("x", lambda: 7) == 7
