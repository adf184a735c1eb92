"""Duplicates of a library: fingerprints of waveforms, their comparison, groups of files, and the command."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from click.testing import CliRunner

from soundloom.cli import main
from soundloom.errors import InvalidArgumentError
from soundloom.library import Library
from soundloom.library.duplicates.fingerprint import ACTIVE, BITS, fingerprint, is_active
from soundloom.library.duplicates.fingerprint_matches import candidate_pairs, compare_fingerprints, matching_pairs

RATE = 16_000


def sound(seed: int, seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """Noise bursts and glides, as different from seed to seed as recordings are."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    noise = rng.normal(size=time.size)
    envelope = np.interp(time, np.linspace(0, seconds, 12), rng.uniform(0, 1, 12) ** 2)
    glide = np.sin(2 * np.pi * np.cumsum(np.interp(time, np.linspace(0, seconds, 6), rng.uniform(300, 3000, 6))) / rate)
    return (0.2 * envelope * noise + 0.2 * glide).astype(np.float32)


def at_8k(samples: np.ndarray, rate: int = RATE) -> np.ndarray:
    return np.asarray(soxr.resample(samples, rate, 8000), np.float32)


def test_a_fingerprint_depends_neither_on_gain_nor_on_blocks() -> None:
    samples = at_8k(sound(1, 40.0))
    whole = fingerprint([samples])
    blocks = fingerprint(np.array_split(samples, 97))
    np.testing.assert_array_equal(whole, blocks)
    quiet = fingerprint([0.1 * samples])
    agreement, shared = compare_fingerprints(whole, quiet, 0)
    assert agreement > 0.999
    assert shared == is_active(whole).sum() > 2400
    assert len(whole) == pytest.approx(40 * 62.5, abs=9)
    assert (whole & ~(ACTIVE | np.uint32((1 << BITS) - 1)) == 0).all()


def test_the_shortest_sounds_and_silence_have_fingerprints_without_active_frames() -> None:
    for samples in (np.zeros(8000, np.float32), np.zeros(1, np.float32)):
        assert not is_active(fingerprint([samples])).any()
    assert fingerprint([np.ones(1, np.float32)]).dtype == np.uint32


def test_agreement_is_counted_bit_by_bit() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 1 << BITS, 50).astype(np.uint32) | ACTIVE
    other = np.concatenate([rng.integers(0, 1 << BITS, 7).astype(np.uint32) | ACTIVE, one])
    other[7:17] &= ~ACTIVE
    other[20] ^= 0b1011
    agreement, shared = compare_fingerprints(one, other, 6)  # one off
    expected = sum(bin(int(a ^ b) & ((1 << BITS) - 1)).count("0") for a, b in zip(one, other[7:], strict=True))
    assert (agreement, shared) == (1 - 3 / (50 * BITS), 50)
    assert expected > 0
    assert compare_fingerprints(one, other, 1000) == (0.5, 0)
    assert compare_fingerprints(one, one[:0], 0) == (0.5, 0)


def test_copies_are_found_among_unrelated_sounds() -> None:
    """Every pair of copies, and none besides; against the comparison of all pairs at all shifts."""
    originals = [at_8k(sound(seed)) for seed in range(12)]
    rng = np.random.default_rng(9)
    trimmed = [samples[round(0.3 * 8000) :] for samples in originals[:4]]
    noisy = [samples + 0.02 * rng.normal(size=samples.size).astype(np.float32) for samples in originals[4:8]]
    prints = [fingerprint([samples]) for samples in (*originals, *trimmed, *noisy)]
    found = matching_pairs(prints)
    assert {(match.first, match.second) for match in found} == {(number, number + 12) for number in range(8)}
    assert all(match.agreement > 0.72 for match in found)
    assert all(match.coverage > 0.85 for match in found)
    for first in range(12):
        for second in range(first + 1, 12):
            agreements = [compare_fingerprints(prints[first], prints[second], shift) for shift in range(-60, 61, 5)]
            assert max(agreement for agreement, shared in agreements if shared > 90) < 0.62
    assert len(candidate_pairs([])) == 0


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Three sounds; copies of the first at another rate, level, length and in another format; two of one content."""
    folder = tmp_path_factory.mktemp("duplicates")
    sounds = folder / "sounds"
    sounds.mkdir()
    first = sound(1)
    soundfile.write(sounds / "a.wav", first, RATE, subtype="PCM_24")
    soundfile.write(sounds / "a quiet.wav", 0.1 * first, RATE, subtype="PCM_16")
    soundfile.write(sounds / "a narrow.wav", at_8k(first), 8000)
    soundfile.write(sounds / "a.ogg", first, RATE)
    soundfile.write(sounds / "a trimmed.flac", first[5000:], RATE)
    soundfile.write(sounds / "b.wav", sound(2), RATE)
    soundfile.write(sounds / "c.wav", sound(3), RATE)
    shutil.copy(sounds / "c.wav", sounds / "copy of c.wav")
    soundfile.write(sounds / "excerpt of b.wav", sound(2)[: RATE // 1], RATE)
    for name, seconds in (("silence", 1), ("more silence", 2)):
        soundfile.write(sounds / f"{name}.wav", np.zeros(seconds * RATE), RATE)
    library = Library.create(folder / "l.loom", "mfcc")
    library.add(sounds, workers=1)
    return library


def names(library: Library, **options: object) -> list[list[str]]:
    return [[Path(copy.path).name for copy in group] for group in library.duplicates.find(**options).groups]  # type: ignore[arg-type]


def test_files_are_grouped_and_the_best_comes_first(library: Library) -> None:
    groups = library.duplicates.find().groups
    first, second = ([Path(copy.path).name for copy in group] for group in groups)
    assert first[0] == "a.wav"
    assert first[-1] == "a narrow.wav"
    assert set(first) == {"a.wav", "a quiet.wav", "a narrow.wav", "a.ogg", "a trimmed.flac"}
    assert second == ["c.wav", "copy of c.wav"]
    assert [copy.exact for copy in groups[1]] == [True, True]
    assert all(0.8 < copy.agreement <= 1 and not copy.exact for copy in groups[0])
    assert names(library, coverage=0.2) == [first, ["b.wav", "excerpt of b.wav"], second]
    with pytest.raises(InvalidArgumentError, match="above 0 and at most 1"):
        library.duplicates.find(coverage=0)


def test_fingerprints_are_computed_once(library: Library) -> None:
    library.duplicates.find()
    computed: list[int] = []
    library.duplicates.find(progress=lambda _, total: computed.append(total))
    assert computed == []
    kept = library.folder / "fingerprints.arrow"
    kept.write_bytes(kept.read_bytes()[:-100])
    expected = names(library)
    library.duplicates.find(progress=lambda _, total: computed.append(total))
    assert computed == []  # the damaged table was replaced
    kept.unlink()
    assert names(library) == expected


def test_exact_duplicates_need_no_file(library: Library, tmp_path: Path) -> None:
    shutil.copytree(library.folder, tmp_path / "l.loom")
    alone = Library.open(tmp_path / "l.loom")
    (tmp_path / "l.loom" / "fingerprints.arrow").unlink(missing_ok=True)
    assert names(alone, exact=True) == [["c.wav", "copy of c.wav"]]
    assert not (tmp_path / "l.loom" / "fingerprints.arrow").exists()


def test_many_copies_are_one_group_and_a_lost_file_is_reported(tmp_path: Path) -> None:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(40):
        soundfile.write(sounds / f"{number:02d}.wav", (1 - 0.02 * number) * sound(5, 1.5), RATE)
    soundfile.write(sounds / "other.wav", sound(6, 1.5), RATE)
    library = Library.create(tmp_path / "l.loom", "mfcc")
    library.add(sounds, workers=1)
    (sounds / "39.wav").unlink()
    report = library.duplicates.find(workers=2)
    assert [len(group) for group in report.groups] == [39]
    assert [Path(failure.path).name for failure in report.failed] == ["39.wav"]


def test_the_command_prints_and_writes_groups(library: Library, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str, str]:
        command = ["duplicates", "-l", str(library.folder), *map(str, arguments)]
        result = CliRunner().invoke(main, command)
        return result.exit_code, result.stdout, result.stderr

    code, shown, said = run()
    assert (code, said) == (0, "2 groups of duplicates, 7 files\n")
    assert shown.splitlines()[0] == "1:"
    assert shown.count("exact") == 2
    assert len(json.loads(run("--exact", "--json")[1])["groups"]) == 1
    assert run("--out", tmp_path / "d.csv")[0] == 0
    with open(tmp_path / "d.csv", newline="", encoding="utf-8") as file:
        labels = [row["label"] for row in csv.DictReader(file)]
    assert labels == ["duplicate 1"] * 5 + ["duplicate 2"] * 2
    assert run("--out", tmp_path / "d.pdf")[0] == 2
