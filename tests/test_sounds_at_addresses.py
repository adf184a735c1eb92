"""Libraries of sounds at addresses: rows of the same files on disk, kept as buckets change, played, copied, planned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.command_line import run
from helpers.plan_targets import threads_for_processes
from helpers.range_server import serving_files
from helpers.server import API, by_name, refused, served
from soundloom.errors import LibraryError
from soundloom.library import Library
from soundloom.library.indexing.scan import files_below
from soundloom.plans import Plan
from soundloom.remote import file_status, http_ranges, remote_files
from soundloom.remote.remote_files import list_objects

pytestmark = pytest.mark.filterwarnings("ignore")  # of the server's packages

RATE = 8000
NAMES = ("dogs/a.wav", "dogs/b.wav", "owls/c.flac", "owls/deep/d.wav")


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects are looked at anew, and failed requests sent again at once."""
    monkeypatch.setattr(remote_files, "_KEPT_SECONDS", 0.0)
    monkeypatch.setattr(http_ranges, "FIRST_WAIT", 0.001)


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    pytest.importorskip("obstore")
    pytest.importorskip("moto.server")
    from benchmarks.plans import local_s3

    with local_s3("sounds") as bucket:
        yield bucket


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some noises in folders, and what is no sound to index."""
    folder = tmp_path_factory.mktemp("addresses") / "field"
    for number, name in enumerate(NAMES):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).normal(size=RATE * (2 + number))
        soundfile.write(folder / name, 0.1 * np.cumsum(noise) / (10 + number), RATE)
    for name in (".hidden/e.wav", "outtakes/f.wav"):
        (folder / name).parent.mkdir()
        (folder / name).write_bytes((folder / NAMES[0]).read_bytes()[:-2])
    (folder / "notes.txt").write_text("no sound")
    return folder


class Prefix:
    """The objects below an address."""

    def __init__(self, address: str) -> None:
        from soundloom.remote.object_stores import open_object_store

        self.address = address
        bucket, _, prefix = address.removeprefix("s3://").partition("/")
        self.store = open_object_store("s3", bucket, prefix)

    def put(self, name: str, content: bytes) -> None:
        import obstore

        obstore.put(self.store, name, content)

    def rename(self, old: str, new: str) -> None:
        import obstore

        obstore.rename(self.store, old, new)

    def delete(self, name: str) -> None:
        import obstore

        obstore.delete(self.store, name)


@pytest.fixture
def field(bucket: str, folder: Path, tmp_path: Path) -> Prefix:
    """The folder as objects, in a place of each test's own."""
    prefix = Prefix(f"{bucket}/{tmp_path.name}")
    for file in folder.rglob("*"):
        if file.is_file():
            prefix.put(file.relative_to(folder).as_posix(), file.read_bytes())
    return prefix


def indexed(folder: Path, sounds: str | Path, **options: Any) -> Library:
    library = Library.create(folder, "mfcc", window=1.0)
    report = library.add(sounds, exclude=["outtakes/"], **options)
    assert not report.failed
    assert report.left_out.excluded
    return library


def hashes_of(library: Library) -> dict[str, str]:
    rows = library.rows(("path", "hash"))
    return dict(zip(rows["path"].to_pylist(), rows["hash"].to_pylist(), strict=True))


def names_of(library: Library, base: str | Path) -> list[str]:
    return sorted(path.removeprefix(f"{base}/") for path in library.files())


def test_a_prefix_has_the_rows_of_the_folder(field: Prefix, folder: Path, tmp_path: Path) -> None:
    there, here = indexed(tmp_path / "there.loom", field.address), indexed(tmp_path / "here.loom", folder)
    assert names_of(there, field.address) == list(NAMES) == names_of(here, folder)
    columns = ("start", "end", "duration", "size", "hash", "embedding", "notices")
    assert there.rows(columns).equals(here.rows(columns))
    assert [(root.path, root.files, root.absent) for root in there.roots.all()] == [(field.address, 4, False)]
    assert there.facets(["codec"]) == here.facets(["codec"])


def test_ignore_files_of_a_bucket_count_below_their_folders(bucket: str, tmp_path: Path) -> None:
    prefix = Prefix(f"{bucket}/ignored")
    local = tmp_path / "ignored"
    for name in ("a.wav", "in/a.wav", "in/b.wav", "in/deep/a.wav", "in/deep/c.wav", "out/a.wav", "out/b.wav"):
        prefix.put(name, b"RIFF")
        (local / name).parent.mkdir(parents=True, exist_ok=True)
        (local / name).touch()
    for name, patterns in (
        (".soundloomignore", "a.wav\nout/\n"),
        ("in/.soundloomignore", "!a.wav\nb.wav\n/deep/c.wav\n"),
    ):
        prefix.put(name, patterns.encode())
        (local / name).write_text(patterns)
    kept = [sorted(file.path.removeprefix(f"{root}/") for file in files_below([root], {})) for root in
            (prefix.address, str(local))]  # fmt: skip
    assert kept[0] == kept[1] == ["in/a.wav", "in/deep/a.wav"]


def test_a_bucket_that_changes_is_followed(
    field: Prefix, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = indexed(tmp_path / "there.loom", field.address)
    before = hashes_of(library)
    report = library.add()
    assert (report.unchanged, report.new, report.deleted) == (4, 0, 0)
    field.rename("owls/c.flac", "owls/snowy.flac")
    field.put("dogs/a.wav", (folder / "dogs/a.wav").read_bytes() + b"\0\0")
    monkeypatch.setattr("soundloom.library.indexing.losses._LARGEST_SHARE", 0.9)
    field.delete("owls/deep/d.wav")
    report = library.add(field.address)
    assert (report.moved, report.changed, report.unchanged, report.deleted) == (1, 1, 1, 1)
    assert names_of(library, field.address) == ["dogs/a.wav", "dogs/b.wav", "owls/snowy.flac"]
    after = hashes_of(library)
    assert after[f"{field.address}/owls/snowy.flac"] == before[f"{field.address}/owls/c.flac"]
    assert len(library.search(f"{field.address}/owls/snowy.flac", 3)) == 3


def test_objects_of_one_size_and_second_differ_by_their_tags(
    field: Prefix, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, content = f"{field.address}/dogs/a.wav", (folder / "dogs/a.wav").read_bytes()
    first = file_status(address)
    assert dict(list_objects(field.address))[address] == first
    field.put("dogs/a.wav", content[:-2] + bytes([content[-2] ^ 1, content[-1]]))
    monkeypatch.setattr(remote_files, "_REMOTE", remote_files._RemoteFiles())
    second = file_status(address)
    assert second.size == first.size
    assert second.mtime_ns % 10**9 != first.mtime_ns % 10**9


def test_rows_stay_while_the_store_is_not_reached(
    field: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library = indexed(tmp_path / "there.loom", field.address)
    monkeypatch.setattr("soundloom.remote.object_stores.MAX_RETRIES", 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    report = library.add()
    assert [(failure.path, "check the address" in failure.reason) for failure in report.failed] == [
        (field.address, True)
    ]
    assert (len(library.files()), report.deleted) == (4, 0)
    with pytest.raises(OSError, match="check the address"):
        library.add(field.address)


def test_a_moved_folder_is_a_prefix_now_and_back(field: Prefix, folder: Path, tmp_path: Path) -> None:
    library = indexed(tmp_path / "library.loom", folder)
    with pytest.raises(LibraryError, match="there is no folder or file"):
        library.roots.relocate(folder, f"{field.address}/none")
    assert library.roots.relocate(folder, field.address).path == field.address
    assert names_of(library, field.address) == list(NAMES)
    report = library.add()
    assert (report.touched, report.new, report.changed, report.segments) == (4, 0, 0, 0)
    library.roots.relocate(field.address, folder)
    assert names_of(library, folder) == list(NAMES)


def test_hits_are_filtered_left_out_of_themselves_and_copied(field: Prefix, folder: Path, tmp_path: Path) -> None:
    library = indexed(tmp_path / "there.loom", field.address)
    query = f"{field.address}/dogs/a.wav"
    assert {hit.path for hit in library.search(query, 20)} == {f"{field.address}/{name}" for name in NAMES[1:]}
    arguments = ["search", query, "-l", str(library.folder), "--folder", f"{field.address}/owls", "--json"]
    result = run(*arguments, "-k", "20")
    assert result.exit_code == 0, result.output
    assert {hit["path"] for hit in json.loads(result.stdout)} == {f"{field.address}/{name}" for name in NAMES[2:]}
    assert not any(hit["absent"] for hit in json.loads(result.stdout))
    whole, cut = [
        run("search", query, "-l", library.folder, "-k", "20", "--copy-to", *options)
        for options in ([str(tmp_path / "whole")], [str(tmp_path / "cut"), "--cut"])
    ]
    assert (whole.exit_code, cut.exit_code) == (0, 0), whole.output + cut.output
    assert (tmp_path / "whole" / "c.flac").read_bytes() == (folder / "owls/c.flac").read_bytes()
    samples, _ = soundfile.read(tmp_path / "cut" / "b 0-1 s.wav")
    assert np.array_equal(samples, soundfile.read(folder / "dogs/b.wav")[0][:RATE])


def test_the_server_plays_what_is_at_addresses(field: Prefix, folder: Path, tmp_path: Path) -> None:
    library = indexed(tmp_path / "there.loom", field.address)
    with served(library, tmp_path / "cache") as client:
        hit = by_name(client, "b.wav")
        content = (folder / "dogs/b.wav").read_bytes()
        assert hit["folder"] == "dogs"
        assert client.get(f"{API}/segments/{hit['id']}/audio").content == content
        part = client.get(f"{API}/segments/{hit['id']}/audio", headers={"Range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, content[10:20])
        tag = part.headers["etag"]
        assert client.get(f"{API}/segments/{hit['id']}/audio", headers={"If-None-Match": tag}).status_code == 304
        assert client.get(f"{API}/segments/{hit['id']}/thumbnail.webp").status_code == 200
        answer = client.post(f"{API}/segments/{hit['id']}/reveal")
        assert "is an address" in refused(answer, 501, "no_folder")
        field.delete("dogs/b.wav")
        refused(client.get(f"{API}/segments/{hit['id']}/audio"), 404, "gone")


def test_a_plan_of_a_prefix_is_a_plain_index(field: Prefix, tmp_path: Path) -> None:
    expected = indexed(tmp_path / "indexed.loom", field.address)
    library = Library.create(tmp_path / "planned.loom", "mfcc", window=1.0)
    with threads_for_processes():
        plan = Plan.create(library, field.address, f"{field.address}-plan", exclude=["outtakes/"], shard_files=2)
        assert (plan.work(workers=2).files, plan.commit().new) == (4, 4)
    columns = ("path", "start", "end", "size", "mtime_ns", "hash", "embedding")
    library = Library.open(library.folder)
    assert library.rows(columns).equals(expected.rows(columns))
    assert [root.path for root in library.roots.all()] == [field.address]


def test_lists_of_addresses_are_indexed(field: Prefix, folder: Path, tmp_path: Path) -> None:
    with serving_files({"d.wav": (folder / "owls/deep/d.wav").read_bytes()}) as server:
        sounds = [f"{field.address}/dogs/a.wav", f"{server.address}/d.wav", f"{field.address}/none.wav"]
        (tmp_path / "list.txt").write_text("\n".join(sounds))
        library = tmp_path / "library.loom"
        arguments = ["index", "-l", str(library), "-m", "mfcc", "--engine", "torch", "--window", "1"]
        result = run(*arguments, "--files", tmp_path / "list.txt")
        assert result.exit_code == 0, result.output
        assert "2 new" in result.stdout
        assert "none.wav" in result.stderr
        assert set(Library.open(library).files()) == set(sounds[:2])
        result = run("index", (folder / "dogs").as_uri(), "-l", library, "--json")
        assert [json.loads(result.stdout)[name] for name in ("new", "copied")] == [2, 1]
        for wrong in (f"{server.address}/none.wav", f"{field.address}/nothing"):
            result = run("index", wrong, "-l", library)
            assert result.exit_code == 1
            assert "there is nothing at" in result.stderr
