"""Plans: what is planned, and committed as rows of a plain index, each file once whatever is killed."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from helpers.documentation import commands_in, fenced, parse
from helpers.small_plans import COLUMNS, RATE, make_sounds, same_library
from soundloom.cli import main
from soundloom.errors import (
    LibraryDamagedError,
    LibraryError,
)
from soundloom.library import Library
from soundloom.plans import Plan, fragment_commit
from soundloom.plans.fragment import decode_fragment, encode_fragment

pytestmark = pytest.mark.usefixtures("embedding_in_threads")


def test_a_committed_plan_is_a_plain_index(plan: Plan, indexed_sounds: Library) -> None:
    report = plan.commit()
    assert (report.new, len(report.failed)) == (10, 1)
    same_library(Library.open(plan.file.library), indexed_sounds)


def test_a_commit_that_is_repeated_adds_nothing(plan: Plan, indexed_sounds: Library) -> None:
    plan.commit()
    for mark in Path(plan.address).glob("committed/*"):
        mark.unlink()
    assert plan.commit().segments == 0
    assert plan.commit().segments == 0
    same_library(Library.open(plan.file.library), indexed_sounds)


@pytest.mark.parametrize("where", ["update_facts", "Store.append before", "Store.append after", "compact"])
def test_a_commit_that_is_killed_is_finished_by_the_next(
    plan: Plan, indexed_sounds: Library, where: str, monkeypatch: pytest.MonkeyPatch
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
    same_library(Library.open(plan.file.library), indexed_sounds)


def test_a_library_that_has_learned_of_a_file_meanwhile_keeps_it(
    plan: Plan, planned_sounds: Path, indexed_sounds: Library
) -> None:
    library = Library.open(plan.file.library)
    library.add(planned_sounds / "003.wav")
    assert plan.commit(library).new == 9
    assert library.rows(COLUMNS).equals(indexed_sounds.rows(COLUMNS))


def test_a_library_that_was_open_while_another_process_added_adds_nothing_twice(
    plan: Plan, indexed_sounds: Library
) -> None:
    library = Library.open(plan.file.library)
    assert len(library) == 0
    plan.commit()
    assert plan.commit(library).segments == 0
    assert len(library) == len(indexed_sounds)
    late = Library.open(plan.file.library)
    assert len(late) == len(indexed_sounds)
    Library.open(plan.file.library).add(make_sounds(Path(plan.address) / "more", 1))
    assert late.add(Path(plan.address) / "more").new == 0
    assert len(late) == len(indexed_sounds) + 2


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


def test_a_second_plan_at_one_place_is_refused(plan: Plan, planned_sounds: Path) -> None:
    with pytest.raises(LibraryError, match="there is a plan at"):
        Plan.create(Library.open(plan.file.library), planned_sounds, plan.address)
    with pytest.raises(LibraryError, match="no plan at"):
        Plan.open(planned_sounds)


@pytest.mark.parametrize("place", ["sounds", "library"])
def test_a_plan_is_not_put_among_other_files(plan: Plan, planned_sounds: Path, place: str) -> None:
    folder = planned_sounds if place == "sounds" else Path(plan.file.library)
    before = sorted(folder.iterdir())
    with pytest.raises(LibraryError, match=r"is not empty, it holds '.*': give a plan a place of its own"):
        Plan.create(Library.open(plan.file.library), planned_sounds, folder)
    assert sorted(folder.iterdir()) == before


def test_a_plan_may_be_made_where_a_planning_was_killed(plan: Plan, planned_sounds: Path, tmp_path: Path) -> None:
    shutil.copytree(Path(plan.address) / "shards", tmp_path / "half" / "shards")
    assert Plan.create(Library.open(plan.file.library), planned_sounds, tmp_path / "half").file.shards


@pytest.mark.parametrize("change", [{"fingerprint": "0" * 64}, {"engine": "other"}, {"window": 2.0, "hop": 2.0}])
def test_a_plan_for_another_model_engine_or_window_is_not_committed(plan: Plan, change: dict[str, Any]) -> None:
    library = Library.open(plan.file.library)
    replace(library.settings, **change).write(library.folder)
    with pytest.raises(LibraryError, match=f"made otherwise .*{next(iter(change))}"):
        plan.commit()


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


def test_commands_plan_work_commit_and_show(planned_sounds: Path, indexed_sounds: Library, tmp_path: Path) -> None:
    def run(*arguments: str | Path, code: int = 0) -> str:
        result = CliRunner().invoke(main, list(map(str, arguments)))
        assert result.exit_code == code, result.output
        return result.output

    plan, library = tmp_path / "plan", tmp_path / "library.loom"
    model = ("-m", "mfcc", "--engine", "torch", "--window", "1")
    said = run("plan", planned_sounds, "-l", library, "-o", plan, *model, "--shard-files", "6")
    assert "11 files of 0.00 GB in 2 shards; 0 unchanged" in said
    assert "0 of 2 shards done" in run("status", plan)
    assert "2 shards of 11 files, 19.0 s of sound, 1 failed" in run("work", plan, "-j", "1", "--offline")
    assert json.loads(run("status", plan, "--json"))["files_done"] == 11
    said = run("commit", plan, code=1)
    assert "10 new, 0 changed" in said
    assert "broken.wav" in said
    assert "2 committed" in run("status", plan)
    assert Library.open(library).rows(COLUMNS).num_rows == indexed_sounds.rows(COLUMNS).num_rows
    other = tmp_path / "other.loom"
    assert "there is a plan at" in run("plan", planned_sounds, "-l", other, "-o", plan, *model, code=1)
    assert "places of their own" in run("plan", planned_sounds, "-l", other, "-o", other, *model, code=2)
    assert not other.exists()


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
