"""The search command as people type it: what is a file, what is text, and what is done with the hits."""

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
from click.testing import CliRunner

from helpers.search_command import found, run
from soundloom.annotations import FORMATS, read_annotations
from soundloom.cli import main
from soundloom.cli.match_table import fit_path
from soundloom.errors import QueryError
from soundloom.library import Library

pytestmark = pytest.mark.usefixtures("inside")
HEAVY = ("torch", "pandas", "lancedb", "faiss", "matplotlib", "librosa", "sklearn")


def test_text_is_no_file(place: Path) -> None:
    assert found("dog", "--names") == ["dog_bark_1", "hot dog stand", "rec7"]
    assert found("dog", "-k", 2) == ["dog_bark_1", "hot dog stand"]
    assert found("dog", "bark", "--names") == found("dog bark", "--names") == ["dog_bark_1"]
    assert found("--text", "robin", "--names") == ["robin"]
    assert found("night", "--names") == found("--tag", "night") == ["owl"]
    assert found("--folder", "birds") == ["owl", "robin"]
    assert found("--where", "path LIKE '%city%'") == ["bus", "hot dog stand"]
    unknown = run("zebra")
    assert (unknown.exit_code, "no name, tag, title or folder" in unknown.stderr) == (1, True)
    assert "knows no words" in unknown.stderr
    unnamed = run("zebra", "--names")
    assert (unnamed.exit_code, "nothing found" in unnamed.stderr) == (1, True)


def test_names_and_tags_need_neither_torch_nor_the_store(place: Path) -> None:
    if hasattr(os, "mkfifo") and not (place / "pipe.wav").exists():
        os.mkfifo(place / "pipe.wav")  # opened, it would wait for a writer for ever
    script = "import sys; from soundloom.cli import main\ntry: main()\nfinally: print(*sys.modules, file=sys.stderr)"
    for arguments, said in (
        (("dog", "--names"), "dog_bark_1.wav"),
        (("dog", "-k", "3", "-o", "x.csv"), "hot dog stand.wav"),
        (("--tag", "night"), "owl.wav"),
        (("nowhere.wav",), ""),
        (("dog", "-l", "nowhere.loom"), ""),
        (("sounds/birds/owl.wav", "-o", "x.pdf"), ""),
        (("sounds/birds/owl.wav", "--picture", "x.pdf"), ""),
        (("sounds/birds",), ""),
        (("pipe.wav",), ""),
    ):
        command = [sys.executable, "-c", script, "search", "-l", "l.loom", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) == bool(said), done.stderr
        assert said in done.stdout
        loaded = set(done.stderr.split())
        assert not set(HEAVY) & loaded
        assert "-o" in arguments or not {"jaxtyping", "ssl", "email", "concurrent.futures", "subprocess"} & loaded
        assert arguments != ("nowhere.wav",) or "pyarrow.compute" not in loaded
    for words in (("tags",), ("roots",), ("info",), ("search", "dog", "--names", "--json")):
        done = subprocess.run([sys.executable, "-c", script, *words, "-l", "l.loom"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        # Of a model that is not packaged, info lists the checkpoints, once with torch.
        assert not {"pandas", "lancedb", *(("torch",) if words != ("info",) else ())} & set(done.stderr.split()), words


def test_what_is_meant_as_a_file_and_is_none_is_an_error_with_the_nearest_names(place: Path) -> None:
    for argument, hint in (
        ("sounds/birds/rob.wav", "did you mean 'sounds/birds/robin.wav'?"),
        ("dog_bark_2.wav", "did you mean 'dog_bark_1.wav'?"),
        ("a/b", "--text a/b"),
        ("sounds/birds", "is a folder"),
        ("ftp://bucket/dog.wav", "is an address"),
    ):
        result = run(argument)
        assert result.exit_code == 1
        assert hint in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_sounds_of_the_library_may_be_named_by_the_end_of_their_paths(place: Path) -> None:
    by_path = run("sounds/birds/owl.wav", "--json", "-k", 5)
    assert run("owl.wav", "--json", "-k", 5).stdout == by_path.stdout
    assert run("birds/owl.wav", "--json", "-k", 5).stdout == by_path.stdout
    assert len(found("owl.wav")) == 5
    assert "owl" not in found("owl.wav")


def test_a_name_with_a_digit_or_an_underscore_is_the_sound_and_a_word_is_text(place: Path) -> None:
    named = run("dog_bark_1", "--json", "-k", 5)
    assert (
        named.stdout == run("dog_bark_1.wav", "--json", "-k", 5).stdout == run("DOG_bark_1", "--json", "-k", 5).stdout
    )
    assert "dog_bark_1.wav; as text: --text dog_bark_1" in named.stderr
    assert found("rec7", "birds") == found("rec7.wav", "birds")
    assert found("dog_bark_1", "--names") == found("--text", "dog_bark_1", "--names") == ["dog_bark_1"]
    word = run("owl", "--names", "-k", 1)
    assert ("found by" in word.stdout, word.stderr) == (True, "")
    assert "'owl' is taken as text: for what sounds like the file of that name, write owl.wav" in run("owl").stderr


def test_a_name_of_several_sounds_is_text(tmp_path: Path) -> None:
    library = Library.create(tmp_path / "l.loom", "mfcc")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        noise = 0.1 * np.random.default_rng(len(folder)).normal(size=8000)
        soundfile.write(tmp_path / folder / "rec_7.wav", noise, 16000)
    library.add([tmp_path / "one", tmp_path / "two"], workers=1)
    remarks: list[str] = []
    assert [match.found_by for match in library.find("rec_7", k=2, remarks=remarks)] == [("name",)] * 2
    assert remarks == [
        "2 sounds are called 'rec_7', taken as text: for what sounds like one, write more of its path, as one/rec_7.wav"
    ]
    assert [match.path for match in library.find("one/rec_7")] == [str(tmp_path / "two/rec_7.wav")]
    with pytest.raises(QueryError, match=r"as text: LibraryQuery\(text='zebra.wav'\)"):
        library.find("zebra.wav")


def test_a_file_that_could_not_be_indexed_is_named_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in/broken_1.wav").write_bytes(b"RIFF" + bytes(60))
    soundfile.write(tmp_path / "in/whole.wav", np.ones(8000) / 2, 16000)
    Library.create(tmp_path / "l.loom", "mfcc").add(tmp_path / "in", workers=1)
    for query in (["broken_1.wav"], ["in/broken_1"], ["broken_1"], ["broken_1", "--names"]):
        result = CliRunner().invoke(main, ["search", *query, "-l", str(tmp_path / "l.loom")])
        assert result.exit_code == 1
        assert "broken_1.wav' is not in the library, as it could not be indexed: " in result.stderr


def test_an_empty_library_is_named_as_the_reason(place: Path, tmp_path: Path) -> None:
    Library.create(tmp_path / "none.loom", "mfcc")
    sound = next((place / "sounds").rglob("*.wav"))
    result = CliRunner().invoke(main, ["search", str(sound), "-l", str(tmp_path / "none.loom")])
    assert "nothing found: the library holds no sounds: add some with soundloom index" in result.stderr
    assert "--include-query" not in result.stderr


def test_what_is_noticed_of_a_region_is_said_of_the_region(place: Path) -> None:
    sound = np.concatenate([np.zeros(16000), 0.1 * np.random.default_rng(0).normal(size=16000)])
    soundfile.write(place / "half.wav", sound, 16000)
    silent = run("half.wav@0-0.5")
    assert (silent.exit_code, silent.stdout) == (1, "")
    assert "'half.wav': digital silence: every sample of the region is 0, and there is nothing to" in silent.stderr
    assert run("half.wav@1-1.5").stderr == ""
    soundfile.write(place / "faint.wav", np.concatenate([sound[16000:] / 1e3, sound[16000:]]), 16000, subtype="FLOAT")
    assert run("faint.wav@0-0.5").stderr.startswith("faint.wav@0-0.5: very quiet: a peak of ")
    assert run("faint.wav@1-1.5").stderr == ""


def test_tables_and_pipes_are_no_sounds(place: Path) -> None:
    (place / "hits.csv").write_text("path\nowl.wav\n")
    assert "soundloom tags add TAG --files hits.csv" in run("hits.csv").stderr
    assert "no sound of that name" in run("other.csv").stderr
    if hasattr(os, "mkfifo"):
        os.mkfifo(place / "pipe")
        assert "is not a regular file" in run("pipe").stderr


def test_regions_of_sounds(place: Path) -> None:
    whole = run("owl.wav@0-0.5", "--json")
    assert whole.stdout == run("owl.wav", "--start", "0", "--end", "0:00.5", "--json").stdout
    assert "owl" in found("owl.wav@0-0.5", "-k", 6)  # its other half
    assert "must end after it begins" in run("owl.wav@3-2").stderr
    assert "is no time" in run("owl.wav", "--start", "soon").stderr
    for mistyped in ("owl.wav@abc", "owl.wav@", "owl.wav@1:-2"):
        assert "is no region of owl.wav: write owl.wav@START-END" in run(mistyped).stderr
    assert run("owl.wav:0-0:00.5", "--json").stdout == whole.stdout
    assert run("--like", "owl.wav:-0.5=2", "--like", "bus.wav").exit_code == 0
    assert found("--text", "owl.wav", "--names") == found("--text", "owl", "--names")
    assert found("owl@0-0.5", "-k", 6) == found("owl.wav@0-0.5", "-k", 6)
    assert "searched by 0.5 to" in run("owl.wav@0.5-60").stderr
    assert "searched by" not in run("owl.wav@0-0.5").stderr
    assert run("owl.wav", "bus.wav", "--start", "0.1").exit_code == 2
    assert "is a region already" in run("owl.wav@0-0.5", "--start", "0.1").stderr


def test_one_library_is_searched_and_one_file_written() -> None:
    twice = run("owl", "-l", "other.loom")
    assert (twice.exit_code, "given 2 times, as 'other.loom' and 'l.loom': give one" in twice.stderr) == (2, True)
    assert "as 'a.csv' and 'b.csv'" in run("owl", "-o", "a.csv", "-o", "b.csv").stderr


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (("owl.wav", "--names"), "give text alone"),
        (("owl.wav", "--share", "0.3"), "give both"),
        (("--sort", "name", "--weights", "mfcc=2"), "give a sound"),
        (("owl", "--text", "owl", "--include-query"), "give a sound"),
    ],
)
def test_options_that_a_query_makes_no_use_of_are_refused(place: Path, arguments: tuple[str, ...], needed: str) -> None:
    result = run(*arguments)
    assert (result.exit_code, needed in result.stderr) == (2, True), result.stderr


def test_sounds_text_and_filters_together(place: Path) -> None:
    assert found("owl.wav", "dog", "--include-query") == found("owl.wav", "dog")
    assert set(found("owl.wav", "dog")) == {"dog_bark_1", "hot dog stand", "rec7"}
    assert found("owl.wav", "--folder", "birds") == ["robin"]
    assert len(found("--like", "owl.wav", "--like", "bus.wav", "--unlike", "robin.wav")) == 3
    assert "owl.wav@0-0.5=2 and like" in run("--like", "owl.wav@0-0.5=2", "--like", "bus.wav").stdout
    for weight in ("0", "-1", "nan"):
        assert "must be above 0" in run("--like", f"owl.wav={weight}", "--like", "bus.wav").stderr
    assert found("owl.wav", "--tag", "night", "--include-query") == ["owl"]
    segments = found("bus.wav", "--every-segment", "-k", 12)
    assert (len(segments), len(set(segments))) == (10, 5)


def test_files_are_listed_sorted_and_counted_without_a_query(place: Path, tmp_path: Path) -> None:
    every = json.loads(run("-k", 100, "--json").stdout)
    assert [one["path"] for one in every] == sorted(one["path"] for one in every)
    some = run("-k", 2)
    assert (some.exit_code, f"2 of {len(every)} files" in some.stderr) == (0, True)
    longest = json.loads(run("-k", 100, "--sort", "-duration", "--sort", "name", "--json").stdout)
    keys = [(-one["duration"], os.path.basename(one["path"])) for one in longest]
    assert keys == sorted(keys)
    shown = json.loads(run("-k", 1, "--columns", "rate,folder,codec", "--json").stdout)[0]["fields"]
    assert list(shown) == ["rate", "folder", "codec"]
    table = run("-k", 3, "--columns", "sample_rate,codec", "--out", tmp_path / "hits.csv")
    assert "sample_rate" in table.stdout.splitlines()[1]
    assert "sample_rate" in (tmp_path / "hits.csv").read_text(encoding="utf-8").splitlines()[0]
    counts = json.loads(run("--facets", "folder,rate", "--json").stdout)
    assert counts["files"] == len(every) == sum(counts["counts"]["folder"].values())
    assert "the model takes" in run("owl", "--facets", "folder").stderr
    assert not run("owl", "--facets", "folder", "--names").stderr
    among = run("--facets", "folder", "--where", "name LIKE 'owl%'").stdout.splitlines()
    assert among[:2] == ["1 file", "folder:"]
    by_sound = json.loads(run("owl.wav", "--sort", "name", "--json").stdout)
    assert [os.path.basename(one["path"]) for one in by_sound] == sorted(
        os.path.basename(one["path"]) for one in by_sound
    )
    wrong = run("--sort", "sise")
    assert (wrong.exit_code, "no field 'sise'" in wrong.stderr, "Traceback" in wrong.stderr) == (1, True, False)
    assert run("owl.wav", "--facets", "folder").exit_code == 1


def test_mistakes_of_the_command_line(place: Path) -> None:
    wrong = run("dog", "--out", "x.pdf")
    assert (wrong.exit_code, ".selections.txt" in wrong.stderr) == (2, True)
    assert run("owl.wav", "--picture", "x.pdf").exit_code == 2
    assert run("dog", "--explain").exit_code == 2


def test_paths_fit_with_whole_names() -> None:
    path = "a/bb/ccc/dddd/name of a sound.wav"
    for width in range(8, 40):
        shown = fit_path(path, width)
        assert shown.endswith("/name of a sound.wav")
        assert len(shown) <= max(width, len("…/name of a sound.wav"))
    assert fit_path(path, 33) == path
    assert fit_path(path, 32) == "a/bb/…/dddd/name of a sound.wav"
    assert fit_path("x" * 50, 10) == "x" * 50


def test_a_missing_or_damaged_library_is_named(place: Path, tmp_path: Path) -> None:
    missing = CliRunner().invoke(main, ["search", "owl.wav", "-l", "nosuch.loom"])
    assert (missing.exit_code, missing.stderr.startswith("Error: no library at 'nosuch.loom'")) == (1, True)
    damaged = tmp_path / "damaged.loom"
    shutil.copytree(place / "l.loom", damaged)
    manifest = max(
        (damaged / "store/segments.lance/_versions").glob("*.manifest"), key=lambda file: file.stat().st_size
    )
    for file in manifest.parent.glob("*.manifest"):
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 0x10
        file.write_bytes(data)
    result = CliRunner().invoke(main, ["search", "nowhere.wav", "-l", str(damaged)])
    assert (result.exit_code, "soundloom verify" in result.stderr) == (1, True), result.stderr


def test_only_sounds_are_suggested(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes.txt").write_text("no sound")
    result = CliRunner().invoke(main, ["search", "./notes.wav", "-l", str(place / "l.loom")])
    assert (result.exit_code, "notes.txt" in result.stderr) == (1, False)


@pytest.mark.parametrize("name", ["owl.wav", "./owl.wav", "birds/owl.wav"])  # here, here, and in the library alone
def test_what_follows_the_name_of_a_sound_is_never_left_out(place: Path, name: str) -> None:
    odd = [place / called for called in ("owl.wav", "a:1-2.wav", "b.wav:1-2=abc")]
    for file in odd:
        file.write_bytes((place / "sounds/birds/owl.wav").read_bytes())
    for rest in ("#59-60", " 59-60"):
        for words in ([name + rest], ["--like", name + rest]):
            told = run(*words)
            assert told.exit_code == 1
            assert f"{rest!r} is no region of {name}: write {name}@59-60\n" in told.stderr
    for rest in (":hello", "@59-60s", ":0:59-1:0x"):
        for words in ([name + rest], ["--like", name + rest]):
            told = run(*words)
            assert (told.exit_code, f"{rest[1:]!r} is no region of {name}: write" in told.stderr) == (1, True)
    for rest in ("", "@0-1", ":0-1"):
        for words in ([f"{name}{rest}=abc"], ["--unlike", f"{name}{rest}=abc"]):
            assert f"'abc' is no weight of {name}{rest}: write a number" in run(*words).stderr
    assert "no sound of that name" in run("--like", f"{name}XYZ").stderr
    for file in odd:
        assert run(file.name).stdout.startswith(f"most like {file.name}\n")
        file.unlink()


@pytest.mark.parametrize("ending", [one.ending for one in FORMATS.values() if one.write is not None])
def test_a_query_whose_name_is_no_utf8_labels_every_output(place: Path, tmp_path: Path, ending: str) -> None:
    (tmp_path / "a@2-3 \udcfc.wav").write_bytes((place / "sounds/birds/owl.wav").read_bytes())
    for words in ([tmp_path / "a@2-3 \udcfc.wav@0-0.5"], ["ow\udcfcl", "--names"]):
        told = run(*words, "-k", 1, "--out", out := tmp_path / f"found{ending}")
        assert "defect" not in told.stderr
        assert told.exit_code == 0
        assert out.is_file()
    run(tmp_path / "a@2-3 \udcfc.wav@0-0.5", "--out", out)
    if ending in (".csv", ".json", ".parquet"):
        assert {one.label for one in read_annotations(out).annotations} == {r"like a@2-3 \xfc@0-0.5"}


def test_the_title_names_some_of_many_sounds(place: Path) -> None:
    sounds = sorted(path.relative_to(place) for path in (place / "sounds").rglob("*.wav"))
    title = run(*sounds, "--include-query").stdout.splitlines()[0]
    assert title == f"most like {sounds[0]} and like {sounds[1]} and like {sounds[2]} and {len(sounds) - 3} more"
    assert len(sounds) > 4


def test_a_region_that_is_short_beside_the_segments_is_remarked(place: Path) -> None:
    """The library's segments have half a second."""
    told = run("owl.wav@0-0.12", "-k", 1).stderr
    assert "a region of 0.12 s is compared with segments of 0.5 s" in told
    assert "with --window 0.24 --hop 0.12" in told
    assert "with --window 0.1 --hop 0.05" in run("owl.wav@0.1-0.101", "-k", 1).stderr
    assert "is compared with" not in run("owl.wav@0-0.4", "-k", 1).stderr
    assert "is compared with" not in run("owl.wav", "-k", 1).stderr


def test_one_time_is_no_region() -> None:
    result = run("owl.wav@1:00:10")
    assert (result.exit_code, "'1:00:10' is one time" in result.stderr) == (1, True)
    assert "write owl.wav@START-END" in result.stderr


def test_a_second_statement_is_refused() -> None:
    result = run("--where", "1=1; DROP TABLE x")
    assert (result.exit_code, "has a ';'" in result.stderr) == (1, True)
    assert len(found("--where", "path NOT LIKE '%;%'")) == 6


def test_an_absent_file_is_searched_by_its_stored_embedding(place: Path) -> None:
    owl = place / "sounds/birds/owl.wav"
    before = found("owl.wav")
    away = owl.rename(place / "away.wav")
    try:
        result = run("owl.wav")
        assert result.exit_code == 0, result.output
        assert "the file is absent: searched by the embeddings that the library holds of this sound" in result.stderr
        assert found("owl.wav") == before
    finally:
        away.rename(owl)


def test_a_rate_is_not_taken_for_a_count(place: Path) -> None:
    library = Library.open(place / "l.loom")
    samples, rate = soundfile.read(place / "sounds/birds/owl.wav", always_2d=True)
    with pytest.raises(QueryError, match="write sample_rate=16000"):
        library.search(samples[:, 0], rate)
    assert len(library.search(samples[:, 0], 16000, sample_rate=rate)) == 12


def test_an_embedding_is_not_taken_for_a_waveform(place: Path) -> None:
    library = Library.open(place / "l.loom")
    embedding = library.model.embed(place / "sounds/birds/owl.wav")
    for query in (embedding, embedding[None]):
        with pytest.raises(QueryError, match="give it to search_embedding"):
            library.search(query)
    assert library.search_embedding(embedding)[0].path.endswith("owl.wav")


def test_a_model_without_weights_has_none_to_fetch() -> None:
    result = CliRunner().invoke(main, ["info", "-l", "l.loom"])
    assert "weights  none to fetch\n" in result.stdout
