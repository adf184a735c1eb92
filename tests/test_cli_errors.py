"""Errors of commands: one line, the remedy, an exit code; nothing begun is left behind."""

from __future__ import annotations

import errno
import logging
import os
import re
import signal
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from helpers.command_line import run
from helpers.library_factory import clustered, filled
from helpers.quick_map import without_umap
from soundloom.atomic_file import replacing
from soundloom.cli import main
from soundloom.cli.error_door import Terminated, show_notices
from soundloom.errors import LibraryDamagedError, QueryError, ResourceError, SoundloomError
from soundloom.evaluation import results
from soundloom.file_pool import Failed, process
from soundloom.library import Library
from soundloom.library.tags.tag_table import TagTable
from soundloom.local_path import local_path
from soundloom.recipes import pitch
from soundloom.system_errors import is_unwritable, one_line_errors, translated
from soundloom.tags.file_metadata import embedded_texts
from soundloom.training.run_folder import open_folder

PATHS = [f"/s/{number:02d}.wav" for number in range(30)]


class PanicException(BaseException):
    """As Rust code raises through Python."""


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[BaseException]]:
    """A command ``fails`` that raises what is in the list."""
    errors: list[BaseException] = []

    @click.command("fails")
    def command() -> None:
        logging.getLogger("soundloom.library").warning("it was\nrebuilt")
        raise errors[0]

    monkeypatch.setitem(main.commands, "fails", command)  # type: ignore[attr-defined]
    return errors


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "/d/x"), "'/d/x': the disk is full: make room"),
        (OSError(errno.EROFS, "Read-only file system", "/d/x"), "'/d/x': the file system is read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/d/x"), "'/d/x': permission denied"),
        (OSError(errno.EIO, "Input/output error", b"/d/x"), "'/d/x': the disk cannot read or write it"),
        (OSError(errno.EMFILE, "Too many open files", "/d/x"), "too many files are open in this process.*ulimit"),
        (MemoryError(), "not enough memory"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 12 bytes"), "not enough memory"),
        (RuntimeError("lance error: LanceError(IO): No space left on device (os error 28), /x"), "the disk is full"),
        (OSError("lance error: LanceError(IO): Generic LocalFileSystem error: (os error 30)"), "is read-only"),
        (RuntimeError("lance error: Invalid user input: bad page"), "soundloom verify"),
        (PanicException("range end index 64 out of range"), "soundloom verify"),
        (EOFError(), "unexpected EOFError.*defect of soundloom.*soundloom --debug"),
        (KeyError("colour"), "unexpected KeyError: 'colour'"),
        (RecursionError("maximum\nrecursion"), "unexpected RecursionError: maximum"),
    ],
)
def test_an_error_is_one_line(
    fails: list[BaseException], error: BaseException, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails.append(error)
    result = run("fails")
    assert result.exit_code == 1
    notice, line, end = result.stderr.split("\n")
    assert (notice, end) == ("note: it was rebuilt", "")
    assert line.startswith("Error: ")
    assert re.search(message, line), line
    for shown in (run("--debug", "fails"), CliRunner(env={"SOUNDLOOM_DEBUG": "1"}).invoke(main, ["fails"])):
        assert "Traceback (most recent call last)" in shown.stderr
        assert shown.exit_code == 1


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [(KeyboardInterrupt(), 130, "interrupted"), (Terminated(), 143, "terminated"), (click.Abort(), 130, "interrupted")],
)
def test_signals_have_codes_of_their_own(
    fails: list[BaseException], error: BaseException, code: int, message: str
) -> None:
    fails.append(error)
    result = run("fails")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (code, message)


def test_sigterm_cleans_up(tmp_path: Path) -> None:
    script = f"""
import time, click
from pathlib import Path
from soundloom.cli import main
from soundloom.atomic_file import replacing

@main.command("slow")
def slow():
    with replacing({str(tmp_path / "out.csv")!r}) as file:
        file.write_text("half")
        print("ready", flush=True)
        time.sleep(60)

main(["slow"])
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=30)
    assert (process.returncode, stderr.decode().splitlines()) == (143, ["terminated"])
    assert list(tmp_path.iterdir()) == []


def test_an_atomic_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")

    def interrupted() -> None:
        with replacing(file) as temporary:
            temporary.write_text("ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (file.read_text(), list(tmp_path.iterdir())) == ("old", [file])
    with replacing(file) as temporary:
        temporary.write_text("new")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("new", [file])


ADDRESSES = ("s3://bucket/lib.loom", "gs://b/x", "file:///tmp/x", "https://example.org/a.wav", "S3A://b")


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "arguments",
    [
        ("embed", ".", "-o", "{}.csv"),
        ("map", "--out", "{}.png"),
        ("tag", ".", "--out", "{}"),
        ("evaluate", "logmel", "--on", "{}"),
        ("train", "triplet", "{}", "-o", "run"),
        ("train", "triplet", ".", "-o", "{}"),
        ("export", "logmel", "{}.onnx"),
        ("demo", "--out", "{}"),
    ],
)
def test_addresses_are_refused_as_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*(one.format(address) for one in arguments))
    assert result.exit_code == 1, result.output
    assert "is an address" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_addresses_are_refused_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for call in (Library.create, Library.open):
        with pytest.raises(QueryError, match="is an address"):
            call("https://example.org/lib.loom")
    with pytest.raises(QueryError, match="is an address"):
        local_path(Path("s3://bucket"))
    assert local_path("C:/sounds") == Path("C:/sounds")
    assert local_path("a:b") == Path("a:b")
    (tmp_path / "odd:").mkdir()
    (tmp_path / "odd:" / "x").touch()
    assert local_path("odd:/x", must_exist=True) == Path("odd:/x")
    assert list(tmp_path.iterdir()) == [tmp_path / "odd:"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("index", "nowhere"),
        ("index", ".", "nowhere"),
        ("index", ".", "--tags", "nowhere.csv"),
        ("embed", ".", "nowhere", "-o", "x.csv"),
        ("search", "nowhere.wav", "-l", "nowhere.loom"),
        ("tag", "nowhere.wav"),
        ("map", "-l", "nowhere.loom"),
        ("info", "-l", "nowhere.loom"),
        ("verify", "-l", "nowhere.loom"),
        ("serve", "nowhere.loom"),
        ("evaluate", "logmel", "--on", "./nowhere", "-o", "results"),
        ("train", "triplet", "./nowhere", "-o", "run"),
        ("corpora", "esc50", "nowhere"),
        ("demo", "--sounds", "nowhere"),
        ("tag", "--examples", "--tag", "x", "--yes", "a.wav", "-l", "nowhere.loom"),
    ],
)
def test_a_path_that_does_not_exist_ends_the_command_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code in (1, 2), result.output
    assert "nowhere" in result.stderr
    assert "unexpected" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_goes_away_while_it_waits_fails_in_words(tmp_path: Path) -> None:
    [failed] = process([tmp_path / "lost.wav"], lambda file, _av: file.read_bytes(), workers=1)
    assert isinstance(failed, Failed)
    assert failed.reason == "no such file or folder"


def test_errors_of_the_system_are_translated_where_they_happen(tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match=f"'{tmp_path}': the disk is full"), one_line_errors(tmp_path):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(LibraryDamagedError, match="page"), one_line_errors(tmp_path, from_engine=True):
        raise ValueError("bad page")
    with pytest.raises(ValueError, match="mine"), one_line_errors(tmp_path):
        raise ValueError("mine")
    assert translated(KeyError("x")) is None
    assert is_unwritable(OSError(errno.EROFS, ""))
    assert not is_unwritable(OSError(errno.EIO, ""))


def test_verify_names_every_damage_and_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_umap(monkeypatch)
    library = filled(tmp_path / "l.loom", PATHS, clustered(3, 10))
    library.search_embedding(clustered(3, 10)[0])
    library.maps.get()
    library.tags.add("dog", [PATHS[0]])
    folder = library.folder
    result = run("verify", "-l", folder)
    assert (result.exit_code, result.output) == (0, "whole\n")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    damaged = [next(folder.glob("store/segments.lance/data/*")), next(folder.glob("map/*.npz"))]
    damaged += [folder / "index" / "vectors.npy", folder / "tags.jsonl", folder / "roots.json", folder / "library.json"]
    for file in damaged:
        file.write_bytes(file.read_bytes()[:-7] if file.exists() else b"{")
    result = run("verify", "-l", folder)
    assert result.exit_code == 1
    lines = [line for line in result.stdout.splitlines() if line.startswith("damaged ")]
    for file in damaged:
        (line,) = [one for one in lines if str(file) in one.partition(": ")[0] or f"{file.parent}'" in one]
        assert "Remedy: " in line
        assert ("cache" in line) == (file.parent.name in ("index", "map"))
    assert "6 files damaged" in result.stderr
    for file, data in before.items():
        if file not in damaged:
            assert file.read_bytes() == data
    assert "cache" in run("verify", "-l", folder, "--json").stdout


def test_verify_accepts_the_store_as_it_is_when_told(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", PATHS, clustered(3, 10))
    (transaction, *_) = (library.folder / "store" / "segments.lance" / "_transactions").iterdir()
    status = transaction.stat()
    transaction.write_bytes(transaction.read_bytes()[:-1] + b"?")
    os.utime(transaction, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run("verify", "-l", library.folder).exit_code == 1
    assert run("verify", "-l", library.folder, "--renew").output == "whole\n"
    assert run("verify", "-l", library.folder).exit_code == 0


def test_warnings_are_notes_without_python_s_source_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        with show_notices():
            warnings.warn("a sound is\nshort", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "note: a sound is short\n"


@pytest.mark.parametrize(
    "act",
    [
        lambda below: results.write_whole(below, "{}"),
        lambda below: results.read(below),
        lambda below: open_folder(below, pitch.PRESETS["small"], "a run", resume=True),
        lambda below: Library.create(below, "mfcc"),
        lambda below: embedded_texts(below),
        lambda below: TagTable(below),
    ],
    ids=["results", "results read", "a run", "a library", "texts in a file", "a table of tags"],
)
def test_what_cannot_be_read_or_written_is_told_with_the_remedy(act: Callable[[Path], object], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(
        SoundloomError, match=r": (it exists already: choose|part of the path is a file, not a folder: check)"
    ):
        act(tmp_path / "file" / "below.csv")
