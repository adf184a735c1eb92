"""Finding sound files: order, repetition, links, hidden files, places that cannot be searched."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from soundloom.audio import AUDIO_SUFFIXES, find
from soundloom.errors import AudioError, InvalidArgumentError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def test_finds_below_folders_in_one_order_whatever_the_case_of_the_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "b/2.flac", "b/1.WAV", "a.Mp3", "c/d/e/f.opus", "notes.txt", "b/cover.jpg", "z.mp4", "wav")
    found = [str(file.relative_to(tmp_path)) for file in find([tmp_path])]
    assert found == ["a.Mp3", "b/1.WAV", "b/2.flac", "c/d/e/f.opus", "z.mp4"]


def test_hidden_names_are_skipped_unless_given(tmp_path: Path) -> None:
    touch(tmp_path, "._song.wav", ".trash/old.wav", ".hidden.wav", "song.wav")
    assert list(find([tmp_path])) == [tmp_path / "song.wav"]
    assert list(find([tmp_path / ".hidden.wav"])) == [tmp_path / ".hidden.wav"]
    assert list(find([tmp_path / ".trash"])) == [tmp_path / ".trash" / "old.wav"]


def test_a_file_given_outright_needs_no_suffix(tmp_path: Path) -> None:
    touch(tmp_path, "recording", "song.wav")
    assert list(find([tmp_path / "recording"])) == [tmp_path / "recording"]


def test_each_file_comes_once(tmp_path: Path) -> None:
    touch(tmp_path, "a/song.wav")
    (tmp_path / "a" / "same.wav").symlink_to(tmp_path / "a" / "song.wav")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    song = tmp_path / "a" / "song.wav"
    assert list(find([song, tmp_path, tmp_path / "a", str(song)])) == [song]


def test_links_to_folders_are_followed_and_circles_end(tmp_path: Path) -> None:
    touch(tmp_path, "elsewhere/song.wav", "here/inner/talk.wav")
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "here" / "inner" / "up").symlink_to(tmp_path / "here")
    (tmp_path / "here" / "self").symlink_to(tmp_path / "here" / "self")
    found = [str(file.relative_to(tmp_path)) for file in find([tmp_path / "here"])]
    assert found == ["here/inner/talk.wav", "here/link/song.wav"]


def test_folders_nested_deeper_than_python_calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    depth = sys.getrecursionlimit() + 10
    monkeypatch.chdir(tmp_path)
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    Path("deep.wav").touch()
    found = list(find([tmp_path]))
    # What pytest clears away afterwards, it clears by recursion.
    Path("deep.wav").unlink()
    for _ in range(depth):
        os.chdir("..")
        os.rmdir("d")
    assert [file.name for file in found] == ["deep.wav"]


@pytest.mark.skipif(os.name == "nt", reason="names are text there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    names = ["a b.wav", "c#d.wav", "e\nf.wav", "g'\"h.wav", "犬の声.wav", os.fsdecode(b"i\xff.wav"), "100%d.wav"]
    touch(tmp_path, *names)
    assert sorted(file.name for file in find([tmp_path])) == sorted(names)


def test_what_cannot_be_searched_is_reported_and_passed_over(tmp_path: Path) -> None:
    touch(tmp_path, "song.wav", "locked/other.wav")
    (tmp_path / "broken.wav").symlink_to(tmp_path / "nowhere.wav")
    reports: list[tuple[Path, str]] = []
    missing = tmp_path / "missing"
    found = list(
        find([missing, tmp_path / "song.wav", tmp_path / "broken.wav"], lambda *report: reports.append(report))
    )
    assert found == [tmp_path / "song.wav"]
    assert [path for path, _ in reports] == [missing, tmp_path / "broken.wav"]
    assert all("no such file or folder" in reason for _, reason in reports)


def test_a_folder_that_may_not_be_read_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "locked/other.wav", "song.wav")
    listdir = os.listdir

    def refuse(path: str) -> list[str]:
        if path.endswith("locked"):
            raise PermissionError(13, "Permission denied", path)
        return listdir(path)

    # Not by the folder's mode, which the superuser may read whatever it is.
    monkeypatch.setattr(os, "listdir", refuse)
    reports: list[tuple[Path, str]] = []
    assert list(find([tmp_path], lambda *report: reports.append(report))) == [tmp_path / "song.wav"]
    assert reports == [(tmp_path / "locked", "cannot be searched (Permission denied): check its permissions")]
    with pytest.raises(AudioError, match=r"locked.*Permission denied"):
        list(find([tmp_path]))


def test_a_single_path_is_refused_instead_of_spelt_out() -> None:
    with pytest.raises(InvalidArgumentError, match=r"write \[path\]"):
        list(find("/music"))


def test_suffixes_are_lower_case_with_a_dot() -> None:
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in AUDIO_SUFFIXES)
    assert {".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".m4a", ".aac", ".mp4", ".webm", ".wma"} <= AUDIO_SUFFIXES
    assert not AUDIO_SUFFIXES & {".txt", ".jpg", ".csv", ".mid"}


def relative(folder: Path, *exclude: str) -> list[str]:
    return [file.relative_to(folder).as_posix() for file in find([folder], exclude=exclude)]


def test_patterns_leave_out_files_and_folders_as_git_does(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "a_draft.wav", "old/b.wav", "old/keep.wav", "new/old/c.wav", "new/d.flac")
    assert relative(tmp_path, "*_draft.wav", "*.flac") == ["a.wav", "new/old/c.wav", "old/b.wav", "old/keep.wav"]
    assert relative(tmp_path, "old/") == ["a.wav", "a_draft.wav", "new/d.flac"]
    assert relative(tmp_path, "/old/") == ["a.wav", "a_draft.wav", "new/d.flac", "new/old/c.wav"]
    assert relative(tmp_path, "old/*", "!keep.wav", "*draft*", "new") == ["a.wav", "old/keep.wav"]
    assert list(find([tmp_path / "a_draft.wav"], exclude=["*"])) == [tmp_path / "a_draft.wav"]  # named outright


def test_a_folder_s_own_patterns_count_below_it_and_after_those_of_outer_ones(tmp_path: Path) -> None:
    touch(tmp_path, "a.wav", "in/a.wav", "in/b.wav", "in/deep/a.wav", "in/deep/c.wav", "out/a.wav")
    (tmp_path / ".soundloomignore").write_text("# drafts\na.wav\n")
    assert relative(tmp_path) == ["in/b.wav", "in/deep/c.wav"]
    (tmp_path / "in" / ".soundloomignore").write_text("!a.wav\nb.wav\n/deep/c.wav\n")
    assert relative(tmp_path) == ["in/a.wav", "in/deep/a.wav"]
    assert relative(tmp_path, "in/") == []
    with pytest.raises(InvalidArgumentError, match="to leave out of"):
        relative(tmp_path, "a", "!")
