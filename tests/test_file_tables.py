"""Tables that name files: their dialects, and which file a name stands for."""

from __future__ import annotations

import csv
import json
import math
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import Result

from helpers.command_line import run
from soundloom import corpora
from soundloom.annotations import Annotation, write_annotations
from soundloom.corpora import CorpusError
from soundloom.errors import FileTableError, LibraryError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, decode_text, read_csv
from soundloom.library import Library, TagTable
from soundloom.tags import TagFile

FILES = ["/s/a/x.wav", "/s/b/x.wav", "/s/a/only.wav", "/s/Käfig.wav", "/s/Loud.WAV"]


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("a/x.wav", ["/s/a/x.wav"]),
        ("s/b/x.wav", ["/s/b/x.wav"]),
        ("x.wav", ["/s/a/x.wav", "/s/b/x.wav"]),
        ("only.wav", ["/s/a/only.wav"]),
        ("c/x.wav", []),
        ("b/only.wav", []),
        (r"b\x.wav", ["/s/b/x.wav"]),
        ("./a//x.wav", ["/s/a/x.wav"]),
        (unicodedata.normalize("NFD", "Käfig.wav"), ["/s/Käfig.wav"]),
        ("loud.wav", ["/s/Loud.WAV"]),
        ("A/X.wav", ["/s/a/x.wav"]),
        ("only", ["/s/a/only.wav"]),
        ("only.flac", []),
        ("only.wav:hello", []),
        ("only.wavXYZ", []),
        ("", []),
    ],
)
def test_a_name_stands_for_the_file_whose_path_ends_with_it(name: str, files: list[str]) -> None:
    assert list(FileMatcher(FILES, [name]).match(name)) == files
    decomposed = {unicodedata.normalize("NFD", file): file for file in FILES}
    assert [decomposed[file] for file in FileMatcher(decomposed, [name]).match(name)] == files


def test_names_with_bytes_that_are_not_utf8_match_as_they_are_stored() -> None:
    files = [r"/s/\xe9t\xe9/caf\xe9.wav", "/s/a/xe9.wav", r"/s/b/caf\xe9.wav"]
    expected = {
        r"\xe9t\xe9\caf\xe9.wav": (files[0],),
        r"\xe9t\xe9/caf\xe9.wav": (files[0],),
        files[0]: (files[0],),
        r"caf\xe9.wav": (files[0], files[2]),
        r"a\xe9.wav": (files[1],),  # of a folder on Windows
    }
    matcher = FileMatcher(files, expected)
    assert {name: matcher.match(name) for name in expected} == expected


def test_cells_that_look_like_formulas_are_read_as_they_were_before_they_were_written(tmp_path: Path) -> None:
    written = [
        Annotation("/s/=cmd.wav", 0, 1, "@home"),
        Annotation("/s/-1.wav", 0, 1, "'=quoted"),
        Annotation("/s/a.wav", 0, 1, "'tis"),
    ]
    write_annotations(written, tmp_path / "tags.csv")
    with open(tmp_path / "tags.csv", "a", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(["'=cmd.wav", 0, 1, "'+more"])
    matched = TagTable(tmp_path / "tags.csv").match(["/s/=cmd.wav", "/s/-1.wav", "/s/a.wav"])
    assert matched.tags == {
        "/s/=cmd.wav": {(0, 1): ["+more", "@home"]},
        "/s/-1.wav": {(0, 1): ["'=quoted"]},
        "/s/a.wav": {(0, 1): ["'tis"]},
    }
    assert (matched.ambiguous, matched.unmatched) == ([], [])


def test_absolute_names_of_another_machine() -> None:
    names = [r"C:\field\a\x.wav", r"C:\field\b\x.wav", r"C:\field\c\x.wav", r"C:\field\Käfig.wav"]
    matcher = FileMatcher(FILES, names)
    assert [matcher.match(name) for name in names] == [("/s/a/x.wav",), ("/s/b/x.wav",), (), ("/s/Käfig.wav",)]
    assert FileMatcher(FILES, ["/s/a/x.wav"]).match("/s/a/x.wav") == ("/s/a/x.wav",)


def test_absolute_names_of_files_that_were_put_together() -> None:
    names = ["/away/field/a/x.wav", "/away/field/b/x.wav", "/away/field/deep/y.wav", "/away/other/z.wav"]
    matcher = FileMatcher(["/s/x.wav", "/s/y.wav", "/s/one/z.wav", "/s/two/z.wav"], names)
    assert [matcher.match(name) for name in names] == [(), (), ("/s/y.wav",), ("/s/one/z.wav", "/s/two/z.wav")]


def test_names_are_first_paths_beside_the_table() -> None:
    files = ["/s/x.wav", "/s/b/x.wav"]
    assert FileMatcher(files, ["x.wav"], Path("/s")).match("x.wav") == ("/s/x.wav",)
    assert FileMatcher(files, ["../b/x.wav"], Path("/s/c")).match("../b/x.wav") == ("/s/b/x.wav",)


def test_a_path_that_leads_to_a_file_is_of_that_file_and_of_its_copies(tmp_path: Path) -> None:
    contents = {
        "here/a.wav": b"one",
        "away/a.wav": b"two",
        "copy/a.wav": b"one",
        "here/b.wav": b"b",
        "away/b.wav": b"c",
    }
    for name, content in contents.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    away, copy, other = (str(tmp_path / name) for name in ("away/a.wav", "copy/a.wav", "away/b.wav"))
    for a, b in (("a.wav", "b.wav"), (str(tmp_path / "here/a.wav"), str(tmp_path / "here/b.wav"))):
        matcher = FileMatcher([away, copy, other], [a, b], tmp_path / "here")
        assert (matcher.match(a), matcher.match(b)) == ((copy,), ())
    (tmp_path / "link").symlink_to(tmp_path / "away")
    assert FileMatcher([away, copy], [linked := str(tmp_path / "link/a.wav")], tmp_path).match(linked) == (away,)
    assert FileMatcher([away], ["a.wav"], tmp_path).match("a.wav") == (away,)  # no such file beside the table


PLAIN = "path,tags\na/x.wav,dog;loud\nb/y.wav,cat\n"


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace("\n", "\r").encode(),
        b"File Name;Tags\na/x.wav;dog,loud\nb/y.wav;cat\n",
        b"sep=;\nfile_name;tags\na/x.wav;dog,loud\nb/y.wav;cat\n",
        b"FILENAME\tlabel\na/x.wav\tdog;loud\nb/y.wav\tcat\n",
        b"id|fname|keywords\n1|a/x.wav|dog,loud\n2|b/y.wav|cat\n",
        b'tags,name\n"dog,loud",a/x.wav\ncat,"b/y.wav"\n',
        b"path,tags\na/x.wav,dog,loud\nb/y.wav,cat\n",
        b"path,tag\na/x.wav,dog\na/x.wav,loud\nb/y.wav,cat\n",
        b"a/x.wav,dog,loud\nb/y.wav,cat\n",
        b"a/x.wav;dog,loud\nb/y.wav;cat\n",
        b"a\\x.wav\tdog;loud\nb\\y.wav\tcat\n",
        b"path, tags\n\na/x.wav, dog;loud\n b/y.wav , cat\n,\n",
    ],
)
def test_dialects(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "tags.csv").write_bytes(data)
    matched = TagTable(tmp_path / "tags.csv").match({"/s/a/x.wav", "/s/b/y.wav"})
    whole = (0, math.inf)
    assert matched.tags == {"/s/a/x.wav": {whole: ["dog", "loud"]}, "/s/b/y.wav": {whole: ["cat"]}}
    assert (matched.ambiguous, matched.unmatched) == ([], [])
    words = TagFile(tmp_path / "tags.csv").match(["/s/a/x.wav", "/s/b/y.wav", "/s/c/z.wav"])
    assert [set(some) for some in words] == [{"dog", "loud"}, {"cat"}, set()]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04rest", "is an Excel workbook: export it as CSV"),
        (b"path,tags\nK\xe4fig.wav,dog\n", "not a CSV in UTF-8 .byte 0xe4 in line 2.: save it as 'CSV UTF-8'"),
        (b"sound,words\na.wav,dog\n", r"found columns \['sound', 'words'\]: name a column 'path' and one 'tags'"),
        (b"path,when\na.wav,1999\n", "name a column 'tags'"),
    ],
)
def test_what_is_not_understood_is_answered_with_the_remedy(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "tags.csv").write_bytes(data)
    with pytest.raises(LibraryError, match=f"tags file .*tags.csv' .*{message}"):
        TagTable(tmp_path / "tags.csv")
    with pytest.raises(FileTableError, match=message):
        read_csv(decode_text(data), [NAME_COLUMNS, ("tags",)])


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    for number, name in enumerate(("a/x.wav", "b/x.wav", "b/Käfig.wav")):
        path = tmp_path / "sounds" / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * np.random.default_rng(number).normal(size=1600), 8000)
    return tmp_path / "sounds"


def test_a_tag_reaches_no_file_of_the_same_name(sounds: Path, tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text(
        "path;tags\na/x.wav;dog\nx.wav;wrong\nnothing.wav;lost\nkäfig.wav;cage\n", "utf-8"
    )
    arguments = [
        "index",
        str(sounds),
        "-l",
        str(tmp_path / "l.loom"),
        "-m",
        "logmel",
        "--tags",
        str(tmp_path / "tags.csv"),
    ]
    result = run(*arguments)
    assert result.exit_code == 1, result.output
    assert f"'x.wav' (line 3) fits 2 files: '{sounds}/a/x.wav', '{sounds}/b/x.wav'" in result.stderr
    assert "1 row of the table of tags without a sound that fits:\n  nothing.wav" in result.stderr
    rows = Library.open(tmp_path / "l.loom").rows(["path", "tags"]).to_pydict()
    assert [(Path(path).name[0], some or []) for path, some in zip(*rows.values(), strict=True)] == [
        ("x", ["dog"]), ("K", ["cage"]), ("x", []),
    ]  # fmt: skip
    told = json.loads(run(*arguments, "--json").stdout)
    assert (told["unmatched"], len(told["ambiguous"])) == (["nothing.wav"], 1)


@pytest.fixture
def twins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """a.wav, its copy b.wav and another sound c.wav, with the library l.loom beside them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s").mkdir()
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sound = np.random.default_rng(seed).uniform(-0.5, 0.5, 8000)
        soundfile.write(tmp_path / "s" / f"{name}.wav", sound, 8000)
    return tmp_path


def loom(*arguments: str) -> Result:
    return run(*arguments, "-l", "l.loom")


def index_table(text: str, *options: str) -> Result:
    Path("t.csv").write_text("path,tags\n" + text)
    return loom("index", "s", "-m", "logmel", "--tags", "t.csv", *options)


def stored_tags() -> dict[str, list[str]]:
    rows = Library.open("l.loom").rows(["path", "tags"]).to_pydict()
    return {Path(path).stem: tags or [] for path, tags in zip(*rows.values(), strict=True)}


def test_copies_share_tags_and_are_named(twins: Path) -> None:
    first = index_table("a.wav,dog\nnowhere.wav,cat\n")
    assert "t.csv: 1 row matched, 1 not; 2 tags given, 0 removed, in 2 files.\n" in first.stdout
    assert f"also on 1 copy of the same content: {twins}/s/b.wav\n" in first.stdout
    assert stored_tags() == {"a": ["dog"], "b": ["dog"], "c": []}
    again = index_table("a.wav,dog\n")
    assert "t.csv: 1 row matched, 0 not; 0 tags given, 0 removed, in 0 files.\n" in again.stdout
    assert "copy" not in again.stdout
    added = loom("tags", "add", "loud", "a.wav")
    assert added.stdout == (
        f"2 segments have the tag 'loud' now.\nalso on 1 copy of the same content: {twins}/s/b.wav\n"
    )
    removed = loom("tags", "remove", "loud", "b.wav")
    assert removed.stdout.endswith(f"also from 1 copy of the same content: {twins}/s/a.wav\n")
    assert "copy" not in loom("tags", "add", "loud", "a.wav", "b.wav").stdout
    assert Library.open("l.loom").tags.remove("loud", ["s/a.wav"]).copies == (f"{twins}/s/b.wav",)


def test_a_row_that_fits_only_copies_is_not_ambiguous(twins: Path) -> None:
    for name, of in (("x", "a"), ("y", "a"), ("z", "c")):
        (twins / "s" / name).mkdir()
        (twins / "s" / name / "same.wav").write_bytes((twins / "s" / f"{of}.wav").read_bytes())
    assert index_table("same.wav,dog\n").exit_code == 1  # one of the three is another sound
    assert stored_tags()["a"] == []
    (twins / "s" / "z" / "same.wav").unlink()
    told = index_table("same.wav,dog\n", "--prune")
    assert (told.exit_code, stored_tags()) == (0, {"a": ["dog"], "b": ["dog"], "c": [], "same": ["dog"]})


@pytest.mark.usefixtures("twins")
def test_a_table_adds_and_replaces_only_if_asked_to() -> None:
    index_table("a.wav,dog\nc.wav,cat\n")
    loom("tags", "add", "mine", "c.wav")
    index_table("c.wav,loud\na.wav,\n")
    assert stored_tags() == {"a": ["dog"], "b": ["dog"], "c": ["cat", "loud", "mine"]}
    replaced = index_table("c.wav,quiet\nb.wav,\n", "--replace-tags")
    assert "2 rows matched, 0 not; 1 tag given, 4 removed, in 3 files." in replaced.stdout
    assert stored_tags() == {"a": [], "b": [], "c": ["mine", "quiet"]}
    assert loom("index", "s", "--replace-tags").exit_code == 2


@pytest.mark.usefixtures("twins")
def test_examples_are_named_as_in_the_library() -> None:
    loom("index", "s", "-m", "logmel")
    learned = loom("tag", "examples", "--tag", "dog", "--yes", "a.wav", "--no", "c.wav:0-1", "--above", "1")
    assert learned.exit_code == 0, learned.stderr
    assert "also on 1 copy of the same content:" in learned.stdout
    assert stored_tags() == {"a": ["dog"], "b": ["dog"], "c": []}
    assert "no sound of that name" in loom("tag", "examples", "--tag", "dog", "--yes", "z.wav").stderr
    unknown = loom("search", "--tag", "woff")
    assert "to give it: soundloom tags add woff SOUNDS" in unknown.stderr


@pytest.mark.usefixtures("twins")
def test_a_path_with_an_unquoted_comma_is_explained() -> None:
    told = index_table("a.wav,dog\nrain, heavy.wav,wet\n")
    assert "'rain' (line 3 has 3 cells where the header has 2: put a path that holds the delimiter" in told.stderr
    assert "'rain' (line 2 has 3 cells where the header has 2" in index_table("rain, heavy.wav,wet\n").stderr
    assert index_table("a.wav,dog,loud\n").exit_code == 0


def test_rows_that_name_files_that_cannot_be_decoded_are_reported(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "good.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 8000), 8000)
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    (tmp_path / "tags.csv").write_text("path,tags\ngood.wav,dog\nbroken.wav,cat\n")
    arguments = ["index", tmp_path, "-l", tmp_path / "l.loom", "-m", "logmel", "--tags", tmp_path / "tags.csv"]
    result = run(*arguments)
    assert f"tags.csv gives tags to 1 file that could not be indexed:\n  {tmp_path}/broken.wav" in result.stderr
    told = json.loads(run(*arguments, "--json").stdout)
    assert (told["tagged_failures"], told["unmatched"]) == ([str(tmp_path / "broken.wav")], [])


def test_failures_that_are_known_are_counted_and_end_with_0(twins: Path) -> None:
    (twins / "s" / "bad.wav").write_bytes(b"RIFF no sound")
    first = loom("index", "s", "-m", "logmel")
    assert (first.exit_code, "1 file could not be indexed:\n" in first.stderr) == (1, True)
    again = loom("index", "s")
    assert (again.exit_code, again.stderr) == (0, f"1 file failed as before: soundloom info -l {twins}/l.loom\n")
    (twins / "s" / "worse.wav").write_bytes(b"RIFF no sound")
    third = loom("index", "s")
    assert (third.exit_code, third.stderr.count("bad.wav"), third.stderr.count("worse.wav")) == (1, 0, 1)
    assert loom("index", "s/bad.wav").exit_code == 1
    assert len(json.loads(loom("index", "--json").stdout)["failed_before"]) == 2


def test_a_collection_from_a_table(sounds: Path) -> None:
    table = sounds / "clips.csv"
    table.write_text("File Name;Label;Mood\na\\x.wav;dog;calm\nb/Käfig.wav;cage;wild\n", "utf-8-sig")
    corpus = corpora.load(table)
    assert (corpus.column("labels"), corpus.column("Mood")) == ([["dog"], ["cage"]], ["calm", "wild"])
    for data, message in (
        (b"a/x.wav,dog\n", "a first line with the names of the columns, such as path,label"),
        (b"path,label\nK\xe4fig.wav,dog\n", "save it as 'CSV UTF-8'"),
        (b"path,label\na/x.wav,dog,loud\n", "2 cells a line in .*, found 3 in line 2"),
    ):
        table.write_bytes(data)
        with pytest.raises(CorpusError, match=message):
            corpora.load(table)


def test_a_row_of_training_tags_that_fits_two_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text("path,tags\na/x.wav,dog\n")
    table = TagFile(tmp_path / "tags.csv")
    assert table.match(["/s/a/x.wav", "/s/b/x.wav"]) == [("dog",), ()]
    with pytest.raises(CorpusError, match=r"a row for 'a/x.wav', which fits '/s/a/x.wav' and '/t/a/x.wav'"):
        table.match(["/s/a/x.wav", "/t/a/x.wav"])


def test_a_name_that_is_another_hard_link_stands_for_the_file(tmp_path: Path) -> None:
    kept, other = tmp_path / "kept.wav", tmp_path / "other name.wav"
    kept.write_bytes(b"sound")
    other.hardlink_to(kept)
    (tmp_path / "copy.wav").write_bytes(b"sound")
    matcher = FileMatcher([str(kept), str(tmp_path / "gone.wav")], [], tmp_path)
    assert matcher.match("other name.wav") == matcher.match(str(other)) == (str(kept),)
    assert matcher.match("copy.wav") == matcher.match("nothing.wav") == ()
