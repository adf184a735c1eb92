"""Workers of plans: whom they wait for, what they refuse, who of two counts; damaged notes and fragments are named."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from helpers.small_plans import same_library
from soundloom.errors import (
    LibraryDamagedError,
    LibraryError,
    ModelMismatchError,
)
from soundloom.library import Library
from soundloom.plans import Plan
from soundloom.plans.lease import Leases
from soundloom.plans.plan_file import FinishedShard, marked_shards
from soundloom.plans.shard_process import ModelSource
from soundloom.remote.object_storage import FolderStorage, open_storage

pytestmark = pytest.mark.usefixtures("embedding_in_threads")


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


@pytest.mark.parametrize("content", ["junk", "{}", "[]"])
def test_damaged_notes_of_a_plan_are_named_or_void(plan: Plan, content: str) -> None:
    address = Path(plan.address)
    (done,) = list(address.glob("done/*.json"))[:1]
    done.unlink()
    for kind in ("leases", "deaths"):
        note = address / kind / done.stem / "000001.json"
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(content)
    assert plan.status().leased == 0
    assert plan.work(workers=1).shards == 1
    done.write_text(content)
    for call in (plan.status, plan.commit):
        with pytest.raises(LibraryError, match=f"'done/{done.name}' of the plan .* is damaged .*: remove it, and run"):
            call()


def test_a_worker_says_whom_it_waits_for(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("soundloom.plans.worker._SOON", 0.1)
    shard = next(iter(marked_shards(open_storage(plan.address), "done")))
    (Path(plan.address) / "done" / f"{shard}.json").unlink()
    killed = Leases(open_storage(plan.address), 1.5, "killed")
    assert killed.acquire(shard) is not None
    (silence,) = Plan.open(plan.address).status().workers.values()
    assert silence >= 0
    told: list[str] = []
    report = plan.work(workers=1, waiting=lambda leases: told.extend(lease.holder for lease in leases.values()))
    assert report.shards == 1
    assert set(told) == {"killed"}


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes")
def test_a_name_that_is_no_utf8_is_embedded(plan: Plan, tmp_path: Path) -> None:
    library = Library.open(plan.file.library)
    folder = tmp_path / "names"
    folder.mkdir()
    for name in (b"bad\xff.wav", b"like\\xff.wav"):
        soundfile.write(folder / "new.wav", np.zeros(8000), 8000)
        (folder / "new.wav").rename(os.fsdecode(os.fsencode(folder) + b"/" + name))
    of_names = Plan.create(library, folder, tmp_path / "names.plan")
    assert of_names.work(workers=1).failed == 0
    of_names.commit()
    report = library.add(folder)
    assert (report.new, report.unchanged) == (0, 2)


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


def test_the_first_of_two_workers_that_did_a_shard_counts(plan: Plan, indexed_sounds: Library) -> None:
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
    same_library(Library.open(plan.file.library), indexed_sounds)
    named = {said.fragment for said in FinishedShard.read(storage, [path.stem for path in done]).values()}
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
