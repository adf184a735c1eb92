"""The library: adding, changing, moving, deleting, failing, resuming, tagging."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import soundloom
from helpers.tones import RATE, contents, write_tone
from soundloom.errors import LibraryError, ModelMismatchError
from soundloom.library import FileProgress, Library, TagTable
from soundloom.library.storage.library_settings import LibrarySettings


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "sounds.loom", "logmel+mfcc", window=2.0, hop=1.0)


def test_rows_hold_what_the_model_gives(library: Library, tones: Path) -> None:
    long = write_tone(tones / "long.wav", 200, seconds=4.75)
    report = library.add(tones)
    assert (report.new, report.segments, report.failed) == (7, 6 + 4, [])
    assert library.totals() == (7, pytest.approx(6 * 0.5 + 4.75))

    rows = library.rows(["path", "start", "end", "duration", "embedding"], f"path = '{long}'")
    # A window of 2 s every second; the leftover at 4 s, longer than a quarter window, stands alone.
    assert rows["start"].to_pylist() == [0, 1, 2, 3]
    assert rows["end"].to_pylist() == [2, 3, 4, 4.75]
    assert set(rows["duration"].to_pylist()) == {4.75}
    samples, _ = soundfile.read(long, dtype="float32")
    for start, end, embedding in zip(*(rows[name].to_pylist() for name in ("start", "end", "embedding")), strict=True):
        expected = library.model.embed_samples(samples[round(start * RATE) : round(end * RATE)])
        assert np.array(embedding, np.float32).tobytes() == expected.tobytes()


def test_adding_again_changes_nothing(library: Library, tones: Path) -> None:
    library.add(tones)
    before, version = contents(library), library.index().version
    report = library.add(tones)
    assert (report.new, report.unchanged, report.segments) == (0, 6, 0)
    assert contents(library) == before
    assert library.index().version == version


def test_new_changed_moved_touched_and_deleted_are_told_apart(library: Library, tones: Path) -> None:
    library.add(tones)
    embedding = library.rows(["embedding"], f"path = '{tones / 'tone-1.wav'}'")["embedding"].to_pylist()
    write_tone(tones / "tone-0.wav", 999, seconds=3.5)  # changed, and now of several segments
    (tones / "elsewhere").mkdir()
    moved = tones / "elsewhere" / "it's moved.wav"
    (tones / "tone-1.wav").rename(moved)
    os.utime(tones / "tone-2.wav", ns=(1, 1))
    (tones / "tone-3.wav").unlink()
    write_tone(tones / "tone-9.wav", 70)
    shutil.copy2(tones / "tone-4.wav", tones / "copy.wav")

    report = library.add(tones)
    told = (report.new, report.changed, report.moved, report.touched, report.deleted, report.unchanged)
    assert told == (2, 1, 1, 1, 1, 2)
    names = [Path(path).relative_to(tones).as_posix() for path in library.files()]
    assert names == [
        "copy.wav",
        "elsewhere/it's moved.wav",
        "tone-0.wav",
        "tone-2.wav",
        "tone-4.wav",
        "tone-5.wav",
        "tone-9.wav",
    ]
    kept = library.rows(["embedding"], f"path = '{str(moved).replace(chr(39), 2 * chr(39))}'")["embedding"].to_pylist()
    assert kept == embedding
    assert library.add(tones).unchanged == 7
    fresh = Library.create(library.folder.with_name("fresh.loom"), "logmel+mfcc", window=2.0, hop=1.0)
    fresh.add(tones)
    assert contents(fresh) == contents(library)


def test_a_renamed_folder_keeps_every_embedding(library: Library, tones: Path) -> None:
    for number in range(40):
        write_tone(tones / f"many-{number}.wav", 100 + number)
    library.add(tones)
    renamed = tones.rename(tones.with_name("renamed"))
    report = library.add(renamed)
    assert (report.new, report.moved, report.missing) == (0, 46, 0)
    assert report.relocated == {str(tones): str(renamed)}
    report = library.add([renamed.parent / "renamed"])
    assert report.unchanged == 46


def test_an_emptied_folder_is_not_forgotten_unless_told(library: Library, tones: Path) -> None:
    for number in range(30):
        write_tone(tones / f"many-{number}.wav", 100 + number)
    library.add(tones)
    for file in tones.glob("many-*.wav"):
        file.unlink()
    report = library.add(tones)
    assert (report.missing, report.deleted, len(library)) == (30, 0, 36)
    report = library.add(tones, prune=True)
    assert (report.missing, report.deleted, len(library)) == (0, 30, 6)


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_do_not_depend_on_workers_or_order(tmp_path: Path, tones: Path, workers: int) -> None:
    reference = Library.create(tmp_path / "reference.loom", "logmel+mfcc")
    reference.add(tones, workers=2)
    other = Library.create(tmp_path / "other.loom", "logmel+mfcc")
    for file in sorted(tones.iterdir(), reverse=True):
        other.add(file, workers=workers)
    assert contents(other) == contents(reference)


def test_bad_files_are_reported_and_the_rest_is_indexed(library: Library, tones: Path) -> None:
    (tones / "empty.wav").touch()
    (tones / "text.mp3").write_text("this is not a sound")
    (tones / "cut.flac").write_bytes(b"fLaC\0\0")
    (tones / "notes.txt").write_text("not even called a sound")
    soundfile.write(tones / "nan.wav", np.array([0, np.nan, 0], np.float32), RATE, subtype="FLOAT")
    report = library.add(tones)
    assert report.new == 6
    assert [Path(failure.path).name for failure in report.failed] == ["cut.flac", "empty.wav", "nan.wav", "text.mp3"]
    assert all(failure.reason for failure in report.failed)
    assert Library.open(library.folder).failures() == report.failed

    write_tone(tones / "empty.wav", 300)
    (tones / "text.mp3").unlink()
    report = library.add(tones)
    assert (report.new, len(report.failed)) == (1, 2)
    assert [Path(failure.path).name for failure in library.failures()] == ["cut.flac", "nan.wav"]


def test_failures_elsewhere_are_remembered(library: Library, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "empty.wav").touch()
    library.add(tmp_path / "one")
    library.add(tmp_path / "two")
    assert [failure.path for failure in library.failures()] == [
        str(tmp_path / "one" / "empty.wav"),
        str(tmp_path / "two" / "empty.wav"),
    ]


def test_a_defect_on_one_file_costs_that_file_only(library: Library, tones: Path, caplog) -> None:
    sound = library.model.embed_samples

    def defective(samples: np.ndarray) -> np.ndarray:
        if len(samples) > RATE:
            raise ZeroDivisionError("a defect")
        return sound(samples)

    write_tone(tones / "long.wav", 100, seconds=1.5)
    library.model.embed_samples = defective  # type: ignore[method-assign]
    report = library.add(tones)
    assert report.new == 6
    assert [failure.reason for failure in report.failed] == ["unexpected ZeroDivisionError: a defect"]
    assert "while working on" in caplog.text


def test_odd_names(library: Library, tmp_path: Path) -> None:
    names = [
        "a b.wav",
        "#1.wav",
        "new\nline.wav",
        "it's.wav",
        "サウンド.wav",
        'quote".wav',
        "percent%20.wav",
        "a;b\\c.wav",
    ]
    for number, name in enumerate(names):
        write_tone(tmp_path / "odd" / name, 100 + 50 * number)
    assert library.add(tmp_path / "odd").new == len(names)
    assert sorted(Path(path).name for path in library.files()) == sorted(names)
    for name in names:
        hit = library.search(tmp_path / "odd" / name, 1, include_query=True)[0]
        assert (Path(hit.path).name, hit.similarity) == (name, pytest.approx(1, abs=1e-5))
        (tmp_path / "odd" / name).rename(tmp_path / "odd" / f"moved {name}")
    assert library.add(tmp_path / "odd").moved == len(names)
    assert sorted(Path(path).name for path in library.files()) == sorted(f"moved {name}" for name in names)


@pytest.mark.skipif(sys.platform == "darwin", reason="that file system only takes UTF-8 names")
@pytest.mark.parametrize(("filled", "asked"), [("sounds", "sounds"), ("linked", "linked"), ("sounds", "linked")])
def test_a_query_does_not_find_itself(tmp_path: Path, tones: Path, filled: str, asked: str) -> None:
    (tmp_path / "linked").symlink_to(tones, target_is_directory=True)
    library = Library.create(tmp_path / "sounds.loom", "logmel")
    library.add(tmp_path / filled)
    names = {path.name for path in tones.iterdir()}
    assert {Path(hit.path).name for hit in library.search(tmp_path / asked / "tone-2.wav")} == names - {"tone-2.wav"}


def test_a_name_that_is_not_utf8_is_kept_as_text(library: Library, tmp_path: Path) -> None:
    write_tone(tmp_path / "odd" / "good.wav", 100)
    shutil.copy(tmp_path / "odd" / "good.wav", os.fsencode(tmp_path / "odd") + b"/bad\xff.wav")
    report = library.add(tmp_path / "odd")
    assert (report.new, report.failed) == (2, [])
    assert {Path(path).name for path in library.files()} >= {"good.wav", "bad\\xff.wav"}
    assert (library.add(tmp_path / "odd").new, library.add(tmp_path / "odd").unchanged) == (0, 2)


def test_short_files_are_padded_and_counted(library: Library, tmp_path: Path) -> None:
    write_tone(tmp_path / "short" / "click.wav", 1000, seconds=0.01)
    write_tone(tmp_path / "short" / "tone.wav", 1000, seconds=1.0)
    report = library.add(tmp_path / "short")
    assert (report.new, report.padded, report.failed) == (2, 1, [])


def test_progress_counts_up_to_the_total(library: Library, tones: Path) -> None:
    seen: list[FileProgress] = []
    library.add(tones, progress=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(n, 6) for n in range(1, 7)]
    assert seen[-1].seconds == pytest.approx(3.0)


def test_an_interrupted_add_keeps_what_is_finished(library: Library, tones: Path) -> None:
    def stop(progress: FileProgress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add(tones, workers=1, progress=stop)
    assert len(library.files()) == 3
    report = library.add(tones)
    assert (report.new, report.unchanged) == (3, 3)


def test_two_processes_do_not_add_at_once(library: Library, tones: Path) -> None:
    from filelock import FileLock

    with FileLock(library.folder / "add.lock"), pytest.raises(LibraryError, match="another process is adding"):
        library.add(tones)


def test_another_model_is_refused_with_the_remedy(library: Library) -> None:
    with pytest.raises(ModelMismatchError, match=r"filled by the model 'logmel\+mfcc', not 'mfcc'.*new library"):
        Library.open(library.folder, "mfcc")
    dataclasses.replace(library.settings, fingerprint="0" * 64).write(library.folder)
    with pytest.raises(ModelMismatchError, match=r"another version of 'logmel\+mfcc' .fingerprint 000000000000"):
        _ = Library.open(library.folder).model


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "damaged"), ("[]", "damaged"), ('{"format": 99}', "layout 99"), ('{"format": 1}', "damaged")],
)
def test_damaged_settings_are_refused(library: Library, text: str, message: str) -> None:
    (library.folder / "library.json").write_text(text)
    with pytest.raises(LibraryError, match=message):
        Library.open(library.folder)


def test_what_is_no_library_is_refused(tmp_path: Path, tones: Path) -> None:
    with pytest.raises(LibraryError, match=r"no library at .*soundloom index"):
        Library.open(tmp_path / "nowhere.loom")
    with pytest.raises(LibraryError, match=r"holds no library\.json"):
        Library.open(tones)
    with pytest.raises(LibraryError, match="is not empty"):
        Library.create(tones)
    inside = Library.create(tmp_path / "outer.loom", "logmel").folder / "deep" / "inner.loom"
    with pytest.raises(LibraryError, match=r"lies in the library '.*outer\.loom': choose a folder of its own"):
        Library.create(inside, "logmel")
    assert not inside.parent.exists()
    with pytest.raises(LibraryError, match=r"no folder or file .*nowhere"):
        Library.create(tmp_path / "a.loom", "logmel").add("nowhere")


@pytest.mark.parametrize(("window", "hop"), [(0, None), (-1, None), (1, 2), (None, 1), (float("inf"), None)])
def test_windows_that_make_no_sense_are_refused(tmp_path: Path, window: float | None, hop: float | None) -> None:
    with pytest.raises(LibraryError, match="hop"):
        LibrarySettings.of(soundloom.load("logmel"), window, hop)


def test_tags_are_stored_changed_and_filtered_by(library: Library, tones: Path) -> None:
    table = tones / "tags.csv"

    def write_tags(rows: list[tuple[str, str]]) -> TagTable:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("Path", "Tags"), *rows])
        return TagTable(table, replace=True)

    library.add(tones, tags=write_tags([("tone-0.wav", "low; it's long"), ("tone-5.wav", "high,bright")]))
    hit = library.search(tones / "tone-4.wav", where="array_has(tags, 'bright')")
    assert [(Path(found.path).name, found.tags) for found in hit] == [("tone-5.wav", ("bright", "high"))]
    library.add(tones, tags=write_tags([("tone-0.wav", ""), ("tone-5.wav", "high"), ("sounds/tone-1.wav", "new")]))
    tags = {
        Path(path).name: tags for path, tags in zip(*library.rows(["path", "tags"]).to_pydict().values(), strict=True)
    }
    assert tags == {f"tone-{n}.wav": {1: ["new"], 5: ["high"]}.get(n, []) for n in range(6)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "name,words\na,b\n",
            "a column 'path' .* and a column 'tags' .*, found columns \\['name', 'words'\\]: name a column 'tags'",
        ),
        ("", "is empty"),
        (
            "path,tags,more\na.wav,x,y,z\n",
            "4 cells in line 2 and 3 columns: put cells that hold the delimiter in quotes",
        ),
        ("path,tags\nunknown.wav,x\n", "names none of the sounds"),
    ],
)
def test_wrong_tag_tables_are_refused(library: Library, tones: Path, text: str, message: str) -> None:
    (tones / "tags.csv").write_text(text)
    with pytest.raises(LibraryError, match=message):
        library.add(tones, tags=TagTable(tones / "tags.csv"))


def test_a_tag_table_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_bytes(b"path,tags\n\xff\xfe\xfa,x\n")
    with pytest.raises(LibraryError, match="not a CSV in UTF-8"):
        TagTable(tmp_path / "tags.csv")
    with pytest.raises(LibraryError, match="cannot be read: no such file"):
        TagTable(tmp_path / "nowhere.csv")


def test_files_left_out_for_their_endings_are_counted(library: Library, tones: Path) -> None:
    for name in ("notes.txt", "list.TXT", "cover.jpg", ".hidden"):
        (tones / name).write_bytes(b"no sound")
    (tones / "tone-5.wav").rename(tones / "take")
    report = library.add(tones)
    assert report.new == 5
    assert report.left_out.endings == {".txt": 2, ".jpg": 1, "": 1}
    assert report.left_out.example == str(tones / "take")
    assert "4 files left out, not named like audio files: 2 .txt, 1 without an ending, 1 .jpg" in str(report.left_out)


def test_hidden_sounds_are_counted_among_the_files_left_out(library: Library, tones: Path) -> None:
    (tones / "tone-5.wav").rename(tones / ".take.wav")
    (tones / "._tone-4.wav").write_bytes(b"of macOS")
    report = library.add(tones)
    assert report.new == 5
    assert report.left_out.hidden == [str(tones / ".take.wav")]
    assert str(report.left_out) == (
        "1 hidden sound left out, whose names begin with a dot, "
        f"'{tones}/.take.wav' for instance: name the file itself."
    )


def test_a_sound_without_an_ending_that_was_named_stays_when_its_folder_is_searched(
    library: Library, tones: Path
) -> None:
    library.add(tones)
    write_tone(tones / "take.wav", 3000)
    (tones / "take.wav").rename(tones / "take")
    assert library.add(tones / "take").new == 1
    report = library.add(tones)
    assert (report.unchanged, report.missing, report.deleted) == (7, 0, 0)
    assert report.left_out.endings == {}
    (tones / "take").unlink()
    assert library.add(tones, prune=True).deleted == 1
