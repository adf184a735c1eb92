"""Hostile inputs: each is embedded or named with a reason, and none harms its neighbours.

Once through `Library.add` and once through ``soundloom index``, over one folder that holds them all.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from helpers.command_line import run
from helpers.malformed_files import GOOD, HOSTILE, Hostile, write_folder
from soundloom.errors import AudioError
from soundloom.library import Library

pytestmark = [
    pytest.mark.filterwarnings("ignore::soundloom.embedder.ShortAudioWarning"),
    pytest.mark.skipif(sys.platform in ("darwin", "win32"), reason="not every name is possible there"),
]


@dataclass(frozen=True)
class Outcome:
    """What a way of indexing made of the folder.

    Attributes:
        folder: the sounds.
        library: what came of them.
        failed: path -> reason.
    """

    folder: Path
    library: Library
    failed: dict[str, str]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("hostile") / "sounds")


@pytest.fixture(scope="module", params=["Library.add", pytest.param("soundloom index", marks=pytest.mark.slow)])
def outcome(request: pytest.FixtureRequest, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    place = tmp_path_factory.mktemp("library") / "sounds.loom"
    if request.param == "Library.add":
        library = Library.create(place, "logmel+mfcc")
        return Outcome(folder, library, {item.path: item.reason for item in library.add(folder, workers=2).failed})
    arguments = ["index", str(folder), "-l", str(place), "-m", "logmel+mfcc", "-j", "2", "--json"]
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    failed = {item["path"]: item["reason"] for item in json.loads(result.stdout)["failed"]}
    return Outcome(folder, Library.open(place), failed)


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: ascii(hostile.told)[:40])
def test_a_hostile_input_is_embedded_or_named_with_a_reason(outcome: Outcome, hostile: Hostile) -> None:
    path = str(outcome.folder / hostile.told)
    became = {
        "embedded": path in outcome.library.files(),
        "reported": path in outcome.failed,
    }
    assert became == {what: what == hostile.outcome for what in became}, outcome.failed.get(path)
    if hostile.outcome == "reported":
        reason = outcome.failed[path]
        assert "unexpected" not in reason
        assert "\n" not in reason
        # What is the matter comes first, what to do about it after a colon or as a question.
        assert any(mark in reason for mark in ":;?"), reason


def test_everything_else_is_indexed(outcome: Outcome) -> None:
    embedded = {hostile.told for hostile in HOSTILE if hostile.outcome == "embedded"}
    assert {Path(path).name for path in outcome.library.files()} == embedded | set(GOOD)
    reported = {hostile.told for hostile in HOSTILE if hostile.outcome == "reported"}
    assert set(outcome.failed) == {str(outcome.folder / name) for name in reported}
    assert {failure.path: failure.reason for failure in outcome.library.failures()} == outcome.failed


def test_adding_again_changes_nothing(outcome: Outcome) -> None:
    version, files = outcome.library.index().version, outcome.library.files()
    report = outcome.library.add(outcome.folder, workers=2)
    assert (report.new, report.changed, report.moved, report.deleted) == (0, 0, 0, 0)
    assert report.unchanged == len(files)
    assert {failure.path: failure.reason for failure in report.failed} == outcome.failed
    assert outcome.library.index().version == version


def test_every_hostile_sound_can_be_searched_by(outcome: Outcome) -> None:
    for hostile in HOSTILE:
        if hostile.name == "silence.wav":
            with pytest.raises(AudioError, match="nothing to search by"):
                outcome.library.search(hostile.path(outcome.folder), 3)
        elif hostile.outcome == "embedded":
            hits = outcome.library.search(hostile.path(outcome.folder), 3)
            assert len(hits) == 3
