"""Plans on a cluster of Ray: rows of a plain index; a missing package and a cluster that does not answer are named."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from helpers.small_plans import make_sounds, same_library
from soundloom.errors import InvalidArgumentError, MissingExtraError
from soundloom.library import Library
from soundloom.plans import Plan
from soundloom.plans.ray_workers import work_on_ray


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    library = Library.create(tmp_path / "planned.loom", "mfcc", window=1.0)
    return Plan.create(library, make_sounds(tmp_path / "sounds"), tmp_path / "plan", shard_files=2)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(120)
def test_two_actors_make_the_rows_of_a_plain_index(plan: Plan, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    report = work_on_ray(plan, "local", actors=2)
    assert (report.shards, report.files, report.failed) == (6, 11, 1)
    plan.commit()
    indexed = Library.create(tmp_path / "indexed.loom", "mfcc", window=1.0)
    indexed.add(tmp_path / "sounds")
    same_library(Library.open(plan.file.library), indexed)


def test_mistakes_are_named(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidArgumentError, match="0 actors"):
        work_on_ray(plan, "local", actors=0)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"soundloom\[ray\]"):
        work_on_ray(plan, "local")
