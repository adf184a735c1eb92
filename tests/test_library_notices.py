"""What decoding noticed, kept beside the rows; and rows of an earlier version of decoding, brought up to date."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.command_line import run
from helpers.server import served
from soundloom import Library
from soundloom.audio import DECODER_VERSION, Notice, read
from soundloom.errors import AudioError
from soundloom.library import AddReport, LibraryQuery, QuerySound

RATE = 16000


def noise(seed: int, level: float = 0.5, seconds: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-level, level, round(seconds * RATE))


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """A silent file, one whose channels cancel, and others of which nothing is to be said."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    soundfile.write(folder / "plain.wav", noise(1), RATE)
    soundfile.write(folder / "silent.wav", np.zeros(RATE, np.float32), RATE, subtype="FLOAT")
    soundfile.write(folder / "inverted.wav", np.stack([noise(2), -noise(2)], 1), RATE, subtype="FLOAT")
    soundfile.write(folder / "float.wav", noise(3), RATE, subtype="FLOAT")
    soundfile.write(folder / "loud.wav", noise(4, level=3.0), RATE, subtype="FLOAT")
    return folder


def made(folder: Path, sounds: Path) -> tuple[Library, AddReport]:
    library = Library.create(folder, "logmel")
    return library, library.add(sounds)


def named(notices: list) -> list[tuple[str, str]]:
    return [(Path(notice.path).name, notice.code) for notice in notices]


EXPECTED = [("inverted.wav", "cancelled"), ("silent.wav", "silent")]


def test_notices_are_reported_and_kept(sounds: Path, tmp_path: Path) -> None:
    library, report = made(tmp_path / "l.loom", sounds)
    assert sorted(named(report.notices)) == EXPECTED
    opened = Library.open(tmp_path / "l.loom")
    assert named(opened.notices()) == EXPECTED
    assert "DecodeOptions(channels=...)" in opened.notices()[0].text
    assert opened.rows(["decoder"])["decoder"].to_pylist() == [DECODER_VERSION] * 5
    found, count = library.index().browse("notices LIKE 'silent:%'")
    assert ([Path(one.path).name for one in found], count) == (["silent.wav"], 1)
    assert library.add(sounds).notices == []


def test_notices_follow_a_file_that_moves(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    (sounds / "silent.wav").rename(sounds / "hush.wav")
    assert library.add(sounds).moved == 1
    assert named(library.notices()) == [("hush.wav", "silent"), ("inverted.wav", "cancelled")]
    soundfile.write(sounds / "hush.wav", noise(5), RATE)
    library.add(sounds)
    assert named(library.notices()) == [("inverted.wav", "cancelled")]


def test_commands_tell_of_notices(sounds: Path, tmp_path: Path) -> None:
    folder = tmp_path / "l.loom"
    brief = run("index", sounds, "-l", folder, "-m", "logmel")
    assert brief.exit_code == 0
    assert "1 file: digital silence" in brief.stderr
    assert "1 file: channels that cancel when mixed" in brief.stderr
    assert "silent.wav" not in brief.stderr
    soundfile.write(sounds / "nothing.wav", np.zeros(2 * RATE), RATE)
    each = run("index", sounds, "-l", folder, "-v")
    assert "nothing.wav': digital silence: every sample is 0" in each.stderr
    about = run("info", "-l", folder)
    assert "noticed  3" in about.stdout
    assert "nothing.wav'" in about.stderr
    assert "inverted.wav'" in about.stderr
    data = json.loads(run("info", "-l", folder, "--json").stdout)
    assert sorted(notice["code"] for notice in data["notices"]) == ["cancelled", "silent", "silent"]
    assert data["settings"]["decoding"]["channels"] == "mix"


def as_before_versions(folder: Path) -> None:
    """Make a library's table one of the time before decoding had versions."""
    library = Library.open(folder)
    library._store._segments.drop_columns(["decoder", "notices"])


def test_a_library_of_before_versions_opens_and_is_not_written_to(sounds: Path, tmp_path: Path) -> None:
    made(tmp_path / "l.loom", sounds)
    as_before_versions(tmp_path / "l.loom")
    opened = Library.open(tmp_path / "l.loom")
    assert opened.notices() == []
    assert len(opened.search(sounds / "plain.wav", 3)) == 3
    assert "notices" not in Library.open(tmp_path / "l.loom")._store._segments.schema.names


def test_after_an_upgrade_only_what_sounds_different_is_embedded_again(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    right = {row["path"]: row["embedding"] for row in library.rows(["path", "embedding"]).to_pylist()}
    library.tags.edit("noisy", add=[str(sounds / "loud.wav")])
    as_before_versions(tmp_path / "l.loom")
    upgraded = Library.open(tmp_path / "l.loom")
    seen: list[int] = []
    embed_samples = upgraded.model.embed_samples
    upgraded.model.embed_samples = lambda samples: seen.append(len(samples)) or embed_samples(samples)  # type: ignore[method-assign]
    report = upgraded.add(sounds)
    # Version 1 clipped the loud one at full scale; the others sound as they did.
    assert (report.redecoded, report.changed, report.new, report.unchanged) == (1, 0, 0, 4)
    assert seen == [RATE]
    rows = upgraded.rows(["path", "embedding", "decoder", "tags"]).to_pylist()
    assert {row["path"]: row["embedding"] for row in rows} == right
    assert {row["decoder"] for row in rows} == {DECODER_VERSION}
    assert [Path(row["path"]).name for row in rows if row["tags"]] == ["loud.wav"]
    assert named(upgraded.notices()) == EXPECTED
    again = upgraded.add(sounds)
    assert (again.redecoded, again.unchanged) == (0, 5)


def test_a_length_that_was_wrong_before_is_a_different_sound(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    library._store._segments.update(where="ends_with(path, 'float.wav')", values={"duration": 0.5, "end": 0.5})
    as_before_versions(tmp_path / "l.loom")
    report = Library.open(tmp_path / "l.loom").add(sounds)
    assert report.redecoded == 2
    rows = Library.open(tmp_path / "l.loom").rows(["duration"])
    assert rows["duration"].to_pylist() == [1.0] * 5


def test_a_file_that_is_refused_now_keeps_its_rows_and_is_reported(sounds: Path, tmp_path: Path) -> None:
    made(tmp_path / "l.loom", sounds)
    as_before_versions(tmp_path / "l.loom")
    library = Library.open(tmp_path / "l.loom")
    file = sounds / "float.wav"
    status = file.stat()
    content = file.read_bytes()
    file.write_bytes(content[:100].ljust(len(content), b"\xff"))  # Samples that are not finite.
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    for _ in range(2):
        report = library.add(sounds)
        assert [Path(failure.path).name for failure in report.failed] == ["float.wav"]
        assert len(library) == 5


def test_the_command_says_how_many_were_embedded_again(sounds: Path, tmp_path: Path) -> None:
    made(tmp_path / "l.loom", sounds)
    as_before_versions(tmp_path / "l.loom")
    result = run("index", sounds, "-l", tmp_path / "l.loom")
    assert result.exit_code == 0
    assert "1 redecoded, 4 unchanged" in result.stdout
    assert "embedded 1 file again: decoded to another sound than before this version." in result.stderr


def test_json_of_a_search_has_the_notices_of_each_file(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    library.index()
    for query in (["silent", "--names"], ["--where", "path LIKE '%silent%'"], [sounds / "plain.wav"]):
        found = json.loads(run("search", *query, "-l", tmp_path / "l.loom", "--json").stdout)
        codes = {Path(one["path"]).name: [notice["code"] for notice in one["notices"]] for one in found}
        assert codes["silent.wav"] == ["silent"]
        assert codes.get("float.wav", []) == []


def test_levels_far_from_the_usual_are_noticed(tmp_path: Path) -> None:
    for name, level in (("quiet", 5e-4), ("usual", 2e-3), ("over", 3.5), ("loud", 40.0)):
        soundfile.write(tmp_path / f"{name}.wav", noise(1, level), RATE, subtype="FLOAT")
    notices: dict[str, list[Notice]] = {name: [] for name in ("quiet", "usual", "over", "loud")}
    for name, found in notices.items():
        read(tmp_path / f"{name}.wav", RATE, notices=found)
    assert {name: [notice.code for notice in found] for name, found in notices.items()} == {
        "quiet": ["quiet"],
        "usual": [],
        "over": [],
        "loud": ["loud"],
    }
    assert "a peak of -66 dBFS" in notices["quiet"][0].text
    assert "a peak of 40" in notices["loud"][0].text


def test_a_search_by_silence_says_so_and_ranks_nothing(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    half = np.concatenate([noise(5), np.zeros(RATE)])
    soundfile.write(tmp_path / "half.wav", half, RATE, subtype="FLOAT")
    silent, said = sounds / "silent.wav", "is 0, and there is nothing to search by"
    for search in (
        lambda: library.search(silent),
        lambda: library.search(np.zeros(RATE, np.float32)),
        lambda: library.search(tmp_path / "half.wav", start=1.0),
        lambda: library.find(silent),
        lambda: library.find(LibraryQuery(like=(QuerySound(sounds / "plain.wav"), QuerySound(silent)))),
        lambda: library.explain(silent, []),
    ):
        with pytest.raises(AudioError, match=said):
            search()
    assert library.search(tmp_path / "half.wav"), "half of it is a sound"
    result = run("search", silent, "-l", library.folder)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{said}; files that are silent as a whole: --where \"notices LIKE 'silent:%'\"" in result.stderr
    listed = run("search", "--where", "notices LIKE 'silent:%'", "-l", library.folder)
    assert "silent.wav" in listed.stdout


def test_a_sound_without_a_finite_embedding_ranks_nothing(
    sounds: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    for value in (np.nan, 0.0):
        vector = np.full(library.settings.dim, value, np.float32)
        monkeypatch.setattr(library.model, "embed_samples", lambda _samples, vector=vector: vector)
        with pytest.raises(AudioError, match="zero or not finite: nothing to search by"):
            library.find(sounds / "plain.wav")


def test_the_server_says_so_of_a_silent_sound_of_the_library(sounds: Path, tmp_path: Path) -> None:
    library, _ = made(tmp_path / "l.loom", sounds)
    ids = {Path(one.path).name: one.id for one in library.index().browse()[0]}
    with served(library, tmp_path / "cache") as client:
        for region in ({}, {"start": 0.1, "end": 0.9}):
            answer = client.get("/api/v1/search", params={"like": ids["silent.wav"], **region})
            assert answer.status_code == 422
            assert "is 0, and there is nothing to search by" in answer.json()["error"]["message"]


def test_a_short_file_is_named_where_index_says(tmp_path: Path) -> None:
    (tmp_path / "short").mkdir()
    soundfile.write(tmp_path / "short" / "click.wav", noise(5, seconds=0.01), RATE)
    library = tmp_path / "l.loom"
    Library.create(library, "logmel")
    said = run("index", tmp_path / "short", "-l", library)
    assert "1 file: shorter than the model takes, padded with silence" in said.stderr
    assert f"Each of them: soundloom info -l {library}" in said.stderr
    assert "click.wav': shorter than the " in run("info", "-l", library).stderr
