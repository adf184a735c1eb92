"""What is written of a search: files of regions, copies, players; and the library it is of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.search_command import run
from soundloom.annotations import read_annotations

pytestmark = pytest.mark.usefixtures("inside")


def test_hits_are_written_before_a_reader_goes_away(place: Path) -> None:
    command = [
        sys.executable,
        "-c",
        "from soundloom.cli import main; main()",
        "search",
        "dog",
        "--names",
        "-l",
        "l.loom",
    ]
    with subprocess.Popen([*command, "-o", "gone.csv"], stdout=subprocess.PIPE, cwd=place) as process:
        assert process.stdout is not None
        process.stdout.close()
    assert len(read_annotations(place / "gone.csv").annotations) == 3


def test_hits_are_written_and_copied(place: Path, tmp_path: Path) -> None:
    result = run("owl.wav", "-k", 3, "--out", tmp_path / "hits.m3u8", "--copy-to", tmp_path / "picked", "--json")
    assert result.exit_code == 0, result.output
    paths = [hit["path"] for hit in json.loads(result.stdout)]
    playlist = (tmp_path / "hits.m3u8").read_text(encoding="utf-8").splitlines()
    assert [line for line in playlist if line[0] != "#"] == paths
    copies = sorted((tmp_path / "picked").iterdir())
    assert [copy.read_bytes() for copy in copies] == [
        Path(path).read_bytes() for path in sorted(paths, key=os.path.basename)
    ]
    copies[0].write_bytes(b"another")
    again = run("owl.wav", "-k", 3, "--copy-to", tmp_path / "picked", "--json")
    assert (again.exit_code, "1 file copied to" in again.stderr, "2 were there already" in again.stderr) == (
        0,
        True,
        True,
    )
    # Nothing is replaced, and what is there already is not copied again.
    assert sorted((tmp_path / "picked").iterdir()) == sorted([*copies, copies[0].with_stem(f"{copies[0].stem} (2)")])
    for _ in range(2):
        cut = run("--tag", "night", "--copy-to", tmp_path / "cut", "--cut")
        assert cut.exit_code == 0, cut.output
    assert len(list((tmp_path / "cut").iterdir())) == 1
    region, rate = soundfile.read(tmp_path / "cut" / "owl 0-0.5 s.wav", dtype="int32")
    original, _ = soundfile.read("sounds/birds/owl.wav", dtype="int32")
    assert rate == 16000
    assert soundfile.info(tmp_path / "cut" / "owl 0-0.5 s.wav").subtype == "PCM_24"
    np.testing.assert_array_equal(region, original[:8000])
    assert run("owl.wav", "--cut").exit_code == 2
    inside = run("owl.wav", "--copy-to", "l.loom/picked")
    assert (inside.exit_code, "is the library itself" in inside.stderr) == (2, True)
    assert "finds the copies as sounds of their own" in run("owl", "--names", "--copy-to", "sounds/birds").stderr
    assert not Path("sounds/birds/owl (2).wav").exists()
    attached = run("-owl")
    assert (attached.exit_code, Path("wl").exists()) == (2, False)
    assert "for the text: -- -owl" in attached.stderr


ENDINGS = ("csv", "json", "parquet", "m3u8", "selections.txt", "birdnet.csv", "kaleidoscope.csv", "hoplite.csv", "html")


@pytest.mark.parametrize("ending", ENDINGS)
def test_every_ending_is_written_and_read_again(place: Path, tmp_path: Path, ending: str) -> None:
    out = tmp_path / f"hits.{ending}"
    result = run("-k", 3, "--columns", "rate,tags,title", "-o", out, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    if ending in ("html", "m3u8", "json", "parquet"):
        assert out.stat().st_size
        return
    read = read_annotations(out).annotations
    assert [os.path.basename(one.path) for one in read] == [os.path.basename(one["path"]) for one in found]
    assert [one.start for one in read] == [one["start"] for one in found]
    assert "None" not in out.read_text(encoding="utf-8")
    assert "[" not in out.read_text(encoding="utf-8")


def test_hits_are_played_by_a_player_of_the_system(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player = tmp_path / "ffplay"
    monkeypatch.setenv("PATH", str(tmp_path))
    none = run("owl.wav", "--play")
    assert (none.exit_code, "no player is installed" in none.stderr, none.stdout) == (1, True, "")
    player.write_text(f'#!/bin/sh\nfor file; do :; done\n/bin/cp "$file" {tmp_path}/played.wav\n')
    player.chmod(0o755)
    played = run("--tag", "night", "--play")
    assert (played.exit_code, "playing 1: owl.wav" in played.stderr) == (0, True)
    assert soundfile.info(tmp_path / "played.wav").samplerate == 48000
    player.write_text("#!/bin/sh\necho no sound device >&2\nexit 1\n")
    failed = run("--tag", "night", "--play")
    assert (failed.exit_code, "ffplay cannot play: no sound device" in failed.stderr) == (1, True)


def test_a_cut_of_more_than_16_bits_is_in_the_extensible_format(tmp_path: Path) -> None:
    assert run("--tag", "night", "--copy-to", tmp_path / "cut", "--cut").exit_code == 0
    (cut,) = (tmp_path / "cut").iterdir()
    assert (soundfile.info(cut).format, soundfile.info(cut).subtype) == ("WAVEX", "PCM_24")
