"""Upgrade of a library to another model, or another version of its own: rows anew, all else kept, kills survived."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from soundloom.cli import main
from soundloom.embedder import Embedder, Reduction, Stream
from soundloom.encoders import Identity
from soundloom.errors import LibraryAbsentError, LibraryError, ModelMismatchError
from soundloom.frontends import LogMel, LogMelSettings
from soundloom.library import Library, LibrarySettings, TagTable, verify_library
from soundloom.library.tags.editor import TagEditor
from soundloom.models.saved_model import save_pretrained

COLUMNS = ["path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags"]


def write(path: Path, seed: int, seconds: float = 0.3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=round(8000 * seconds)), 8000)


def save_version(folder: Path, version: int) -> Path:
    """Save a model of a name with weights, and a size of embedding, of a version."""
    settings = LogMelSettings(
        sample_rate=8000, n_fft=256, win_length=200, hop_length=80, bins=24, fmin=30, fmax=3999.5, logarithm="decibel"
    )
    stream = Stream("mine", LogMel(settings), Identity(), layers=(1,), pooling="mean,deviation").eval()
    generator = torch.Generator().manual_seed(version)
    noise = torch.randn(30, 16_000, generator=generator) * torch.linspace(0.1, 2, 30)[:, None]
    with torch.inference_mode():
        reduced = stream.with_reduction(Reduction.fit(stream(noise), 6 + version))
    shutil.rmtree(folder, ignore_errors=True)
    return save_pretrained(reduced.eval(), folder)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for number in range(12):
        write(tmp_path / "sounds" / f"{number}.wav", number)
    return tmp_path / "sounds"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_version(tmp_path / "mine", 1)


@pytest.fixture
def library(tmp_path: Path, sounds: Path, model: Path) -> Library:
    """A library whose model has got other weights since it was filled; two files have tags."""
    library = Library.create(tmp_path / "l.loom", str(model), window=0.1)
    (tmp_path / "tags.csv").write_text("path,tags\n1.wav,table\n")
    library.add(sounds, tags=TagTable(tmp_path / "tags.csv"), workers=1)
    library.tags.edit("file", add=[str(sounds / "2.wav")])
    library.index()
    save_version(model, 2)
    return Library.open(library.folder)


def rows(library: Library) -> list[dict[str, object]]:
    return library.rows(COLUMNS).to_pylist()  # type: ignore[no-any-return]


def tags(library: Library) -> dict[str, list[set[str]]]:
    """File name -> the tags of each of its segments."""
    found: dict[str, list[set[str]]] = {}
    for row in library.rows(["path", "tags"]).to_pylist():
        found.setdefault(os.path.basename(row["path"]), []).append(set(row["tags"] or ()))
    return found


def stores(library: Library) -> list[str]:
    return sorted(path.name for path in library.folder.glob("store*") if path.is_dir())


def test_rows_are_embedded_anew_and_all_else_stays(library: Library, sounds: Path) -> None:
    before, roots = rows(library), library.roots.all()
    with pytest.raises(ModelMismatchError, match="soundloom index --upgrade -l LIBRARY"):
        _ = library.model
    report = library.upgrade(workers=1)
    assert (report.upgraded, report.new, report.unchanged, report.deleted) == (12, 0, 0, 0)
    assert rows(library) == before
    assert [(root.path, root.files) for root in library.roots.all()] == [(root.path, root.files) for root in roots]
    assert library.settings.dim == 8
    later = Library.open(library.folder)
    fresh = Library.create(library.folder.parent / "fresh.loom", str(library.folder.parent / "mine"), window=0.1)
    fresh.add(sounds, workers=1)
    assert later.rows(["embedding"]) == library.rows(["embedding"]) == fresh.rows(["embedding"])
    assert later.search(sounds / "3.wav", 1)[0].path == fresh.search(sounds / "3.wav", 1)[0].path
    assert stores(library) == [library.settings.store] != ["store"]
    assert verify_library(library.folder) == []
    assert later.add(workers=1).unchanged == 12
    assert later.upgrade().unchanged == 12
    assert later.settings == library.settings


def test_to_a_model_of_another_name_and_again(library: Library) -> None:
    before = rows(library)
    library.upgrade("mfcc", workers=1)
    library.upgrade("logmel", workers=1)
    assert rows(library) == before
    assert library.settings.store.startswith("store-3-")
    assert Library.open(library.folder).model.name == "logmel"
    assert stores(library) == [library.settings.store]


def test_tags_follow_sounds_that_were_renamed_edited_or_overwritten_before(library: Library, sounds: Path) -> None:
    (sounds / "1.wav").rename(sounds / "renamed.wav")
    write(sounds / "2.wav", 99)  # edited in place: the decision about the file stays
    write(sounds / "1.wav", 98)  # a new sound under the name of a renamed one
    (sounds / "3.wav").unlink()
    write(sounds / "new.wav", 97)
    report = library.upgrade(workers=1)
    found = tags(library)
    assert (report.upgraded, report.new, report.deleted) == (11, 2, 1)
    assert found["renamed.wav"] == [{"table"}] * 3
    assert found["2.wav"] == [{"file"}] * 3
    assert found["1.wav"] == found["new.wav"] == [set()] * 3
    assert "3.wav" not in found
    assert library.add(workers=1).unchanged == 13


def test_segments_keep_tags_of_their_own(library: Library, sounds: Path) -> None:
    library._store.write_tags({(str(sounds / "5.wav"), 0.1): ["middle"]})
    library.upgrade(workers=1)
    assert tags(library)["5.wav"] == [set(), {"middle"}, set()]


@pytest.mark.parametrize("gone", ["folder", "files"])
def test_absent_roots_are_refused_with_the_remedy(library: Library, sounds: Path, tmp_path: Path, gone: str) -> None:
    other = tmp_path / "other"
    write(other / "far.wav", 50)
    write(other / "near.wav", 51)
    save_version(tmp_path / "mine", 1)
    Library.open(library.folder).add(other, workers=1)
    save_version(tmp_path / "mine", 2)
    before = rows(Library.open(library.folder))
    if gone == "folder":
        shutil.move(other, tmp_path / "away")
    else:
        (other / "far.wav").unlink()
    with pytest.raises(LibraryError, match=r"far\.wav' is not there.*roots .* forget .*--upgrade --prune"):
        library.upgrade(workers=1)
    assert rows(Library.open(library.folder)) == before
    assert stores(library) == ["store"]
    assert library.upgrade(workers=1, prune=True).deleted == (2 if gone == "folder" else 1)
    assert "far.wav" not in tags(library)


def test_files_that_cannot_be_read_keep_the_library_or_their_tags(library: Library, sounds: Path) -> None:
    kept = (sounds / "1.wav").read_bytes()
    (sounds / "1.wav").write_bytes(b"RIFF" + kept[4:40])
    library.upgrade(workers=1)
    assert [os.path.basename(failure.path) for failure in library.failures()] == ["1.wav"]
    (sounds / "1.wav").write_bytes(kept)
    library.add(workers=1)
    assert tags(library)["1.wav"] == [{"table"}] * 3
    save_version(library.folder.parent / "mine", 3)
    for number in range(1, 5):
        (sounds / f"{number}.wav").write_bytes(b"RIFF")
    later = Library.open(library.folder)
    with pytest.raises(LibraryError, match=r"4 files of the library cannot be embedded anew: .*1 more"):
        later.upgrade(workers=1)
    assert len(later) == 36


def test_an_interrupted_upgrade_goes_on(library: Library, sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    embed, calls = Embedder.embed_samples, []

    def interrupted(self: Embedder, samples: np.ndarray) -> np.ndarray:
        calls.append(len(samples))
        if len(calls) == 20:
            raise KeyboardInterrupt
        return embed(self, samples)

    monkeypatch.setattr(Embedder, "embed_samples", interrupted)
    before = rows(library)
    with pytest.raises(KeyboardInterrupt):
        library.upgrade(workers=1)
    assert len(stores(library)) == 2
    again = Library.open(library.folder)
    assert rows(again) == before
    assert "not upgraded to the end" in again.unfinished()
    assert again.find("table")[0].path == str(sounds / "1.wav")
    again.tags.edit("meanwhile", add=[str(sounds / "7.wav")])
    report = again.upgrade(workers=1)
    assert again.unfinished() == ""
    assert report.unchanged >= 5
    assert report.unchanged + report.upgraded == 12
    assert tags(again)["7.wav"] == [{"meanwhile"}] * 3
    assert tags(again)["1.wav"] == [{"table"}] * 3


KILLED = """
import os, sys
from soundloom.library import Library, LibrarySettings
from soundloom.library.indexing import file_rows, upgrade
from soundloom.library.tags.editor import TagEditor
moment = sys.argv[2]
def die(*_, **__):
    os.kill(os.getpid(), 9)
if moment == "embedding":
    put, left = file_rows.RowWriter.put, iter(range(7))
    def later(self, result):
        put(self, result)
        self.flush()
        if next(left, None) is None:
            die()
    file_rows.RowWriter.put = later
elif moment == "tags":
    carry_over = TagEditor.carry_over
    TagEditor.carry_over = lambda self, *rest: (carry_over(self, *rest), die())
elif moment == "settings":
    LibrarySettings.write = die
elif moment == "replaced":
    upgrade.Upgrade._tidy = die
Library.open(sys.argv[1]).upgrade(workers=1)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="processes are killed by a signal")
@pytest.mark.parametrize("moment", ["embedding", "tags", "settings", "replaced"])
def test_a_kill_at_any_moment_loses_nothing(library: Library, moment: str) -> None:
    before, fingerprint = rows(library), library.settings.fingerprint
    done = subprocess.run([sys.executable, "-c", KILLED, library.folder, moment], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    left = Library.open(library.folder)
    assert (left.settings.fingerprint == fingerprint) == (moment != "replaced")
    assert rows(left) == before
    assert left.find("table")[0].path.endswith("1.wav")
    report = left.upgrade(workers=1)
    assert report.unchanged == (8 if moment == "embedding" else 12)
    assert rows(left) == before
    assert left.add(workers=1).unchanged == 12
    assert stores(left) == [left.settings.store] != ["store"]
    assert verify_library(left.folder) == []


def test_a_damaged_beginning_is_dropped(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(TagEditor, "carry_over", stopped)
        with pytest.raises(KeyboardInterrupt):
            library.upgrade(workers=1)
    (begun,) = set(stores(library)) - {"store"}
    shutil.rmtree(library.folder / begun / "segments.lance" / "_versions")
    assert Library.open(library.folder).upgrade(workers=1).upgraded == 12


def test_a_store_replaced_by_another_process_is_an_error_that_says_so(library: Library) -> None:
    Library.open(library.folder).upgrade(workers=1)
    with pytest.raises(LibraryAbsentError, match=r"upgraded to another model.*open it again"):
        library.find("table")


def test_names_of_stores_outside_of_the_library_are_refused(library: Library) -> None:
    data = json.loads((library.folder / "library.json").read_text())
    del data["checksum"]
    (library.folder / "library.json").write_text(json.dumps(data | {"store": "../other/store"}))
    with pytest.raises(LibraryError, match=r"damaged \(store '\.\./other/store' is no name of a store"):
        LibrarySettings.read(library.folder)


def test_the_command(library: Library, sounds: Path) -> None:
    folder, runner = str(library.folder), CliRunner()
    write(sounds / "new.wav", 99)
    refused = runner.invoke(main, ["index", "-l", folder])
    (sounds / "new.wav").unlink()
    assert refused.exit_code == 1
    assert "soundloom index --upgrade -l LIBRARY" in refused.stderr
    usage = runner.invoke(main, ["index", str(sounds), "--upgrade", "-l", folder])
    assert (usage.exit_code, "next soundloom index" in usage.stderr) == (2, True)
    done = runner.invoke(main, ["index", "--upgrade", "-j", "1", "-l", folder], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "12 upgraded; 36 segments" in done.stdout
    found = runner.invoke(main, ["search", "7.wav", "-l", folder])
    assert "7.wav" in found.stdout, found.output
