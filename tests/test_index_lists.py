"""What ``soundloom index`` takes and leaves out: lists of files, patterns, and what becomes of files left out later."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from soundloom.cli import main
from soundloom.library import Library


@pytest.fixture(autouse=True)
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six sounds, two of them drafts."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("a", "b", "c", "d", "a_draft", "deep/b_draft"):
        path = tmp_path / "sounds" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * rng.normal(size=8000), 8000)
    return tmp_path / "sounds"


def index(*arguments: object, stdin: bytes = b"") -> Result:
    return CliRunner().invoke(main, ["index", "-m", "mfcc", "-j", "1", *map(str, arguments)], input=stdin)


def held() -> list[str]:
    return [Path(path).stem for path in Library.open("sounds.loom").files()]


def test_patterns_count_from_then_on(sounds: Path) -> None:
    done = index("sounds", "--exclude", "*_draft.wav")
    assert (
        "left out  *_draft.wav (take one back in sounds.loom/exclude.txt)" in CliRunner().invoke(main, ["info"]).stdout
    )
    emptied = index("sounds", "--exclude", " ").stderr
    assert "a pattern of files to leave out is empty" in emptied
    assert "to take one back, delete its line in " in emptied
    assert done.exit_code == 0, done.stderr
    assert held() == ["a", "b", "c", "d"]
    assert index().exit_code == 0
    assert held() == ["a", "b", "c", "d"]
    Path("sounds.loom/exclude.txt").write_text("")
    index()
    assert sorted(held()) == ["a", "a_draft", "b", "b_draft", "c", "d"]


def test_files_left_out_later_leave_the_library_however_many(sounds: Path) -> None:
    index("sounds")
    assert len(held()) == 6
    (sounds / ".soundloomignore").write_text("[a-c].wav\n")
    done = index()
    assert "3 excluded" in done.stdout
    assert sorted(held()) == ["a_draft", "b_draft", "d"]
    (sounds / "d.wav").unlink()
    assert "missing: 1 file" in index().stderr  # not there: a drive may be unplugged


def test_a_folder_of_which_all_is_left_out_is_not_absent(sounds: Path) -> None:
    index("sounds")
    done = index("--exclude", "*.wav")
    assert "6 excluded" in done.stdout
    assert "absent" not in done.stderr
    assert (done.exit_code, held()) == (0, [])
    assert [root.path for root in Library.open("sounds.loom").roots.all()] == [str(sounds)]


@pytest.mark.parametrize("pattern", ["a.wav", "deep/"])
def test_a_root_that_is_left_out_of_the_folder_around_it_is_not_absent(sounds: Path, pattern: str) -> None:
    index(sounds / pattern)
    done = index("sounds", "--exclude", pattern)
    assert "1 excluded" in done.stdout
    assert "absent" not in done.stderr
    assert len(held()) == 5
    assert index().exit_code == 0
    assert [root.path for root in Library.open("sounds.loom").roots.all()] == [str(sounds)]


def test_a_root_that_is_gone_is_absent_whatever_is_left_out(sounds: Path) -> None:
    index("sounds/deep")
    shutil.rmtree(sounds / "deep")
    (sounds / "deep").mkdir()  # as an unplugged drive leaves it
    done = index("sounds", "--exclude", "deep/", "--exclude", "a*.wav")
    assert f"absent, kept as it was: {sounds / 'deep'}" in done.stderr
    assert sorted(held()) == ["b", "b_draft", "c", "d"]


def test_what_patterns_leave_out_is_counted_in_every_run(sounds: Path) -> None:
    (sounds / "a_draft.txt").write_text("no sound")
    patterns = f"{Path('sounds.loom/exclude.txt').absolute()} or a file .soundloomignore."
    first = f"1 file and 1 folder left out by patterns, {str(sounds / 'a_draft.wav')!r} for instance: "
    second = "to take a pattern back, delete its line in " + patterns
    assert first + second in index("sounds", "--exclude", "*_draft.*", "--exclude", "deep/").stderr
    assert first + second in index().stderr
    outright = index("sounds/a_draft.wav", "sounds").stderr
    assert "file and" not in outright
    assert "1 folder left out by patterns" in outright
    Path("sounds.loom/exclude.txt").unlink()
    (sounds / ".soundloomignore").write_text("[ab].wav\n")
    ignored = index().stderr
    assert "2 files left out by patterns" in ignored
    assert "delete its line in a file .soundloomignore." in ignored
    planned = CliRunner().invoke(main, ["plan", "sounds", "-m", "mfcc", "-o", "plan"]).stderr
    assert "2 files left out by patterns" in planned


def test_what_is_named_outright_stays_in_every_run(sounds: Path) -> None:
    (sounds / ".soundloomignore").write_text("d.wav\n")
    (sounds / ".e.wav").write_bytes((sounds / "a.wav").read_bytes())
    (sounds / "deep" / "f.wav").write_bytes((sounds / "b.wav").read_bytes())
    patterns = ("--exclude", "*_draft.wav", "--exclude", "deep/")
    index("sounds", *patterns)
    assert held() == ["a", "b", "c"]
    assert index("sounds/a_draft.wav", "sounds/d.wav", "sounds/.e.wav").exit_code == 0
    assert index("sounds/deep").exit_code == 0
    named = [".e", "a", "a_draft", "b", "c", "d", "f"]  # and not b_draft, which a pattern leaves out of deep as well
    for arguments in ((), ("sounds",), ("sounds", *patterns), ("--exclude", "*.mp3"), ("--rehash",), ("sounds/a.wav",)):
        done = index(*arguments)
        assert (done.exit_code, "excluded" in done.stdout, sorted(held())) == (0, False, named), arguments
    roots = [str(sounds), *(str(sounds / name) for name in (".e.wav", "a_draft.wav", "d.wav", "deep"))]
    assert [root.path for root in Library.open("sounds.loom").roots.all()] == roots
    assert "1 excluded" in index("--exclude", "a_d*.wav").stdout  # a pattern that is given later
    assert sorted(held()) == [name for name in named if name != "a_draft"]
    CliRunner().invoke(main, ["roots", "forget", "sounds/d.wav"])
    Path(sounds / ".soundloomignore").unlink()
    index()
    assert sorted(held()) == [".e", "a", "b", "c", "f"]
    index("sounds/d.wav")
    index()
    assert sorted(held()) == [".e", "a", "b", "c", "d", "f"]


def test_what_is_named_outright_moves_with_the_folder_around_it(sounds: Path) -> None:
    index("sounds", "--exclude", "*_draft.wav")
    index("sounds/a_draft.wav")
    sounds.rename("moved")
    moved = CliRunner().invoke(main, ["roots", "relocate", "sounds", "moved"])
    assert moved.exit_code == 0, moved.stderr
    assert "excluded" not in index().stdout
    assert sorted(held()) == ["a", "a_draft", "b", "c", "d"]
    roots = [root.path for root in Library.open("sounds.loom").roots.all()]
    assert roots == [str(sounds.with_name("moved")), str(sounds.with_name("moved") / "a_draft.wav")]


def test_lists_of_files_are_indexed(sounds: Path) -> None:
    Path("list.txt").write_text("sounds/a.wav\nsounds/lost.wav\nsounds/b.wav\n")
    done = index("--files", "list.txt")
    assert done.exit_code == 0, done.stderr
    assert "1 file of the list left out" in done.stderr
    assert held() == ["a", "b"]
    assert index("--files", "-", stdin=b"sounds/c.wav\0sounds/d.wav\0").exit_code == 0
    assert held() == ["a", "b", "c", "d"]
    Path("none.txt").write_text("lost.wav\n")
    lost = index("--files", "none.txt")
    assert (lost.exit_code, "no file of the list is there" in lost.stderr) == (1, True)
    assert "cannot be read" in index("--files", "nothing.txt").stderr


def test_regions_of_lists_stand_for_their_files(sounds: Path) -> None:
    Path("list.txt").write_text("sounds/a.wav@0-1\nsounds/b.wav\n")
    Path("hits.json").write_text('[{"path": "sounds/c.wav", "start": 0, "end": 1}]')
    done = index("--files", "list.txt", "--files", "hits.json")
    assert done.exit_code == 0, done.stderr
    assert held() == ["a", "b", "c"]
    refused = index("--files", "sounds/a.wav", "-l", "other.loom")
    assert "is no list of files" in refused.stderr
    assert refused.stderr.isprintable() or refused.stderr.strip().isprintable()
    assert not Path("other.loom").exists()


def test_tags_of_sounds_that_lie_elsewhere_now(sounds: Path) -> None:
    assert index("sounds").exit_code == 0
    Library.open("sounds.loom").tags.add("owl", [str(sounds / "deep/b_draft.wav")])
    Library.open("sounds.loom").tags.export("tags.csv")
    Path("copies").mkdir()
    shutil.copy(sounds / "a.wav", "copies")
    refused = index("copies", "-l", "copies.loom", "--tags", "tags.csv")
    assert (refused.exit_code, "names none of the sounds" in refused.stderr) == (1, True)
    assert not Path("copies.loom").exists()
    shutil.copy(sounds / "deep/b_draft.wav", "copies")
    done = index("copies", "-l", "copies.loom", "--tags", "tags.csv")
    assert done.exit_code == 0, done.stderr
    assert Library.open("copies.loom").tags.counts() == {"owl": 1}
    Path("sites.csv").write_text("path,site\n/away/a.wav,wood\n/away/deep/b_draft.wav,sea\n")
    assert "site of 2 files" in index("-l", "copies.loom", "--columns-from", "sites.csv").stderr
