"""Tags and embeddings follow the content of a sound: through renames, swaps, copies and names used again."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.embedder import Embedder
from soundloom.errors import LibraryError
from soundloom.library import Library, TagTable
from soundloom.library.indexing.moves import plan_moves
from soundloom.library.storage.table_schema import FileState


def write(path: Path, seed: int, seconds: float = 0.2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.1 * np.random.default_rng(seed).normal(size=round(8000 * seconds)), 8000)


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for number in range(20):
        write(tmp_path / "sounds" / f"{number}.wav", number)
    return tmp_path / "sounds"


@pytest.fixture
def library(tmp_path: Path, sounds: Path) -> Library:
    library = Library.create(tmp_path / "l.loom", "logmel", window=0.1)
    library.add(sounds)
    return library


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch, library: Library) -> list[int]:
    """An entry for every segment that is embedded from now on."""
    calls: list[int] = []
    embed = Embedder.embed_samples

    def counted(self: Embedder, samples: np.ndarray) -> np.ndarray:
        calls.append(len(samples))
        return embed(self, samples)

    monkeypatch.setattr(Embedder, "embed_samples", counted)
    return calls


def tags(library: Library) -> dict[str, set[str]]:
    """File name -> the tags that all of its segments have; a file whose segments differ is a failure."""
    found: dict[str, set[str]] = {}
    for path, some in zip(*library.rows(["path", "tags"]).to_pydict().values(), strict=True):
        assert found.setdefault(os.path.basename(path), set(some or ())) == set(some or ()), path
    return {name: some for name, some in found.items() if some}


def check_rows(library: Library, sounds: Path) -> None:
    """Every file has its rows once, with its own hash and embeddings."""
    fresh = Library.create(library.folder.with_name("fresh.loom"), "logmel", window=0.1)
    fresh.add(sounds)
    columns = ["path", "start", "end", "size", "mtime_ns", "hash", "embedding"]
    assert library.rows(columns).equals(fresh.rows(columns))
    shutil.rmtree(fresh.folder)


def swap(one: Path, other: Path) -> None:
    other.rename(one.with_suffix(".tmp"))
    one.rename(other)
    one.with_suffix(".tmp").rename(one)


def test_random_short_sequences() -> None:
    """Two of the sequences of the benchmark, shortened; the slow test has more."""
    from benchmarks.identity import run_sequence

    for seed in (7, 8):
        run_sequence(seed, steps=12)


def test_swapped_names(library: Library, sounds: Path, embedded: list[int]) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    library.tags.add("one", [sounds / "1.wav"])
    swap(sounds / "0.wav", sounds / "1.wav")
    report = library.add()
    assert (report.moved, report.new, report.changed, embedded) == (2, 0, 0, [])
    assert tags(library) == {"0.wav": {"one"}, "1.wav": {"zero"}}
    check_rows(library, sounds)
    swap(sounds / "0.wav", sounds / "1.wav")
    library.add()
    assert tags(library) == {"0.wav": {"zero"}, "1.wav": {"one"}}


def test_a_long_cycle_and_a_chain_of_names(library: Library, sounds: Path, embedded: list[int]) -> None:
    for number in range(20):
        library.tags.add(f"t{number}", [sounds / f"{number}.wav"])
    for number in range(20):  # a cycle through 0 .. 9; 10 .. 19 become 11 .. 20
        (sounds / f"{number}.wav").rename(sounds / f"{number}.tmp")
    for number in range(20):
        name = (number + 1) % 10 if number < 10 else number + 1
        (sounds / f"{number}.tmp").rename(sounds / f"{name}.wav")
    report = library.add()
    assert (report.moved, report.new, report.changed, report.deleted, embedded) == (20, 0, 0, 0, [])
    expected = {f"{(n + 1) % 10 if n < 10 else n + 1}.wav": {f"t{n}"} for n in range(20)}
    assert tags(library) == expected
    check_rows(library, sounds)


def test_the_name_of_a_deleted_sound_is_given_to_another(library: Library, sounds: Path, embedded: list[int]) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    library.tags.add("one", [sounds / "1.wav"])
    (sounds / "0.wav").unlink()
    (sounds / "1.wav").rename(sounds / "0.wav")
    library.add()
    assert tags(library) == {"0.wav": {"one"}}
    assert embedded == []
    check_rows(library, sounds)


@pytest.mark.parametrize("gone", [1, 5], ids=["removed", "kept as missing"])
def test_a_new_sound_under_a_deleted_name(library: Library, sounds: Path, gone: int) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    for number in range(gone):
        (sounds / f"{number}.wav").unlink()
    report = library.add()
    assert (report.deleted, report.missing) == ((1, 0) if gone == 1 else (0, 5))
    write(sounds / "0.wav", 100)
    library.add()
    assert tags(library) == {}
    write(sounds / "back.wav", 0)  # the deleted sound comes back under another name
    library.add()
    assert tags(library) == {"back.wav": {"zero"}}


def test_a_new_sound_under_the_name_of_a_renamed_one(library: Library, sounds: Path) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    (sounds / "0.wav").rename(sounds / "renamed.wav")
    write(sounds / "0.wav", 100)
    library.add()
    assert tags(library) == {"renamed.wav": {"zero"}}
    check_rows(library, sounds)


def test_identical_files(library: Library, sounds: Path, embedded: list[int]) -> None:
    shutil.copy(sounds / "0.wav", sounds / "twin.wav")
    report = library.add()
    assert (report.new, report.copied, embedded) == (1, 1, [])
    library.tags.add("zero", [sounds / "0.wav"])
    assert tags(library) == {"0.wav": {"zero"}, "twin.wav": {"zero"}}
    (sounds / "0.wav").rename(sounds / "renamed.wav")
    library.add()
    assert tags(library) == {"renamed.wav": {"zero"}, "twin.wav": {"zero"}}
    (sounds / "twin.wav").unlink()
    library.tags.remove("zero", [sounds / "renamed.wav"])
    library.add()
    assert tags(library) == {}
    check_rows(library, sounds)
    shutil.copy(sounds / "1.wav", sounds / "twin.wav")
    library.add()
    with pytest.raises(LibraryError, match=r"'.*twin.wav', which is the same sound as '.*1.wav', is marked both"):
        library.tags.edit("x", add=[sounds / "1.wav"], remove=[sounds / "twin.wav"])


def test_a_file_edited_in_place_keeps_its_tags(library: Library, sounds: Path) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    (sounds / "tags.csv").write_text("path;tags\n0.wav;table\n1.wav;table\n")
    library.add(tags=TagTable(sounds / "tags.csv"))
    write(sounds / "0.wav", 100, seconds=0.35)
    library.add()
    assert tags(library) == {"0.wav": {"zero", "table"}, "1.wav": {"table"}}
    (sounds / "0.wav").rename(sounds / "renamed.wav")
    (sounds / "tags.csv").write_text("path;tags\nrenamed.wav;other\n")
    library.add(tags=TagTable(sounds / "tags.csv", replace=True))
    assert tags(library) == {"renamed.wav": {"zero", "other"}, "1.wav": {"table"}}


@pytest.mark.parametrize("away", ["moved", "excluded", "forgotten", "overwritten"])
def test_tags_of_a_table_come_back_with_the_content(library: Library, sounds: Path, away: str) -> None:
    """As those do that a person gave; another table can replace them afterwards."""
    (sounds / "tags.csv").write_text("path,tags\n0.wav,table\n")
    library.add(tags=TagTable(sounds / "tags.csv"))
    library.tags.add("hand", [sounds / "0.wav"])
    library.tags.add("other", [sounds / "1.wav"])
    if away == "moved":
        (sounds / "0.wav").rename(sounds.parent / "0.wav")
        assert library.add().deleted == 1
        (sounds.parent / "0.wav").rename(sounds / "0.wav")
    elif away == "excluded":
        assert library.add(exclude=["0.wav"]).excluded == 1
        (library.folder / "exclude.txt").unlink()
    elif away == "forgotten":
        assert library.roots.forget(sounds / "0.wav") == 1
    else:
        shutil.copy(sounds / "0.wav", sounds.parent / "0.wav")
        shutil.copy(sounds / "1.wav", sounds / "0.wav")
        assert library.add().copied == 1
        assert tags(library) == {"0.wav": {"other"}, "1.wav": {"other"}}
        shutil.copy(sounds.parent / "0.wav", sounds / "0.wav")
    if away != "overwritten":
        assert tags(library) == {"1.wav": {"other"}}
    library.add(sounds / "0.wav")
    expected = {"hand", "table", "other"} if away == "overwritten" else {"hand", "table"}
    assert tags(library) == {"0.wav": expected, "1.wav": {"other"}}
    (sounds / "tags.csv").write_text("path,tags\n0.wav,later\n")
    library.add(tags=TagTable(sounds / "tags.csv", replace=True))
    assert tags(library)["0.wav"] == expected - {"table"} | {"later"}


def test_undo_follows_the_sound(library: Library, sounds: Path) -> None:
    edit = library.tags.add("zero", [sounds / "0.wav"])
    swap(sounds / "0.wav", sounds / "1.wav")
    library.add()
    undone = edit.revert()
    assert (undone.changed, tags(library)) == (2, {})
    undone.revert()
    assert tags(library) == {"1.wav": {"zero"}}


def test_an_undo_that_was_killed_before_its_commit_is_finished(library: Library, sounds: Path) -> None:
    edit = library.tags.add("zero", [sounds / "0.wav"])

    def killed(_: object) -> None:
        raise KeyboardInterrupt

    library._tag_editor._write = killed  # type: ignore[method-assign, assignment]
    with pytest.raises(KeyboardInterrupt):
        edit.revert()
    again = Library.open(library.folder)
    assert tags(again) == {"0.wav": {"zero"}}
    again.add()
    assert tags(again) == {}


def test_an_edit_whose_commit_fails_leaves_no_trace(library: Library, sounds: Path) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    log = (library.folder / "tags.jsonl").read_bytes()

    def full(_: object) -> None:
        raise OSError(28, "No space left on device")

    library._tag_editor._write = full  # type: ignore[method-assign, assignment]
    with pytest.raises(OSError, match="No space left"):
        library.tags.add("one", [sounds / "1.wav"])
    assert (library.folder / "tags.jsonl").read_bytes() == log
    again = Library.open(library.folder)
    again.add()
    assert tags(again) == {"0.wav": {"zero"}}


def test_rehash_finds_what_size_and_time_hide(library: Library, sounds: Path) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    times = [(sounds / f"{number}.wav").stat().st_mtime_ns for number in range(2)]
    swap(sounds / "0.wav", sounds / "1.wav")
    for number in range(2):
        os.utime(sounds / f"{number}.wav", ns=(times[number], times[number]))
    assert library.add().unchanged == 20
    assert tags(library) == {"0.wav": {"zero"}}
    report = library.add(rehash=True)
    assert (report.moved, report.unchanged) == (2, 18)
    assert tags(library) == {"1.wav": {"zero"}}
    check_rows(library, sounds)


def test_decisions_of_earlier_versions_hold_by_content_or_path(library: Library, sounds: Path) -> None:
    """Old logs have no checksum beside them; the oldest have no hashes."""
    lines = [
        {"id": "1", "decisions": [{"tag": "old", "wanted": True, "path": str(sounds / "0.wav"), "starts": None}]},
        {
            "id": "2",
            "decisions": [
                {"tag": "edited", "wanted": True, "path": str(sounds / "1.wav"), "starts": None, "hash": "0" * 32}
            ],
        },
    ]
    (library.folder / "tags.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    library.add()
    assert tags(library) == {"0.wav": {"old"}, "1.wav": {"edited"}}
    swap(sounds / "0.wav", sounds / "1.wav")
    library.add()
    (sounds / "tags.csv").write_text("path,tags\n0.wav,\n1.wav,\n")
    library.add(tags=TagTable(sounds / "tags.csv", replace=True))
    assert tags(library) == {"1.wav": {"old"}, "0.wav": {"edited"}}


def test_a_shortened_or_changed_log_is_noticed(library: Library, sounds: Path) -> None:
    library.tags.add("zero", [sounds / "0.wav"])
    library.tags.add("one", [sounds / "1.wav"])
    log = library.folder / "tags.jsonl"
    whole = log.read_bytes()
    for damaged in (whole[: len(whole) // 2], whole[: whole.index(b"\n") + 1], b"", whole.replace(b"one", b"two")):
        log.write_bytes(damaged)
        for act in (library.add, lambda: library.tags.add("x", [sounds / "2.wav"])):
            with pytest.raises(LibraryError, match=r"log of tags .*tags.jsonl' is damaged .*: restore it"):
                act()
    log.unlink()
    with pytest.raises(LibraryError, match=r"0 of [0-9]+ bytes"):
        library.add()
    log.write_bytes(whole)
    library.add()
    assert tags(library) == {"0.wav": {"zero"}, "1.wav": {"one"}}


def test_no_move_overwrites_rows_that_a_later_one_reads() -> None:
    """Random permutations with gaps, copies and overwritten files, replayed batch by batch on a dictionary."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        count = int(rng.integers(2, 250))
        known = {f"/{number}": FileState(f"/{number}", 1, 1, f"h{number % 200}") for number in range(count)}
        kept = [number for number in range(count) if rng.random() < 0.9]
        names = rng.permutation(count + 5)[: len(kept)]
        disk = {f"/{name}": f"h{number % 200}" for name, number in zip(names, kept, strict=True)}
        targets = [
            FileState(path, 1, 2, digest) for path, digest in disk.items() if known.get(path) is not None or True
        ]
        targets = [state for state in targets if state.path not in known or known[state.path].hash != state.hash]
        leaving = [path for path, state in known.items() if disk.get(path) != state.hash]
        rows = {path: [state.hash] for path, state in known.items()}
        for batch in plan_moves(targets, known, leaving):
            read = {move.target.path: rows[move.donor] for move in batch.moves}
            rows = {path: some for path, some in rows.items() if path not in batch.vacated} | read
        for state in targets:
            assert rows[state.path] == [state.hash]
        for path, digest in disk.items():
            assert rows[path] == [digest]


@pytest.mark.slow
@pytest.mark.parametrize("first", [1000, pytest.param(1010, marks=pytest.mark.long)])
def test_random_sequences_leave_every_tag_on_its_sound(first: int) -> None:
    from benchmarks.identity import run_sequence

    for seed in range(first, first + 10):
        run_sequence(seed)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="processes are forked and killed")
def test_kills_and_interrupts_lose_nothing() -> None:
    script = "from benchmarks.kills import run_rounds; result = run_rounds(20, 0, seed=5); print(result['faults'])"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout == "[]\n", done.stdout + done.stderr
