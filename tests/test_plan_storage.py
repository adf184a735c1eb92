"""Where plans are kept: folders and buckets; what is none, or does not answer, is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from helpers.small_plans import RATE, same_library
from soundloom.errors import (
    AudioError,
    InvalidArgumentError,
    LibraryError,
    ResourceError,
)
from soundloom.library import Library
from soundloom.plans import Plan
from soundloom.plans.lease import Leases
from soundloom.plans.plan_file import marked_shards
from soundloom.remote.object_storage import FolderStorage, ObjectStorage, open_storage

pytestmark = pytest.mark.usefixtures("embedding_in_threads")


def check_storage(storage: ObjectStorage) -> None:
    """What every storage promises."""
    assert storage.get("a/1.json") is None
    assert storage.keys("a/") == []
    assert storage.create("a/1.json", b"first")
    assert not storage.create("a/1.json", b"second")
    assert storage.get("a/1.json") == b"first"
    storage.put("a/1.json", b"third")
    storage.put("a/2/b.json", b"")
    storage.put("ab/3.json", b"x")
    assert storage.get("a/1.json") == b"third"
    assert storage.get("a/2/b.json") == b""
    assert storage.keys("a/") == ["a/1.json", "a/2/b.json"]
    storage.delete("a/1.json")
    storage.delete("a/1.json")
    assert storage.keys("a/") == ["a/2/b.json"]
    assert storage.create("a/1.json", b"again")


def test_a_folder_is_a_storage(tmp_path: Path) -> None:
    check_storage(FolderStorage(tmp_path / "plan"))
    assert not [path for path in tmp_path.rglob("*") if "writing" in path.name]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("", "is empty"),
        ("ftp://host/plan", "nothing can be kept at 'ftp://"),
        ("s3://bucket", "write s3://BUCKET/PREFIX"),
    ],
)
def test_other_addresses_are_refused(address: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        open_storage(address)


@pytest.mark.filterwarnings("ignore")  # of the server's packages
def test_a_bucket_is_a_storage_and_a_plan_in_it_is_committed(plan: Plan, indexed_sounds: Library) -> None:
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    from benchmarks.plans import local_s3

    with local_s3("bucket") as bucket:
        check_storage(open_storage(f"{bucket}/checked"))
        storage, local = open_storage(f"{bucket}/plans/1"), Path(plan.address)
        with pytest.raises(LibraryError, match="no plan at 's3://bucket/plans/1'"):
            Plan.open(storage.address)
        for path in sorted(path for path in local.rglob("*") if path.is_file()):
            storage.put(path.relative_to(local).as_posix(), path.read_bytes())
        second = Plan.open(storage.address)
        shard = min(marked_shards(storage, "done"))
        lease = Leases(storage, 60, "me").acquire(shard)
        assert lease is not None
        assert lease.number == 1
        assert Leases(storage, 60, "you").acquire(shard) is None
        assert second.status().done == 11
        assert second.commit().new == 10
        same_library(Library.open(plan.file.library), indexed_sounds)
        assert second.status().committed == 11
        check_sound_in(bucket, Path(min(indexed_sounds.files())))


def check_sound_in(bucket: str, sound: Path) -> None:
    """A sound in a bucket has the samples of the file."""
    import obstore

    from soundloom import audio
    from soundloom.remote.object_stores import open_object_store

    obstore.put(open_object_store("s3", "bucket"), "birds/day 1.wav", sound.read_bytes())
    found = audio.read(f"{bucket}/birds/day 1.wav", RATE, start=0.25, end=0.5)
    assert np.array_equal(found, audio.read(sound, RATE, start=0.25, end=0.5))
    with pytest.raises(AudioError, match="no such object in the bucket"):
        audio.read(f"{bucket}/birds/none.wav", RATE)


def test_an_object_store_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("obstore")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("soundloom.remote.object_stores.MAX_RETRIES", 1)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with pytest.raises(ResourceError, match=r"s3://bucket/plan: .*check the address, AWS_REGION"):
        Plan.open("s3://bucket/plan")
