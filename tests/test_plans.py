"""Plans: rows of a plain index wherever they are embedded, each file once whatever is killed, bad files set aside."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from helpers.documentation import commands_in, fenced, parse
from helpers.plan_targets import threads_for_processes
from soundloom.cli import main
from soundloom.errors import (
    AudioError,
    InvalidArgumentError,
    LibraryDamagedError,
    LibraryError,
    ModelMismatchError,
    ResourceError,
)
from soundloom.library import Library
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.library.storage.root_registry import RootRegistry
from soundloom.plans import Plan, fragment_commit
from soundloom.plans.fragment import decode_fragment, encode_fragment
from soundloom.plans.lease import Leases
from soundloom.plans.plan_file import finished_shards, read_json
from soundloom.plans.shard_process import ModelSource
from soundloom.remote.object_storage import FolderStorage, ObjectStorage, open_storage

RATE = 8000
COLUMNS = ("path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding", "notices", "decoder")


def make_sounds(folder: Path, count: int = 9) -> Path:
    """Noises of one to three seconds, a silence, and a file that is no sound."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        soundfile.write(folder / f"{number:03}.wav", 0.1 * rng.normal(size=RATE * (1 + number % 3) + number), RATE)
    soundfile.write(folder / "silence.wav", np.zeros(RATE), RATE)
    (folder / "broken.wav").write_bytes(b"no sound at all")
    return folder


def same_library(one: Library, other: Library) -> None:
    """Rows, facts, failures and roots of two libraries are the same, bit for bit."""
    assert one.rows(COLUMNS).equals(other.rows(COLUMNS))
    assert one.failures() == other.failures()
    assert read_facts_table(one.folder).equals(read_facts_table(other.folder))
    assert RootRegistry(one.folder).paths() == RootRegistry(other.folder).paths()


@pytest.fixture(scope="module", autouse=True)
def no_processes() -> Iterator[None]:
    """Files are embedded in threads."""
    with threads_for_processes():
        yield


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_sounds(tmp_path_factory.mktemp("plans") / "sounds")


@pytest.fixture(scope="module")
def indexed(sounds: Path) -> Library:
    """What a plain index makes of the sounds."""
    library = Library.create(sounds.parent / "indexed.loom", "mfcc", window=1.0)
    library.add(sounds)
    return library


@pytest.fixture(scope="module")
def finished(sounds: Path) -> Plan:
    """A plan of the sounds that two workers have worked on, and that is not committed."""
    plan = Plan.create(
        Library.create(sounds.parent / "planned.loom", "mfcc", window=1.0), sounds, sounds.parent / "plan"
    )
    report = plan.work(workers=2)
    assert (report.shards, report.files, report.failed) == (11, 11, 1)
    return plan


@pytest.fixture
def plan(finished: Plan, tmp_path: Path) -> Plan:
    """The same for a library of its own, of which a test may do what it likes."""
    import shutil

    folder = Library.create(tmp_path / "library.loom", "mfcc", window=1.0).folder
    shutil.copytree(finished.address, tmp_path / "plan")
    data = json.loads((tmp_path / "plan" / "plan.json").read_text())
    (tmp_path / "plan" / "plan.json").write_text(json.dumps({**data, "library": str(folder)}))
    return Plan.open(tmp_path / "plan")


def test_a_committed_plan_is_a_plain_index(plan: Plan, indexed: Library) -> None:
    report = plan.commit()
    assert (report.new, len(report.failed)) == (10, 1)
    same_library(Library.open(plan.file.library), indexed)


def test_a_commit_that_is_repeated_adds_nothing(plan: Plan, indexed: Library) -> None:
    plan.commit()
    for mark in Path(plan.address).glob("committed/*"):
        mark.unlink()
    assert plan.commit().segments == 0
    assert plan.commit().segments == 0
    same_library(Library.open(plan.file.library), indexed)


@pytest.mark.parametrize("where", ["update_facts", "Store.append before", "Store.append after", "compact"])
def test_a_commit_that_is_killed_is_finished_by_the_next(
    plan: Plan, indexed: Library, where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from soundloom.library.storage.store import Store

    class KilledError(BaseException):
        pass

    append = Store.append

    def killed(*_arguments: Any, **_options: Any) -> None:
        raise KilledError

    def killed_after(store: Store, rows: Any) -> None:
        append(store, rows)
        raise KilledError

    with monkeypatch.context() as patch:
        if where == "update_facts":
            patch.setattr(fragment_commit, "update_facts", killed)
        elif where == "compact":
            patch.setattr(Store, "compact", killed)
        else:
            patch.setattr(Store, "append", killed_after if where.endswith("after") else killed)
        patch.setattr(fragment_commit, "FLUSH_ROWS", 3)
        with pytest.raises(KilledError):
            plan.commit()
    plan.commit()
    same_library(Library.open(plan.file.library), indexed)


def test_a_library_that_has_learned_of_a_file_meanwhile_keeps_it(plan: Plan, sounds: Path, indexed: Library) -> None:
    library = Library.open(plan.file.library)
    library.add(sounds / "003.wav")
    assert plan.commit(library).new == 9
    assert library.rows(COLUMNS).equals(indexed.rows(COLUMNS))


def test_a_library_that_was_open_while_another_process_added_adds_nothing_twice(plan: Plan, indexed: Library) -> None:
    library = Library.open(plan.file.library)
    assert len(library) == 0
    plan.commit()
    assert plan.commit(library).segments == 0
    assert len(library) == len(indexed)
    late = Library.open(plan.file.library)
    assert len(late) == len(indexed)
    Library.open(plan.file.library).add(make_sounds(Path(plan.address) / "more", 1))
    assert late.add(Path(plan.address) / "more").new == 0
    assert len(late) == len(indexed) + 2


def test_a_file_that_changed_is_planned_and_its_rows_are_replaced(plan: Plan, tmp_path: Path) -> None:
    folder = make_sounds(tmp_path / "mine", 2)
    library = Library.open(plan.file.library)
    library.add(folder)
    library.tags.add("loud", [str(folder / "001.wav")])
    soundfile.write(folder / "001.wav", 0.2 * np.random.default_rng(1).normal(size=2 * RATE), RATE)
    second = Plan.create(library, folder, tmp_path / "second")
    assert second.report is not None
    # Without rows, the broken file is new to every plan, as it is to every index.
    assert (second.report.files, second.report.unchanged) == (2, 2)
    second.work(workers=1)
    assert second.commit(library).changed == 1
    other = Library.create(tmp_path / "other.loom", "mfcc", window=1.0)
    other.add(folder)
    untagged = [name for name in COLUMNS if name != "tags"]
    assert library.rows(untagged).equals(other.rows(untagged))
    assert [tags for tags in library.rows(["tags"])["tags"].to_pylist() if tags] == [["loud"], ["loud"]]


def test_what_was_moved_is_left_to_index(plan: Plan, tmp_path: Path) -> None:
    folder = make_sounds(tmp_path / "mine", 2)
    library = Library.open(plan.file.library)
    library.add(folder)
    (folder / "000.wav").rename(folder / "renamed.wav")
    report = Plan.create(library, folder, tmp_path / "second").report
    assert report is not None
    assert (report.files, report.held) == (1, 1)


def test_a_second_plan_at_one_place_is_refused(plan: Plan, sounds: Path) -> None:
    with pytest.raises(LibraryError, match="there is a plan at"):
        Plan.create(Library.open(plan.file.library), sounds, plan.address)
    with pytest.raises(LibraryError, match="no plan at"):
        Plan.open(sounds)


@pytest.mark.parametrize("change", [{"fingerprint": "0" * 64}, {"engine": "other"}, {"window": 2.0, "hop": 2.0}])
def test_a_plan_for_another_model_engine_or_window_is_not_committed(plan: Plan, change: dict[str, Any]) -> None:
    library = Library.open(plan.file.library)
    replace(library.settings, **change).write(library.folder)
    with pytest.raises(LibraryError, match=f"made otherwise .*{next(iter(change))}"):
        plan.commit()


def test_a_shard_of_another_model_is_not_committed(plan: Plan) -> None:
    done = next(Path(plan.address).glob("done/*.json"))
    done.write_text(json.dumps({**json.loads(done.read_text()), "identity": "0" * 32}))
    with pytest.raises(LibraryError, match="embedded by another model"):
        plan.commit()


@pytest.mark.parametrize("damage", [lambda content: content[:-9], lambda content: content[:99] + b"x" + content[100:]])
def test_a_damaged_fragment_is_not_committed(plan: Plan, damage: Any) -> None:
    for fragment in Path(plan.address).glob("fragments/*"):
        fragment.write_bytes(damage(fragment.read_bytes()))
    with pytest.raises(LibraryDamagedError, match="differs from what was written: remove 'done/"):
        plan.commit()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fingerprint": "0" * 64}, "another version of 'mfcc'"),
        ({"engine": "onnxruntime on tpu"}, "rounds differently"),
    ],
)
@pytest.mark.filterwarnings("ignore:these embeddings were made by the engine")
def test_a_worker_refuses_another_model_or_engine(plan: Plan, change: dict[str, Any], message: str) -> None:
    settings = replace(plan.file.settings, **change)
    with pytest.raises(ModelMismatchError, match=message):
        ModelSource(settings).load()


def test_a_worker_s_refusal_ends_the_work_and_gives_the_shards_back(plan: Plan) -> None:
    for done in Path(plan.address).glob("done/*"):
        done.unlink()
    settings = replace(plan.file.settings, fingerprint="0" * 64)
    with pytest.raises(ModelMismatchError, match="another version of 'mfcc'"):
        Plan(open_storage(plan.address), replace(plan.file, settings=settings)).work(workers=1)
    assert plan.status().leased == 0


def test_the_first_of_two_workers_that_did_a_shard_counts(plan: Plan, indexed: Library) -> None:
    done = sorted(Path(plan.address).glob("done/*.json"))
    first = {path.name: path.read_bytes() for path in done}
    storage = open_storage(plan.address)
    for path in done:
        assert not storage.create(f"done/{path.name}", b"{}")
    assert {path.name: path.read_bytes() for path in done} == first
    # A shard that is issued again, to a worker that has not seen that it is done.
    done[0].unlink()
    report = plan.work(workers=1)
    assert (report.shards, report.files) == (1, 1)
    assert len(storage.keys("fragments/")) == len(done) + 1
    plan.commit()
    same_library(Library.open(plan.file.library), indexed)
    named = {read_json(storage, f"done/{path.name}")["fragment"] for path in done}
    assert set(storage.keys("fragments/")) == named


def test_a_worker_that_is_second_removes_its_fragment(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    done = sorted(Path(plan.address).glob("done/*.json"))
    create = FolderStorage.create

    def create_second(self: FolderStorage, key: str, content: bytes) -> bool:
        if key == f"done/{done[0].name}":
            assert create(self, key, first)
        return create(self, key, content)

    first = done[0].read_bytes()
    done[0].unlink()
    before = open_storage(plan.address).keys("fragments/")
    monkeypatch.setattr(FolderStorage, "create", create_second)
    assert plan.work(workers=1).repeated == 1
    assert open_storage(plan.address).keys("fragments/") == before


def test_status_counts_shards_and_names_failures(plan: Plan) -> None:
    status = plan.status()
    assert (status.shards, status.done, status.committed, status.leased) == (11, 11, 0, 0)
    assert (status.files, status.files_done, status.seconds_left) == (11, 11, 0.0)
    assert status.rate is not None
    assert status.rate > 0
    assert [Path(failure.path).name for failure in status.failed] == ["broken.wav"]
    next(Path(plan.address).glob("done/*.json")).unlink()
    status = plan.status()
    assert (status.done, status.files_done) == (10, 10)
    assert status.seconds_left is not None
    assert status.seconds_left > 0


def test_a_fragment_keeps_every_bit(plan: Plan) -> None:
    for path in Path(plan.address).glob("fragments/*.arrow"):
        content = path.read_bytes()
        assert encode_fragment(list(decode_fragment(content))) == content
    with pytest.raises(LibraryDamagedError, match="cannot be read"):
        list(decode_fragment(b"ARROW1"))


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


def test_commands_plan_work_commit_and_show(sounds: Path, indexed: Library, tmp_path: Path) -> None:
    def run(*arguments: str | Path, code: int = 0) -> str:
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result.output

    plan, library = tmp_path / "plan", tmp_path / "library.loom"
    model = ("-m", "mfcc", "--engine", "torch", "--window", "1")
    said = run("plan", sounds, "-l", library, "-o", plan, *model, "--shard-files", "6")
    assert "11 files of 0.00 GB in 2 shards; 0 unchanged" in said
    assert "0 of 2 shards done" in run("status", plan)
    assert "2 shards of 11 files, 19.0 s of sound, 1 failed" in run("work", plan, "-j", "1", "--offline")
    assert json.loads(run("status", plan, "--json"))["files_done"] == 11
    said = run("commit", plan, code=1)
    assert "10 new, 0 changed" in said
    assert "broken.wav" in said
    assert "2 committed" in run("status", plan)
    assert Library.open(library).rows(COLUMNS).num_rows == indexed.rows(COLUMNS).num_rows


@pytest.mark.filterwarnings("ignore")  # of the server's packages
def test_a_bucket_is_a_storage_and_a_plan_in_it_is_committed(plan: Plan, indexed: Library) -> None:
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
        shard = min(finished_shards(storage))
        lease = Leases(storage, 60, "me").acquire(shard)
        assert lease is not None
        assert lease.number == 1
        assert Leases(storage, 60, "you").acquire(shard) is None
        assert second.status().done == 11
        assert second.commit().new == 10
        same_library(Library.open(plan.file.library), indexed)
        assert second.status().committed == 11
        check_sound_in(bucket, Path(min(indexed.files())))


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


def test_the_examples_for_clusters_are_parsed() -> None:
    yaml = pytest.importorskip("yaml")
    page = Path(__file__).parents[1] / "docs" / "how-to" / "cluster.md"
    (script,) = fenced(page, "bash")
    options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", script.text, flags=re.MULTILINE))
    (command,) = commands_in(script.text, script.where)
    parse(command.text)
    assert f"-j {options['cpus-per-task']} " in command.text
    (manifest,) = fenced(page, "yaml")
    job = yaml.safe_load(manifest.text)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    parse(shlex.join(container["args"]))
    assert container["args"][-1] == container["resources"]["requests"]["cpu"]
    assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
    assert all(isinstance(entry["value"], str) for entry in container["env"])
