"""Libraries in an object store: the same rows on every machine, changes of several writers kept, crashes survived."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from soundloom.cli import main
from soundloom.errors import LibraryDamagedError, LibraryError, ResourceError
from soundloom.library import Library, SavedSearches
from soundloom.library.mirror import local_copy as mirrors
from soundloom.library.mirror.snapshots import Snapshots
from soundloom.library.mirror.writer_lock import WriterLock
from soundloom.remote.object_storage import FolderStorage, open_storage

pytestmark = pytest.mark.filterwarnings("ignore")  # of the server's packages

RATE = 8000
COLUMNS = ("path", "start", "end", "hash", "tags", "embedding")


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    from benchmarks.plans import local_s3

    with local_s3("libraries") as bucket:
        yield bucket


@pytest.fixture
def address(bucket: str, tmp_path: Path) -> str:
    return f"{bucket}/{tmp_path.name}/field.loom"


@pytest.fixture(autouse=True)
def on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Go on as another machine, which has a cache of its own."""

    def go(machine: str) -> None:
        monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / machine))

    monkeypatch.setattr(mirrors, "_FRESH_SECONDS", 0.0)
    go("one")
    return go


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    (tmp_path / "sounds").mkdir()
    for number in range(4):
        noise = np.random.default_rng(number).normal(size=RATE * 2)
        soundfile.write(tmp_path / "sounds" / f"{number}.wav", 0.1 * np.cumsum(noise) / (10 + number), RATE)
    return tmp_path / "sounds"


def same(one: Library, other: Library) -> None:
    assert one.rows(COLUMNS).equals(other.rows(COLUMNS))


def test_every_operation_is_seen_by_another_machine(
    address: str, sounds: Path, tmp_path: Path, on: Callable[[str], None]
) -> None:
    library = Library.create(address, "mfcc", window=1.0)
    plain = Library.create(tmp_path / "plain.loom", "mfcc", window=1.0)
    on("two")
    reader = Library.open(address)
    assert reader.folder != library.folder
    assert len(reader) == 0
    for one in (library, plain):
        one.add(sounds)
        one.tags.add("owl", [sounds / "1.wav"])
        one.tags.add("dog", [sounds / "2.wav"])
    same(reader, plain)
    hits, expected = ([hit.path for hit in one.search(sounds / "0.wav", 5)] for one in (reader, plain))
    assert hits == expected
    reader.tags.remove("dog", [sounds / "2.wav"])
    SavedSearches(reader.folder).save("owls", "tag:owl")
    (sounds / "3.wav").unlink()
    report = reader.add(prune=True)
    assert (report.deleted, report.unchanged) == (1, 3)
    assert library.tags.counts() == {"owl": 2}
    assert SavedSearches(library.folder).all() == {"owls": "tag:owl"}
    shutil.move(sounds, tmp_path / "moved")
    library.roots.relocate(sounds, tmp_path / "moved")
    assert {Path(path).parent for path in reader.files()} == {tmp_path / "moved"}
    assert reader.roots.forget(tmp_path / "moved") == 3
    assert len(library) == 0


def test_commands_take_an_address(address: str, sounds: Path, tmp_path: Path, on: Callable[[str], None]) -> None:
    def run(*arguments: str | Path) -> str:
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == 0, result.output
        return result.stdout

    result = CliRunner().invoke(main, ["info", "-l", address])
    assert result.exit_code == 1
    assert f"no library at {address!r}" in result.stderr
    made = run("index", sounds, "-l", address, "-m", "mfcc", "--engine", "torch", "--window", "1")
    assert "4 new; 8 segments" in made
    assert f"{address} holds 8 segments" in made
    on("two")
    run("tags", "add", "owl", sounds / "1.wav", "-l", address)
    on("three")
    assert [row["path"] for row in json.loads(run("search", "--tag", "owl", "-l", address, "--json"))] == [
        str(sounds / "1.wav")
    ]
    run("export", "-l", address, "-o", tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_text().count("1.wav") == 2
    run("verify", "-l", address)
    assert json.loads(run("info", address, "--json"))["library"] == address


def test_writers_of_tags_wait_for_each_other(address: str, sounds: Path, on: Callable[[str], None]) -> None:
    Library.create(address, "mfcc", window=1.0).add(sounds)
    machines = []
    for machine in ("one", "two"):
        on(machine)
        machines.append(Library.open(address))

    def write(library: Library, name: str) -> None:
        for number in range(8):
            library.tags.add(f"{name}{number}", [sounds / f"{number % 4}.wav"])

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, machines, "ab"))
    expected = {f"{name}{number}": 2 for name in "ab" for number in range(8)}
    assert machines[0].tags.counts() == expected == machines[1].tags.counts()
    assert len(open_storage(address).keys("writer/")) == 1


def test_a_change_that_is_killed_is_kept_unless_others_have_changed_the_library(
    address: str, sounds: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.create(address, "mfcc", window=1.0)
    library.add(sounds)

    class KilledError(BaseException):
        pass

    def killed(_self: object) -> None:
        raise KilledError

    def edit_killed(tag: str) -> Library:
        mirrors._MIRRORS.clear()
        library = Library.open(address)
        with monkeypatch.context() as patch:
            patch.setattr(mirrors.Mirror, "push", killed)
            with pytest.raises(KilledError):
                library.tags.add(tag, [sounds / "0.wav"])
        mirrors._MIRRORS.clear()
        return Library.open(address)

    assert edit_killed("kept").tags.counts() == {"kept": 2}
    on("two")
    second = Library.open(address)
    assert second.tags.counts() == {}
    on("one")
    Library.open(address).tags.add("next", [sounds / "1.wav"])
    assert second.tags.counts() == {"kept": 2, "next": 2}
    edit_killed("lost")
    second.tags.add("later", [sounds / "1.wav"])
    mirrors._MIRRORS.clear()
    again = Library.open(address)
    assert again.tags.counts() == {"kept": 2, "next": 2, "later": 2} == second.tags.counts()
    same(again, second)


def test_a_writer_that_lost_its_right_publishes_nothing(
    address: str, sounds: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.create(address, "mfcc", window=1.0)
    library.add(sounds)
    on("two")
    other = Library.open(address)
    push = mirrors.Mirror.push

    def push_late(mirror: mirrors.Mirror) -> None:
        monkeypatch.setattr(mirrors.Mirror, "push", push)
        for key in open_storage(address).keys("writer/"):  # as if it had run out
            open_storage(address).delete(key)
        other.tags.add("second", [sounds / "1.wav"])
        push(mirror)

    monkeypatch.setattr(mirrors.Mirror, "push", push_late)
    with pytest.raises(LibraryError, match="open it again, and repeat the change"):
        library.tags.add("first", [sounds / "0.wav"])
    assert other.tags.counts() == {"second": 2}
    mirrors._MIRRORS.clear()
    on("one")
    assert Library.open(address).tags.counts() == {"second": 2}


def test_a_damaged_object_and_an_absent_store_are_named(
    address: str, sounds: Path, on: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    library = Library.create(address, "mfcc", window=1.0)
    library.add(sounds)
    storage = open_storage(address)
    snapshot = Snapshots(storage).read(Snapshots(storage).latest())
    assert snapshot is not None
    key = snapshot.files["roots.json"].key
    content = storage.get(key)
    assert content is not None
    storage.put(key, content.replace(b"sounds", b"sOunds"))
    on("two")
    with pytest.raises(LibraryDamagedError, match=r"'roots.json' of the library .* differs from what was written"):
        Library.open(address)
    storage.delete(key)
    with pytest.raises(LibraryDamagedError, match="lacks files of its snapshot"):
        Library.open(address)
    on("one")
    monkeypatch.setattr("soundloom.remote.object_stores.MAX_RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    assert len(library) == 8  # of the copy
    mirrors._MIRRORS.clear()
    with pytest.raises(ResourceError, match="check the address"):
        Library.open(address)


def test_old_snapshots_and_their_contents_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from soundloom.library.mirror import snapshots
    from soundloom.library.mirror.snapshots import Snapshot, StoredFile

    monkeypatch.setattr(snapshots, "_KEPT", 3)
    storage = FolderStorage(tmp_path / "store")
    every, latest = Snapshots(storage), Snapshot()
    for number in range(1, 9):
        storage.put(f"files/{number}", b"x")
        following = latest.followed_by(
            {"same": StoredFile("files/1", 1, ""), "a": StoredFile(f"files/{number}", 1, "")}
        )
        assert every.publish(following, latest)
        assert not every.publish(following, latest)
        latest = following
    assert every.latest() == 8
    assert storage.keys("states/") == [f"states/{number:010d}.json" for number in (6, 7, 8)]
    assert storage.keys("files/") == [f"files/{number}" for number in (1, 5, 6, 7, 8)]
    assert every.read(8) == latest


def test_contents_that_were_sent_and_never_named_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from soundloom.library.mirror import snapshots
    from soundloom.library.mirror.snapshots import Snapshot, StoredFile

    monkeypatch.setattr(snapshots, "_KEPT", 3)
    storage = FolderStorage(tmp_path / "store")
    every, latest = Snapshots(storage), Snapshot()
    kept, of_killed = [], []
    for number in range(1, 7):
        keys = [every.content_key(number, "abc") for _ in range(2)]
        for key in keys:
            storage.put(key, b"x")
        kept.append(keys[0])
        of_killed.append(keys[1])
        if number == 6:  # somebody sends for the next
            storage.put(being_sent := every.content_key(7, "abc"), b"x")
        following = latest.followed_by({"a": StoredFile(keys[0], 1, "")})
        assert every.publish(following, latest)
        latest = following
    assert storage.keys("files/") == sorted([*kept[2:], being_sent])


def test_the_lock_goes_to_one_writer_and_on_when_it_dies(tmp_path: Path) -> None:
    storage, now = FolderStorage(tmp_path / "store"), [100.0]
    lock = WriterLock(storage, 60.0, clock=lambda: now[0])
    with lock.held(0), pytest.raises(LibraryError, match="is being changed by"), lock.held(0.05):
        pass
    with lock.held(0):
        pass
    dead = lock.held(0)
    dead.__enter__()
    with pytest.raises(LibraryError, match="is being changed by"), lock.held(0.05):
        pass
    now[0] += 61
    with lock.held(0):
        assert len(storage.keys("writer/")) == 1
    dead.__exit__(None, None, None)
