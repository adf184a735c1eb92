"""The commands, run as a user runs them."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pyarrow.parquet
import pytest
import soundfile
from click.testing import CliRunner

import soundloom
from helpers.command_line import run
from helpers.installed_package import run_python
from soundloom.cli import listings
from soundloom.cli.common_options import ListOption, parse_weights
from soundloom.cli.field_options import parse_names
from soundloom.errors import QueryError
from soundloom.server.queries import parse_weights as parse_server_weights


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    rng = np.random.default_rng(0)
    for number in range(8):
        times = np.arange(8000 + 1000 * number) / 16000
        tone = np.sin(2 * np.pi * 110 * 2 ** (number / 2) * times) + 0.01 * rng.normal(size=len(times))
        soundfile.write(folder / f"tone-{number}.wav", 0.4 * tone, 16000)
    return folder


@pytest.fixture(scope="module")
def library(sounds: Path) -> Path:
    folder = sounds.with_name("sounds.loom")
    result = run("index", sounds, "-l", folder)
    assert result.exit_code == 0, result.output
    return folder


def test_everyday_commands_do_not_import_torch(library: Path, sounds: Path, tmp_path: Path) -> None:
    """It takes two seconds of processor time, and an update that finds nothing needs no model at all."""
    sound = str(sounds / "tone-0.wav")
    script = f"""
        import sys
        from click.testing import CliRunner
        from soundloom.cli import main
        from soundloom.library.storage.lifecycle import LibraryModel

        print(CliRunner().invoke(main, ["search", "--word", "Dog", "-l", {str(library)!r}]).exit_code)
        print(CliRunner().invoke(main, ["info", {str(library)!r}]).exit_code)
        print("lancedb" in sys.modules)
        load, LibraryModel.get = LibraryModel.get, None
        print(CliRunner().invoke(main, ["index", "-l", {str(library)!r}]).exit_code)
        LibraryModel.get = load
        print(CliRunner().invoke(main, ["search", {sound!r}, "-l", {str(library)!r}]).exit_code)
        print(CliRunner().invoke(main, ["embed", {sound!r}, "-o", {str(tmp_path / "x.npz")!r}]).exit_code)
        print(CliRunner().invoke(main, ["tag", {sound!r}]).exit_code)
        print("torch" in sys.modules, *{{"torch._dynamo", "sympy"}} & set(sys.modules))
    """
    assert run_python(script).stdout.split() == ["0", "0", "False", "0", "0", "0", "0", "False"]


def test_index_tells_what_it_did(library: Path, sounds: Path) -> None:
    result = run("index", sounds, "-l", library)
    assert result.exit_code == 0
    assert "8 unchanged" in result.stdout
    assert "holds 8 segments" in result.stdout
    report = json.loads(run("index", sounds, "-l", library, "--json").stdout)
    assert (report["unchanged"], report["new"], report["failed"]) == (8, 0, [])


def test_index_with_failures_finishes_and_exits_with_1(tmp_path: Path, sounds: Path) -> None:
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed" / "empty.wav").touch()
    soundfile.write(tmp_path / "mixed" / "good.wav", np.zeros(16000), 16000)
    result = run("index", tmp_path / "mixed", "-l", tmp_path / "mixed.loom")
    assert result.exit_code == 1
    assert "1 new" in result.stdout
    assert "1 file could not be indexed" in result.stderr
    assert "empty.wav" in result.stderr
    assert "empty.wav" in run("info", "-l", tmp_path / "mixed.loom").stderr


def test_search_prints_a_table(library: Path, sounds: Path) -> None:
    result = run("search", sounds / "tone-3.wav", "-l", library, "-k", 3)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[1].split() == ["#", "similar", "closer", "than", "found", "by", "seconds", "file"]
    assert all("sound" in line and " %" in line for line in lines[2:])
    assert len(lines) == 2 + 3
    assert "tone-3.wav" not in "".join(lines[2:])


def test_search_as_json_with_everything(library: Path, sounds: Path, tmp_path: Path) -> None:
    picture = tmp_path / "hits.png"
    result = run(
        *("search", sounds / "tone-3.wav", "-l", library, "--json", "--include-query", "--picture", picture),
        *(
            "--start",
            0.1,
            "--end",
            0.4,
            "--weights",
            "texture=2,general=0.5,pitch=0,timbre=0",
            "--where",
            "duration < 0.9",
        ),
    )
    assert result.exit_code == 0, result.output
    hits = json.loads(result.stdout)
    assert hits[0]["path"] == str(sounds / "tone-3.wav")
    assert set(hits[0]) == {
        *("path", "start", "end", "duration", "tags", "absent", "similarity", "parts", "percentile", "found_by"),
        *("notices", "probability"),
    }
    assert all(hit["duration"] < 0.9 for hit in hits)
    texture = 2 * soundloom.load("loom").balance["texture"]
    assert hits[0]["similarity"] == pytest.approx(
        (texture * hits[0]["parts"]["texture"] + 0.5 * hits[0]["parts"]["general"]) / (texture + 0.5), abs=1e-5
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("search", "nowhere.wav"), "nowhere.wav"),
        (("search", "tone-1.wav", "--weights", "colour=1"), "no part 'colour'"),
        (("search", "tone-1.wav", "--weights", "pitch"), "part=number"),
        (("search", "tone-1.wav", "--start", "99"), "tone-1.wav"),
        (("search", "tone-1.wav", "--where", "x = 1"), "there is no field 'x'"),
        (("index", ".", "--model", "mfcc"), "filled by the model 'loom'"),
        (("index", ".", "--window", "3"), "every 10 s: leave out --window and --hop, or index into a new library\n"),
        (("index", "nowhere"), "nowhere"),
    ],
)
def test_errors_are_one_line_without_a_traceback(
    library: Path, sounds: Path, arguments: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sounds)
    result = run(*arguments, "-l", library)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_unknown_options_are_errors(sounds: Path) -> None:
    result = run("index", sounds, "--windows", "3")
    assert result.exit_code == 2
    assert "No such option" in result.stderr
    assert run("index", sounds, "--window", "long").exit_code == 2


def test_info(library: Path) -> None:
    result = run("info", "-l", library)
    assert "pitch (168), timbre (48), texture (192), general (384)" in result.stdout
    assert "segments of 10 s every 10 s" in result.stdout
    facts = json.loads(run("info", "-l", library, "--json").stdout)
    assert (facts["files"], facts["segments"], facts["failures"]) == (8, 8, [])
    assert facts["seconds"] == pytest.approx(sum(8000 + 1000 * n for n in range(8)) / 16000)


def test_embed_writes_the_same_vectors_in_every_form(sounds: Path, tmp_path: Path) -> None:
    for out in ("e.parquet", "e.csv", "e.npz", "folder"):
        result = run("embed", sounds, "-o", tmp_path / out)
        assert result.exit_code == 0, result.output
        assert "8 rows of 792 numbers from 8 files" in result.stdout
    table = pyarrow.parquet.read_table(tmp_path / "e.parquet")
    assert [(field.name, str(field.type)) for field in table.schema] == [
        ("path", "string"),
        ("start", "double"),
        ("end", "double"),
        ("embedding", "list<element: float>"),
    ]
    vectors = np.array(table["embedding"].to_pylist(), np.float32)
    assert table["path"].to_pylist() == sorted(map(str, sounds.glob("*.wav")))
    with np.load(tmp_path / "e.npz") as arrays:
        np.testing.assert_array_equal(arrays["embedding"], vectors)
        assert arrays["path"].tolist() == table["path"].to_pylist()
    with (tmp_path / "e.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0][:4] == ["path", "start", "end", "e0"]
    np.testing.assert_array_equal(np.array([row[3:-1] for row in rows[1:]], np.float32), vectors)
    assert [bool(row[-1]) for row in rows] == [True, True, *([False] * (len(vectors) - 1))]
    with np.load(tmp_path / "folder" / "tone-2.wav.npz") as arrays:
        np.testing.assert_array_equal(arrays["embedding"], vectors[2:3])
        np.testing.assert_allclose(arrays["timestamps"], [10000 / 16000 / 2])


def test_embed_frames(sounds: Path, tmp_path: Path) -> None:
    assert run("embed", sounds / "tone-0.wav", "-o", tmp_path / "f", "--frames", "-m", "logmel").exit_code == 0
    with np.load(tmp_path / "f" / "tone-0.wav.npz") as arrays:
        assert arrays["embedding"].shape == (48, 64)
        np.testing.assert_allclose(np.diff(arrays["timestamps"]), 0.01, atol=1e-9)


def test_embed_into_nothing_known_is_refused(sounds: Path, tmp_path: Path) -> None:
    result = run("embed", sounds, "-o", tmp_path / "e.xlsx")
    assert result.exit_code == 2
    assert "end it in .parquet, .csv, .npz, or name a folder" in result.stderr


def test_embed_with_failures_exits_with_1(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    result = run("embed", tmp_path, "-o", tmp_path / "e.parquet")
    assert result.exit_code == 1
    assert "1 file could not be embedded" in result.stderr
    assert not (tmp_path / "e.parquet").exists()


@pytest.mark.slow
def test_demo_goes_the_whole_way(tmp_path: Path, sounds: Path) -> None:
    result = run("demo", "--out", tmp_path / "demo")
    assert result.exit_code == 0, result.output
    assert "most like" in result.stdout
    assert (tmp_path / "demo" / "hits.png").read_bytes().startswith(b"\x89PNG")
    own = run("demo", "--out", tmp_path / "own", "--sounds", sounds, "--query", sounds / "tone-5.wav")
    assert own.exit_code == 0, own.output
    assert "tone-4.wav" in own.stdout or "tone-6.wav" in own.stdout


def test_weights_are_read() -> None:
    assert parse_weights(None) == {}
    assert parse_weights(" a = 1 ,b=-0.5,") == {"a": 1.0, "b": -0.5}
    assert parse_server_weights("a:1,b:-0.5") == {"a": 1.0, "b": -0.5}
    for wrong, message in (
        ("a=x", "got 'a=x'"),
        ("=1", "got '=1'"),
        ("a", "got 'a'"),
        ("a=nan", "weight of 'a' must be a finite number, got nan: 0 leaves a part out"),
        ("a=1,b=-inf", "weight of 'b' must be a finite number, got -inf"),
        ("a=1,a=2", "'a' is given twice"),
    ):
        with pytest.raises(QueryError, match=message):
            parse_weights(wrong)
        with pytest.raises(QueryError):
            parse_server_weights(wrong.replace("=", ":"))


def test_weights_of_unknown_parts_are_refused_before_the_model_is_loaded(
    library: Path, sounds: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("soundloom.models.load", None)
    result = run("search", sounds / "tone-0.wav", "-l", library, "--weights", "bell=1")
    assert result.exit_code == 1
    assert "no part 'bell' in this library: its parts are" in result.stderr


def test_a_file_whose_name_begins_with_a_dash_is_hinted_at(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-tone.wav").write_bytes((sounds / "tone-0.wav").read_bytes())
    for command in (("embed", "-o", "e.csv"), ("search",), ("index", "-l", "d.loom"), ("tag",)):
        result = run(*command, "-tone.wav")
        assert result.exit_code == 2
        assert "If the file '-tone.wav' is meant, write ./-tone.wav, or -- before it." in result.stderr
    assert "./" not in run("embed", "-x").stderr
    Path("-lead.wav").write_bytes(Path("-tone.wav").read_bytes())
    assert "'-lead.wav' is meant" in run("search", "-lead.wav", "-l", "d.loom").stderr  # -l ead.wav
    for named in (("./-tone.wav",), ("--", "-tone.wav")):
        assert run("embed", "-o", "e.csv", "-m", "logmel", *named).exit_code == 0


def test_an_interrupt_is_no_traceback(sounds: Path, tmp_path: Path) -> None:
    """The key is pressed in the middle of indexing: the model is loaded, and no file is done yet."""
    script = (
        "import signal; from soundloom.cli import main; from soundloom.library import Library\n"
        # A process that was started in the background ignores the signal unless told otherwise.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "Library.add = lambda *_, **__: signal.raise_signal(signal.SIGINT)\n"
        "main()"
    )
    command = [sys.executable, "-c", script, "index", sounds, "-l", tmp_path / "i.loom"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 130
    assert done.stderr.endswith("what is embedded is kept: the same command goes on from there\ninterrupted\n")
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.writing")) + list(tmp_path.rglob("*.building"))


def test_search_explains_itself(library: Path, sounds: Path) -> None:
    result = run("search", sounds / "tone-1.wav", "-l", library, "--explain")
    assert result.exit_code == 0, result.output
    assert "because of" in result.stdout
    assert " %" in result.stdout
    hits = json.loads(run("search", sounds / "tone-1.wav", "-l", library, "--explain", "--json").stdout)
    assert all(set(hit["percentiles"]) == {"pitch", "timbre", "texture", "general"} for hit in hits)
    assert all(0 <= percentile <= 1 for hit in hits for percentile in hit["percentiles"].values())
    nothing = run("search", "--word", "bell", "-l", library, "--explain")
    assert (nothing.exit_code, "give a sound" in nothing.output) == (2, True)


def test_the_default_library_is_searched_by_words(library: Path) -> None:
    hits = json.loads(run("search", "--word", "bell", "-k", 3, "-l", library, "--json").stdout)
    assert [hit["found_by"] for hit in hits] == [["word"]] * 3
    assert json.loads(run("search", "bell", "-k", 3, "-l", library, "--json").stdout) == hits  # no name has it
    unknown = run("search", "--word", "guitarr", "-l", library)
    assert (unknown.exit_code, "guitar" in unknown.output) == (1, True)
    old = run("search", "--tag", "bell", "-l", library)
    assert (old.exit_code, "nobody has given the tag 'bell'" in old.output, "--word bell" in old.output) == (
        1,
        True,
        True,
    )


def test_an_option_that_is_a_list_takes_every_time_it_is_given() -> None:
    @click.command()
    @click.option("--fields", cls=ListOption, callback=parse_names)
    @click.option("--protocol", cls=ListOption, default=("linear",))
    @click.option("--nothing", cls=ListOption)
    def command(fields: tuple[str, ...], protocol: str, nothing: str | None) -> None:
        click.echo(f"{fields} {protocol} {nothing}")

    assert CliRunner().invoke(command, ["--fields", "a,b", "--fields", "c"]).output == "('a', 'b', 'c') linear None\n"
    # A setting that is no list is what it was given last.
    settings = {setting.name: setting for setting in listings.recipe("distil").settings}
    assert (settings["teachers"].several, settings["steps"].several) == (True, False)
