"""Plans whose workers and committers die: each file has its rows once, leases expire, files that kill are set aside."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.plan_targets import threads_for_processes
from soundloom.errors import ResourceError
from soundloom.library import Library
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.plans import Plan
from soundloom.plans.embedding_process import EmbeddingProcess
from soundloom.plans.fragment import FileResult
from soundloom.plans.lease import Leases, deadly_files, record_death
from soundloom.plans.plan_file import Shard
from soundloom.plans.shard_process import ModelSource
from soundloom.plans.worker import SERVE, Worker
from soundloom.remote.object_storage import FolderStorage

RATE = 8000
COLUMNS = ("path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding", "notices", "decoder")


def make_sounds(folder: Path, count: int) -> Path:
    """Noises of half a second, each another one."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number:03}.wav", 0.1 * rng.normal(size=RATE // 2), RATE)
    return folder


def make_plan(folder: Path, *, files: int, shard_files: int, lease_seconds: float = 120.0) -> Plan:
    sounds = make_sounds(folder / "sounds", files)
    library = Library.create(folder / "planned.loom", "mfcc")
    return Plan.create(library, sounds, folder / "plan", shard_files=shard_files, lease_seconds=lease_seconds)


class CrashedError(BaseException):
    """The process is gone."""


class CrashingStorage(FolderStorage):
    """A folder that ends its process at the n-th change, before it or after; nothing reaches the folder afterwards."""

    def __init__(self, folder: Path, changes: int, *, after: bool) -> None:
        super().__init__(folder)
        self._left, self._after, self._crashed = changes, after, False

    def get(self, key: str) -> bytes | None:
        if self._crashed:
            raise CrashedError
        return super().get(key)

    def _written(self, key: str, content: bytes) -> Path:
        # What the heartbeat of a lease writes depends on the clock, so it is no moment to crash at.
        renewal = key.startswith("leases/") and not json.loads(content)["released"] and key in self.keys("leases/")
        self._left -= not renewal
        if self._crashed or (self._left <= 0 and not self._after and not renewal):
            self._crashed = True
            raise CrashedError
        self._crashed = self._left <= 0 and not renewal
        return super()._written(key, content)


@pytest.mark.parametrize("seed", range(3))
def test_each_file_has_its_rows_once_wherever_workers_and_committers_crash(tmp_path: Path, seed: int) -> None:
    plan = make_plan(tmp_path, files=8, shard_files=2, lease_seconds=0.05)
    indexed = Library.create(tmp_path / "indexed.loom", "mfcc")
    indexed.add(tmp_path / "sounds")
    rng, crashes = random.Random(seed), 0
    with threads_for_processes():
        for turn in range(16):
            storage = CrashingStorage(Path(plan.address), rng.randint(1, 6), after=rng.random() < 0.5)
            dying = Plan(storage, plan.file)
            try:
                dying.commit() if turn % 4 == 3 else dying.work(workers=1)
            except CrashedError:
                crashes += 1
            done = FolderStorage(Path(plan.address)).keys("done/")
            if len(done) > 2:  # issued again, as if somebody had not seen that it is done
                chosen = Path(rng.choice(done)).name
                for kind in ("done", "committed"):
                    FolderStorage(Path(plan.address)).delete(f"{kind}/{chosen}")
        assert crashes > 8
        plan.work(workers=2)
    plan.commit()
    found = Library.open(plan.file.library)
    assert found.failures() == []
    assert found.rows(COLUMNS).equals(indexed.rows(COLUMNS))
    assert read_facts_table(found.folder).equals(read_facts_table(indexed.folder))


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_it_had_done(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, files=40, shard_files=40)
    (shard,) = (Shard.read(FolderStorage(Path(plan.address)), shard) for shard in plan.file.shards)
    process, results = EmbeddingProcess(ModelSource(plan.file.settings), SERVE), list[FileResult]()

    def take(result: FileResult) -> None:
        results.append(result)
        process.stop()

    try:
        death = process.embed(shard.files, take)
    finally:
        process.close()
    assert death is not None
    assert death.cause == "SIGKILL"
    assert 0 < len(results) < 40
    assert [result.path for result in results] == [file.path for file in shard.files[: len(results)]]


@pytest.fixture
def in_threads() -> Iterator[None]:
    with threads_for_processes():
        yield


@pytest.mark.usefixtures("in_threads")
def test_files_on_which_processes_die_are_set_aside(tmp_path: Path) -> None:
    folder = make_sounds(tmp_path / "sounds", 2)
    for name in ("fault", "memory"):
        (folder / f"{name}.wav").write_bytes((folder / "000.wav").read_bytes())
    plan = Plan.create(Library.create(tmp_path / "library.loom", "mfcc"), folder, tmp_path / "plan", shard_files=99)
    storage, source = FolderStorage(tmp_path / "plan"), ModelSource(plan.file.settings)
    Worker(storage, plan.file, source, processes=1, target="helpers.plan_targets:die_on_files").run()
    reasons = {Path(failure.path).name: failure.reason for failure in plan.commit().failed}
    assert reasons == {
        "fault.wav": "set aside: 2 processes died while they worked on it (SIGSEGV)",
        "memory.wav": "set aside: 3 processes died while they worked on it (SIGKILL)",
    }
    assert [Path(path).name for path in Library.open(plan.file.library).files()] == ["000.wav", "001.wav"]


@pytest.mark.usefixtures("in_threads")
def test_processes_that_end_before_they_begin_end_the_work(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, files=1, shard_files=1)
    storage, source = FolderStorage(tmp_path / "plan"), ModelSource(plan.file.settings)
    with pytest.raises(ResourceError, match=r"3 processes in a row ended \(code 3\) before they began a file"):
        Worker(storage, plan.file, source, processes=1, target="helpers.plan_targets:die_at_once").run()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_lease_is_one_worker_s_until_it_runs_out(tmp_path: Path) -> None:
    clock, storage = Clock(), FolderStorage(tmp_path)
    mine, yours = (Leases(storage, 60, name, clock) for name in ("mine", "yours"))
    lease = mine.acquire("a")
    assert lease is not None
    assert yours.acquire("a") is None
    clock.now += 50
    lease.renew()
    clock.now += 50
    assert yours.acquire("a") is None
    assert {shard: lease.holder for shard, lease in mine.held({"a", "b"}).items()} == {"a": "mine"}
    lease.release()
    lease.renew()  # by another thread, too late
    again = yours.acquire("a")
    assert again is not None
    assert not again.careful
    clock.now += 61
    assert {shard: lease.holder for shard, lease in mine.held({"a"}).items()} == {}
    assert mine.acquire("a") is not None


def test_after_two_lost_leases_files_are_noted_and_a_file_that_loses_three_is_set_aside(tmp_path: Path) -> None:
    clock, storage = Clock(), FolderStorage(tmp_path)
    careful = []
    for number in range(6):
        lease = Leases(storage, 60, f"worker {number}", clock).acquire("a")
        assert lease is not None
        careful.append(lease.careful)
        assert deadly_files(storage, lease).keys() == ({"x.wav"} if number == 5 else set())
        if lease.careful:
            lease.note("fine.wav")
            lease.note("x.wav")
        clock.now += 61
    assert careful == [False, False, True, True, True, True]


def test_a_death_by_a_fault_counts_more_than_a_kill(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    lease = Leases(storage, 60, "me").acquire("a")
    assert lease is not None
    for cause in ("SIGKILL", "SIGKILL"):
        record_death(storage, "a", "x.wav", cause)
    record_death(storage, "a", "y.wav", "SIGSEGV")
    assert deadly_files(storage, lease) == {}
    record_death(storage, "a", "y.wav", "SIGKILL")
    assert list(deadly_files(storage, lease)) == ["y.wav"]


def test_a_shard_that_is_done_leaves_no_lease(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, files=4, shard_files=2)
    storage = FolderStorage(Path(plan.address))
    lost = Leases(storage, -1, "lost").acquire(next(iter(plan.file.shards)))
    assert lost is not None
    with threads_for_processes():
        plan.work(workers=1)
    assert plan.status().done == 2
    assert storage.keys("leases/") == []
