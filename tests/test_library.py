"""The library: adding, changing, moving, deleting, failing, resuming, tagging."""

from __future__ import annotations

import csv
import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile

import soundloom
from soundloom.errors import LibraryError, ModelMismatchError
from soundloom.library import FileProgress, Library, TagTable
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.store import Store, segment_rows
from soundloom.library.storage.table_schema import FileState

RATE = 16000


def write_tone(path: Path, hertz: float, seconds: float = 0.5, level: float = 0.5) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    harmonics = sum(np.sin(2 * np.pi * hertz * n * times) / n for n in range(1, 6))
    soundfile.write(path, 0.4 * level * harmonics * np.exp(-3 * times), RATE, format="WAV")
    return path


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    for number in range(6):
        write_tone(folder / f"tone-{number}.wav", 110 * 2 ** (number / 3))
    return folder


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library.create(tmp_path / "sounds.loom", "logmel+mfcc", window=2.0, hop=1.0)


def contents(library: Library) -> list[tuple[object, ...]]:
    """Every row to the bit, in order."""
    rows = library.rows(["path", "start", "end", "duration", "size", "hash", "tags", "embedding"])
    return [
        (*values[:-2], tuple(values[-2]), np.array(values[-1], np.float32).tobytes())
        for values in zip(*(rows[name].to_pylist() for name in rows.column_names), strict=True)
    ]


def test_rows_hold_what_the_model_gives(library: Library, sounds: Path) -> None:
    long = write_tone(sounds / "long.wav", 200, seconds=4.75)
    report = library.add(sounds)
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


def test_adding_again_changes_nothing(library: Library, sounds: Path) -> None:
    library.add(sounds)
    before, version = contents(library), library.index().version
    report = library.add(sounds)
    assert (report.new, report.unchanged, report.segments) == (0, 6, 0)
    assert contents(library) == before
    assert library.index().version == version


def test_new_changed_moved_touched_and_deleted_are_told_apart(library: Library, sounds: Path) -> None:
    library.add(sounds)
    embedding = library.rows(["embedding"], f"path = '{sounds / 'tone-1.wav'}'")["embedding"].to_pylist()
    write_tone(sounds / "tone-0.wav", 999, seconds=3.5)  # changed, and now of several segments
    (sounds / "elsewhere").mkdir()
    moved = sounds / "elsewhere" / "it's moved.wav"
    (sounds / "tone-1.wav").rename(moved)
    os.utime(sounds / "tone-2.wav", ns=(1, 1))
    (sounds / "tone-3.wav").unlink()
    write_tone(sounds / "tone-9.wav", 70)
    shutil.copy2(sounds / "tone-4.wav", sounds / "copy.wav")

    report = library.add(sounds)
    told = (report.new, report.changed, report.moved, report.touched, report.deleted, report.unchanged)
    assert told == (2, 1, 1, 1, 1, 2)
    names = [Path(path).relative_to(sounds).as_posix() for path in library.files()]
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
    assert library.add(sounds).unchanged == 7
    fresh = Library.create(library.folder.with_name("fresh.loom"), "logmel+mfcc", window=2.0, hop=1.0)
    fresh.add(sounds)
    assert contents(fresh) == contents(library)


def test_a_renamed_folder_keeps_every_embedding(library: Library, sounds: Path) -> None:
    for number in range(40):
        write_tone(sounds / f"many-{number}.wav", 100 + number)
    library.add(sounds)
    renamed = sounds.rename(sounds.with_name("renamed"))
    report = library.add(renamed)
    assert (report.new, report.moved, report.missing) == (0, 46, 0)
    assert report.relocated == {str(sounds): str(renamed)}
    report = library.add([renamed.parent / "renamed"])
    assert report.unchanged == 46


def test_an_emptied_folder_is_not_forgotten_unless_told(library: Library, sounds: Path) -> None:
    for number in range(30):
        write_tone(sounds / f"many-{number}.wav", 100 + number)
    library.add(sounds)
    for file in sounds.glob("many-*.wav"):
        file.unlink()
    report = library.add(sounds)
    assert (report.missing, report.deleted, len(library)) == (30, 0, 36)
    report = library.add(sounds, prune=True)
    assert (report.missing, report.deleted, len(library)) == (0, 30, 6)


@pytest.mark.parametrize("workers", [1, 3])
def test_rows_do_not_depend_on_workers_or_order(tmp_path: Path, sounds: Path, workers: int) -> None:
    reference = Library.create(tmp_path / "reference.loom", "logmel+mfcc")
    reference.add(sounds, workers=2)
    other = Library.create(tmp_path / "other.loom", "logmel+mfcc")
    for file in sorted(sounds.iterdir(), reverse=True):
        other.add(file, workers=workers)
    assert contents(other) == contents(reference)


def test_bad_files_are_reported_and_the_rest_is_indexed(library: Library, sounds: Path) -> None:
    (sounds / "empty.wav").touch()
    (sounds / "text.mp3").write_text("this is not a sound")
    (sounds / "cut.flac").write_bytes(b"fLaC\0\0")
    (sounds / "notes.txt").write_text("not even called a sound")
    soundfile.write(sounds / "nan.wav", np.array([0, np.nan, 0], np.float32), RATE, subtype="FLOAT")
    report = library.add(sounds)
    assert report.new == 6
    assert [Path(failure.path).name for failure in report.failed] == ["cut.flac", "empty.wav", "nan.wav", "text.mp3"]
    assert all(failure.reason for failure in report.failed)
    assert Library.open(library.folder).failures() == report.failed

    write_tone(sounds / "empty.wav", 300)
    (sounds / "text.mp3").unlink()
    report = library.add(sounds)
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


def test_a_defect_on_one_file_costs_that_file_only(library: Library, sounds: Path, caplog) -> None:
    sound = library.model.embed_samples

    def defective(samples: np.ndarray) -> np.ndarray:
        if len(samples) > RATE:
            raise ZeroDivisionError("a defect")
        return sound(samples)

    write_tone(sounds / "long.wav", 100, seconds=1.5)
    library.model.embed_samples = defective  # type: ignore[method-assign]
    report = library.add(sounds)
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
def test_a_query_does_not_find_itself(tmp_path: Path, sounds: Path, filled: str, asked: str) -> None:
    (tmp_path / "linked").symlink_to(sounds, target_is_directory=True)
    library = Library.create(tmp_path / "sounds.loom", "logmel")
    library.add(tmp_path / filled)
    names = {path.name for path in sounds.iterdir()}
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


def test_progress_counts_up_to_the_total(library: Library, sounds: Path) -> None:
    seen: list[FileProgress] = []
    library.add(sounds, progress=seen.append)
    assert [(progress.done, progress.total) for progress in seen] == [(n, 6) for n in range(1, 7)]
    assert seen[-1].seconds == pytest.approx(3.0)


def test_an_interrupted_add_keeps_what_is_finished(library: Library, sounds: Path) -> None:
    def stop(progress: FileProgress) -> None:
        if progress.done == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.add(sounds, workers=1, progress=stop)
    assert len(library.files()) == 3
    report = library.add(sounds)
    assert (report.new, report.unchanged) == (3, 3)


@pytest.mark.slow
def test_killed_at_any_moment_it_goes_on(tmp_path: Path, sounds: Path) -> None:
    for number in range(60):
        write_tone(sounds / f"many-{number:02d}.wav", 100 + 7 * number, seconds=2.5)
    reference = Library.create(tmp_path / "reference.loom", "logmel+mfcc")
    reference.add(sounds)
    victim = tmp_path / "victim.loom"
    Library.create(victim, "logmel+mfcc")
    script = (
        "import sys, soundloom.library.indexing.file_rows as writer; writer._FLUSH_SECONDS = 0.0; "
        "from soundloom.library import Library; library = Library.open(sys.argv[1]); library.model; "
        "print('go', flush=True); library.add(sys.argv[2])"
    )
    rng = np.random.default_rng(0)
    for _ in range(3):
        with subprocess.Popen([sys.executable, "-c", script, victim, sounds], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(rng.uniform(0.05, 0.5))
            process.send_signal(signal.SIGKILL)
        rows = contents(Library.open(victim))
        assert set(rows) <= set(contents(reference))
        assert len({row[:2] for row in rows}) == len(rows)
    library = Library.open(victim)
    library.add(sounds)
    assert contents(library) == contents(reference)


def test_killed_while_it_is_made_it_can_be_made_again(tmp_path: Path, sounds: Path) -> None:
    folder = tmp_path / "sounds.loom"
    folder.mkdir()
    (folder / "library.json.writing").write_text('{"model":')
    assert Library.create(folder, "mfcc").add(sounds).new == 6
    assert not (folder / "library.json.writing").exists()


def test_two_processes_do_not_add_at_once(library: Library, sounds: Path) -> None:
    from filelock import FileLock

    with FileLock(library.folder / "add.lock"), pytest.raises(LibraryError, match="another process is adding"):
        library.add(sounds)


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


def test_what_is_no_library_is_refused(tmp_path: Path, sounds: Path) -> None:
    with pytest.raises(LibraryError, match=r"no library at .*soundloom index"):
        Library.open(tmp_path / "nowhere.loom")
    with pytest.raises(LibraryError, match=r"holds no library\.json"):
        Library.open(sounds)
    with pytest.raises(LibraryError, match="is not empty"):
        Library.create(sounds)
    with pytest.raises(LibraryError, match=r"no folder or file .*nowhere"):
        Library.create(tmp_path / "a.loom", "logmel").add("nowhere")


@pytest.mark.parametrize(("window", "hop"), [(0, None), (-1, None), (1, 2), (None, 1), (float("inf"), None)])
def test_windows_that_make_no_sense_are_refused(tmp_path: Path, window: float | None, hop: float | None) -> None:
    with pytest.raises(LibraryError, match="hop"):
        LibrarySettings.of(soundloom.load("logmel"), window, hop)


def test_tags_are_stored_changed_and_filtered_by(library: Library, sounds: Path) -> None:
    table = sounds / "tags.csv"

    def write_tags(rows: list[tuple[str, str]]) -> TagTable:
        with table.open("w", newline="") as file:
            csv.writer(file).writerows([("Path", "Tags"), *rows])
        return TagTable(table, replace=True)

    library.add(sounds, tags=write_tags([("tone-0.wav", "low; it's long"), ("tone-5.wav", "high,bright")]))
    hit = library.search(sounds / "tone-4.wav", where="array_has(tags, 'bright')")
    assert [(Path(found.path).name, found.tags) for found in hit] == [("tone-5.wav", ("bright", "high"))]
    library.add(sounds, tags=write_tags([("tone-0.wav", ""), ("tone-5.wav", "high"), ("sounds/tone-1.wav", "new")]))
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
def test_wrong_tag_tables_are_refused(library: Library, sounds: Path, text: str, message: str) -> None:
    (sounds / "tags.csv").write_text(text)
    with pytest.raises(LibraryError, match=message):
        library.add(sounds, tags=TagTable(sounds / "tags.csv"))


def test_a_tag_table_that_is_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_bytes(b"path,tags\n\xff\xfe\xfa,x\n")
    with pytest.raises(LibraryError, match="not a CSV in UTF-8"):
        TagTable(tmp_path / "tags.csv")
    with pytest.raises(LibraryError, match="cannot be read: No such file"):
        TagTable(tmp_path / "nowhere.csv")


def test_files_left_out_for_their_endings_are_counted(library: Library, sounds: Path) -> None:
    for name in ("notes.txt", "list.TXT", "cover.jpg", ".hidden"):
        (sounds / name).write_bytes(b"no sound")
    (sounds / "tone-5.wav").rename(sounds / "take")
    report = library.add(sounds)
    assert report.new == 5
    assert report.left_out.endings == {".txt": 2, ".jpg": 1, "": 1}
    assert report.left_out.example == str(sounds / "take")
    assert "4 files left out, not named like audio files: 2 .txt, 1 without an ending, 1 .jpg" in str(report.left_out)


def test_hidden_sounds_are_counted_among_the_files_left_out(library: Library, sounds: Path) -> None:
    (sounds / "tone-5.wav").rename(sounds / ".take.wav")
    (sounds / "._tone-4.wav").write_bytes(b"of macOS")
    report = library.add(sounds)
    assert report.new == 5
    assert report.left_out.hidden == [str(sounds / ".take.wav")]
    assert str(report.left_out) == (
        "1 hidden sound left out, whose names begin with a dot, "
        f"'{sounds}/.take.wav' for instance: name the file itself."
    )


def test_a_sound_without_an_ending_that_was_named_stays_when_its_folder_is_searched(
    library: Library, sounds: Path
) -> None:
    library.add(sounds)
    write_tone(sounds / "take.wav", 3000)
    (sounds / "take.wav").rename(sounds / "take")
    assert library.add(sounds / "take").new == 1
    report = library.add(sounds)
    assert (report.unchanged, report.missing, report.deleted) == (7, 0, 0)
    assert report.left_out.endings == {}
    (sounds / "take").unlink()
    assert library.add(sounds, prune=True).deleted == 1


@pytest.mark.parametrize("tags", [["one"], ["it's", 'a "b"', "c;d", "naïve\n"], []])
def test_tags_of_a_few_segments_are_written_without_reading_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tags: list[str]
) -> None:
    stores = [Store(tmp_path / name, 4) for name in ("a few", "merged")]
    for store, few in zip(stores, (64, 0), strict=True):
        monkeypatch.setattr("soundloom.library.storage.store._FEW", few)
        for name in ("/a.wav", "/b'c.wav"):
            state = FileState(name, 1, 0, "")
            store.append(
                segment_rows(state, [0.0, 0.1, 1e-7], [1.0, 1.1, 2.0], np.ones((3, 4), np.float32), ["before"])
            )
        version = store.version
        store.write_tags({("/a.wav", 0.1): tags, ("/b'c.wav", 1e-7): tags, ("/gone.wav", 0.0): tags})
        assert store.version == version + 1
    tables = [pa.Table.from_batches(store.scan(["path", "start", "tags", "embedding"])) for store in stores]
    few, merged = (table.sort_by([("path", "ascending"), ("start", "ascending")]).to_pylist() for table in tables)
    assert few == merged
    assert [row["tags"] for row in few] == [["before"], ["before"], tags, ["before"], tags, ["before"]]


def test_tags_of_a_few_segments_are_not_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path, 4)
    store.append(segment_rows(FileState("/a.wav", 1, 0, ""), [0.0], [1.0], np.ones((1, 4), np.float32), []))
    monkeypatch.setattr(type(store._segments), "merge_insert", None)
    store.write_tags({("/a.wav", 0.0): ["x"]})
