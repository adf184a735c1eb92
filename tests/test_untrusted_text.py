"""Names and tags that others chose: no terminal obeys them, no spreadsheet computes them, every encoding has them."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

import soundloom.cli
from soundloom import Library
from soundloom.annotations import Annotation, write_annotations
from soundloom.cli import main
from soundloom.cli.console import Styled, echo, print_json
from soundloom.file_names import os_path, text_path
from soundloom.safe_text import csv_cell, csv_text, printable, printable_lines

NASTY = "a\x1b]0;owned\x07\u202egnp\x9b31m\x7f.wav"
"""A name that retitles the window, reads backwards, and begins a sequence of one byte."""

COMMANDED = frozenset("\x1b\x07\x9b\x7f\u202e\r")


def run(*arguments: object, charset: str = "utf-8") -> Result:
    return CliRunner(charset=charset).invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def nasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library of sounds with such names, and one file that is none."""
    folder = tmp_path_factory.mktemp("nasty")
    rng = np.random.default_rng(0)
    for name in (NASTY, "line\nbreak.wav", "Über 🎻.wav"):
        soundfile.write(folder / name, rng.uniform(-0.5, 0.5, 16000), 16000)
    (folder / f"broken-{NASTY}").write_bytes(b"no sound")
    result = run("index", folder, "-l", folder / "l.loom", "-m", "mfcc")
    assert "3 new" in result.stdout
    assert result.exit_code == 1
    return folder


# In a terminal


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("door.wav", "door.wav"),
        ("Über Straße 猫 🎻.wav", "Über Straße 猫 🎻.wav"),
        ("👩\u200d🚒", "👩\u200d🚒"),
        ("a\x1b[2J", r"a\x1b[2J"),
        ("a\x9b2J", r"a\x9b2J"),
        ("a\rb\nc\td", r"a\rb\nc\td"),
        ("\u202ecod.exe", r"\u202ecod.exe"),
        ("\u2066a\u2069\u200f\u061c", r"\u2066a\u2069\u200f\u061c"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("\ufeff\u00ad", r"\ufeff\xad"),
        ("caf\udce9", r"caf\xe9"),
        ("\U000e0041", r"\U000e0041"),
        ("\x00\x08", r"\x00\x08"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable_lines(text.replace("\n", "").replace("\t", "")) == shown.replace(r"\n", "").replace(r"\t", "")


def test_lines_stay_lines() -> None:
    assert printable_lines("a\tb\n\x1bc\r\n") == "a\tb\n\\x1bc\\r\n"


def test_only_our_own_colours_are_colours(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("click.utils.should_strip_ansi", lambda *_: False)
    echo("  ", Styled("failed\x1b[1m", "red"), " \x1b[32mok")
    assert capsys.readouterr().out == "  \x1b[31mfailed\\x1b[1m\x1b[0m \\x1b[32mok\n"


@pytest.mark.parametrize("extra", [(), ("--json",), ("--explain",)])
def test_search_prints_nothing_that_a_terminal_obeys(nasty: Path, extra: tuple[str, ...]) -> None:
    result = run("search", nasty / NASTY, "-l", nasty / "l.loom", "--include-query", *extra)
    assert result.exit_code == 0, result.output
    assert not COMMANDED & set(result.output)
    assert "owned" in result.stdout
    if extra == ("--json",):
        assert NASTY in [Path(hit["path"]).name for hit in json.loads(result.stdout)]


def test_the_other_commands_print_nothing_that_a_terminal_obeys(nasty: Path) -> None:
    for result in (
        run("index", nasty, "-l", nasty / "l.loom"),
        run("index", nasty, "-l", nasty / "l.loom", "--json"),
        run("info", "-l", nasty / "l.loom"),
        run("info", "-l", nasty / "l.loom", "--json"),
        run("search", nasty / f"no-{NASTY}", "-l", nasty / "l.loom"),
        run("search", nasty / NASTY, "-l", nasty / NASTY),
        run("index", nasty, "-l", nasty / "l.loom", "--window", NASTY),
        run("tag", "--examples", "--tag", "x", "--yes", nasty / NASTY, "-l", nasty / "l.loom"),
        run("embed", nasty, "-o", nasty.with_name("e.csv"), "-m", "mfcc"),
        run(NASTY),
    ):
        assert not COMMANDED & set(result.output), result.output
        assert "Traceback" not in result.output


@pytest.mark.parametrize("charset", ["cp1252", "ascii", "latin-1", "cp437"])
def test_output_works_in_every_encoding(nasty: Path, charset: str) -> None:
    hits = run("search", nasty / "Über 🎻.wav", "-l", nasty / "l.loom", "--include-query", charset=charset)
    assert hits.exit_code == 0, hits.exception
    assert r"\U0001f3bb" in hits.stdout
    found = run("search", nasty / "Über 🎻.wav", "-l", nasty / "l.loom", "--json", charset=charset)
    assert found.exit_code == 0, found.exception
    assert {Path(hit["path"]).name for hit in json.loads(found.stdout)} == {NASTY, "line\nbreak.wav"}
    missing = run("search", nasty / "🎻🎻.wav", "-l", nasty / "l.loom", charset=charset)
    assert missing.exit_code == 1
    assert "no file or folder" in missing.stderr


def test_json_holds_any_text(capsys: pytest.CaptureFixture[str]) -> None:
    names = [NASTY, "caf\udce9", "\u2028", "Über"]
    print_json(names)
    printed = capsys.readouterr().out
    assert not COMMANDED & set(printed)
    assert json.loads(printed) == names


def test_every_command_prints_by_the_console() -> None:
    modules = list(Path(soundloom.cli.__file__).parent.glob("*.py"))
    assert len(modules) > 20
    for module in modules:
        printing = re.findall(r"click\.(?:echo|secho|style)\(|(?<![.\w])print\(", module.read_text(encoding="utf-8"))
        # The door of errors escapes its messages itself, and needs a traceback's lines as they are.
        assert not printing or module.name in ("console.py", "error_door.py"), module.name


# In a spreadsheet


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "''+1"])
def test_what_looks_like_a_formula_gets_an_apostrophe_and_comes_back(text: str) -> None:
    assert csv_cell(text) == f"'{text}"
    assert csv_text(csv_cell(text)) == text


@pytest.mark.parametrize("text", ["", "door", "/sounds/=1.wav", "'tis", "'", "rock'n'roll", "a=1", "1-2"])
def test_other_cells_stay_as_they_are(text: str) -> None:
    assert csv_cell(text) == csv_text(text) == text


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        (NASTY, r"a\x1b]0;owned\x07\u202egnp\u009b31m\x7f.wav"),
        ("\t=1\r\n", r"\x09=1\x0d\x0a"),
        ("\udce9", r"\udce9"),
        (r"a\x1b", r"a\x5cx1b"),
        (r"a\x5cx1b\u202e", r"a\x5cx5cx1b\x5cu202e"),
        (r"caf\xe9 \x5cxe9 C:\new\u00e9.wav", r"caf\xe9 \x5cxe9 C:\new\x5cu00e9.wav"),
        ("👩\u200d🚒 Über", "👩\u200d🚒 Über"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped_in_cells_and_comes_back(text: str, cell: str) -> None:
    assert csv_cell(text) == cell
    assert csv_text(cell) == text


def test_cells_of_others_that_look_like_escapes_of_letters_stay() -> None:
    assert csv_text(r"C:\u2024\u0041.wav") == r"C:\u2024\u0041.wav"


def test_every_csv_and_label_track_is_free_of_what_a_terminal_obeys(nasty: Path, tmp_path: Path) -> None:
    region = Annotation(f"/a/{NASTY}", 0.0, 1.0, NASTY)
    for name in ("r.csv", "r.txt", "r.html"):
        write_annotations([region], tmp_path / name)
    assert run("embed", nasty, "-m", "mfcc", "-o", tmp_path / "e.csv").exit_code == 1, "one file is none"
    for name in ("r.csv", "r.txt", "e.csv", "r.html"):
        assert not COMMANDED & set((tmp_path / name).read_text(encoding="utf-8").replace("\r\n", "\n")), name
    paths = {csv_text(row["path"]) for row in csv.DictReader(io.StringIO((tmp_path / "e.csv").read_text(), newline=""))}
    assert paths == {str(nasty / name) for name in (NASTY, "line\nbreak.wav", "Über 🎻.wav")}


def test_tags_are_written_as_no_formulas(tmp_path: Path) -> None:
    regions = [Annotation("/a/x.wav", -0.0, 2.0, "=HYPERLINK(1)"), Annotation("-x.wav", 0.0, 1.0, "rain")]
    write_annotations(regions, tmp_path / "t.csv")
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    assert rows == [["/a/x.wav", "-0.0", "2.0", "'=HYPERLINK(1)", ""], ["'-x.wav", "0.0", "1.0", "rain", ""]]


# Names that are not UTF-8


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/a/door.wav", "/a/door.wav"),
        ("/a/Über.wav", "/a/Über.wav"),
        ("/a/caf\udce9.wav", r"/a/caf\xe9.wav"),
        ("/a/\udcff\udc80", r"/a/\xff\x80"),
        (r"/a/caf\xe9.wav", r"/a/caf\x5cxe9.wav"),
        (r"/a/\x5c", r"/a/\x5cx5c"),
        (r"/a/\x41\n", r"/a/\x41\n"),
    ],
)
def test_a_path_is_a_text_and_back(path: str, text: str) -> None:
    assert text_path(path) == text
    assert text_path(path).encode("utf-8")
    assert os_path(text) == path


def test_a_path_that_exists_as_it_is_stays_so(tmp_path: Path) -> None:
    literal = tmp_path / r"caf\xe9.wav"
    literal.touch()
    assert os_path(str(literal)) == str(literal)
    assert os_path(text_path(literal)) == str(literal)


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="file names are Unicode there")
def test_names_that_are_not_utf_8_work_everywhere(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"\xff-sounds")
    folder.mkdir()
    rng = np.random.default_rng(0)
    odd = folder / os.fsdecode(b"caf\xe9.wav")
    for file in (odd, folder / "plain.wav", folder / "other.wav"):
        soundfile.write(os.fsencode(file), rng.uniform(-0.5, 0.5, 16000), 16000, format="WAV")
    (folder / os.fsdecode(b"broken-\xe9.wav")).write_bytes(b"no sound")
    stored = str(tmp_path / r"\xff-sounds" / r"caf\xe9.wav")

    indexed = run("index", folder, "-l", tmp_path / "l.loom", "-m", "mfcc")
    assert "3 new" in indexed.stdout
    assert r"broken-\\xe9.wav" in indexed.stderr  # as repr shows a backslash
    again = run("index", "-l", tmp_path / "l.loom")
    assert "3 unchanged" in again.stdout
    library = Library.open(tmp_path / "l.loom")
    assert stored in library.files()
    for query in (odd, stored):
        hits = library.search(query)
        assert stored not in [hit.path for hit in hits]
        assert len(hits) == 2
    assert library.search(odd, include_query=True)[0].path == stored
    assert library.tags.add("coffee", [odd]).changed == 1
    assert library.tags.counts() == {"coffee": 1}
    for out in ("e.csv", "e.parquet", "e.npz", "frames"):
        assert run("embed", odd, "-o", tmp_path / out, "-m", "mfcc").exit_code == 0
    assert stored in (tmp_path / "e.csv").read_text(encoding="utf-8")
    assert library.tags.export(tmp_path / "t.csv") == 1
    shown = run("search", odd, "-l", tmp_path / "l.loom", "--include-query", "--json")
    assert stored in [hit["path"] for hit in json.loads(shown.stdout)]
    odd.rename(folder / os.fsdecode(b"th\xe9.wav"))
    assert library.add(folder).moved == 1
