"""Prepared clips: what is kept is what the front-end gives, once, whatever happens to the process or the disk."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from helpers.prepared_clips import RATE, corpus_of, every_row, noise, same, write
from soundloom import audio, corpora
from soundloom.cli.progress_bars import followed
from soundloom.feature_cache import (
    CacheProgress,
    FeatureDataset,
    MelEnergies,
    Represented,
    formats,
    prepare,
)
from soundloom.frontends import FramedWaveform, LogMel
from sounds import tone

RIGHT_TO = 5e-4


@pytest.fixture
def mel() -> MelEnergies:
    return MelEnergies(LogMel.jansen())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class TestPrepare:
    def test_rows_are_those_of_the_file(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 3)
        dataset = prepare(corpus_of(paths), mel, folder=home)
        assert len(dataset) == 3
        assert (dataset.fresh, dataset.failures) == (3, {})
        for clip, path in enumerate(paths):
            assert np.array_equal(every_row(dataset, clip), mel.keep(torch.from_numpy(audio.read(path, RATE))))
        assert dataset.nbytes == dataset.lengths.sum() * 64 * 2
        assert "3 clips" in repr(dataset)

    def test_a_region_is_what_lies_in_it(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        (path,) = write(tmp_path / "sounds", 1, seconds=2.0)
        dataset = prepare(corpus_of([path] * 3, [None, 0.5, 0.5], [1.0, None, 0.75]), mel, folder=home)
        wave = torch.from_numpy(audio.read(path, RATE))
        for clip, region in enumerate([slice(0, 16000), slice(8000, None), slice(8000, 12000)]):
            assert np.array_equal(every_row(dataset, clip), mel.keep(wave[region]))

    def test_nothing_is_decoded_twice(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 4)
        twin = tmp_path / "sounds" / "twin.wav"
        twin.write_bytes(paths[0].read_bytes())
        first = prepare(corpus_of([*paths, twin, paths[1]]), mel, folder=home)
        assert first.fresh == 4
        assert np.array_equal(every_row(first, 0), every_row(first, 4))
        assert prepare(corpus_of([*paths, twin]), mel, folder=home).fresh == 0
        moved = paths[2].rename(tmp_path / "moved.wav")
        again = prepare(corpus_of([moved, paths[3]]), mel, folder=home)
        assert again.fresh == 0
        assert np.array_equal(every_row(again, 0), every_row(first, 2))

    def test_a_file_that_changed_is_another_clip(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 2)
        prepare(corpus_of(paths), mel, folder=home)
        soundfile.write(paths[0], noise(0.5, seed=99), RATE)
        os.utime(paths[1], ns=(1, 1))  # merely touched
        dataset = prepare(corpus_of(paths), mel, folder=home)
        assert dataset.fresh == 1
        assert np.array_equal(every_row(dataset, 0), mel.keep(torch.from_numpy(audio.read(paths[0], RATE))))

    def test_files_that_have_not_changed_are_not_read(
        self, tmp_path: Path, home: Path, mel: MelEnergies, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        corpus = corpus_of(write(tmp_path / "sounds", 3))
        first = prepare(corpus, mel, folder=home)

        def unexpected(path: str, _: object) -> bytes:
            raise AssertionError(f"{path} was read")

        monkeypatch.setattr("soundloom.feature_cache.content_hashes._digest", unexpected)
        assert same(prepare(corpus, mel, folder=home), first)

    def test_forms_do_not_mix(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        corpus = corpus_of(write(tmp_path / "sounds", 2))
        others = [Represented(FramedWaveform(), seconds=0.2), Represented(FramedWaveform(), seconds=0.2, hop=0.1)]
        dataset = [prepare(corpus, form, folder=home) for form in (mel, *others)]
        assert [one.fresh for one in dataset] == [2, 2, 2]
        assert every_row(dataset[1], 0).shape == (3, 1, 1600, 2)
        assert every_row(dataset[2], 0).shape == (4, 1, 1600, 2)

    def test_workers_order_and_company_change_nothing(self, tmp_path: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 12)
        one = prepare(corpus_of(paths), mel, folder=tmp_path / "one", workers=1)
        four = prepare(corpus_of(paths), mel, folder=tmp_path / "four", workers=4)
        prepare(corpus_of(paths[::-3]), mel, folder=tmp_path / "bits", workers=2)
        bits = prepare(corpus_of(paths), mel, folder=tmp_path / "bits", workers=3)
        assert same(one, four)
        assert same(one, bits)

    def test_threads_of_computation_change_nothing(self, tmp_path: Path, mel: MelEnergies) -> None:
        corpus = corpus_of(write(tmp_path / "sounds", 2, seconds=5.0))
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(1)
            one = prepare(corpus, mel, folder=tmp_path / "one")
            torch.set_num_threads(4)
            assert same(one, prepare(corpus, mel, folder=tmp_path / "four"))
            assert torch.get_num_threads() == 4
        finally:
            torch.set_num_threads(before)

    def test_what_cannot_be_heard_is_named(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 2)
        broken, empty, missing = (tmp_path / name for name in ("broken.wav", "empty.wav", "missing.wav"))
        broken.write_bytes(b"no sound at all" * 100)
        empty.write_bytes(b"")
        order = [broken, paths[0], empty, missing, paths[1], paths[1]]
        corpus = corpus_of(order, starts=[None] * 5 + [60.0])
        dataset = prepare(corpus, mel, folder=home)
        assert np.flatnonzero(dataset.lengths).tolist() == [1, 4]
        assert {clip: failed.item for clip, failed in dataset.failures.items()} == {
            clip: str(order[clip]) for clip in (0, 2, 3, 5)
        }
        assert "0 bytes" in dataset.failures[2].reason
        assert "no such file" in dataset.failures[3].reason
        assert "no region from 60.0 s" in dataset.failures[5].reason
        clips, _ = dataset.windows(10, 10)
        assert set(clips.tolist()) == {1, 4}
        assert not dataset.take(np.array([0]), np.array([0]), 5).any()

    def test_a_corpus_of_nothing(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        nothing = prepare(corpus_of([]), mel, folder=home)
        assert (len(nothing), nothing.fresh) == (0, 0)
        clips, starts = nothing.windows(10, 10)
        assert nothing.take(clips, starts, 10).shape == (0, 10, 64)
        unheard = prepare(corpus_of([tmp_path / "missing.wav"]), mel, folder=home)
        assert unheard.lengths.tolist() == [0]

    def test_progress_is_told_clip_by_clip_in_order(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        paths = write(tmp_path / "sounds", 5)
        told: list[CacheProgress] = []
        prepare(corpus_of(paths), mel, folder=home, workers=3, progress=told.append)
        assert told == [CacheProgress(number + 1, 5, str(path)) for number, path in enumerate(paths)]

    def test_progress_names_what_is_left_out_and_why(
        self, tmp_path: Path, home: Path, mel: MelEnergies, capsys: pytest.CaptureFixture[str]
    ) -> None:
        paths = [*write(tmp_path / "sounds", 1), tmp_path / "empty.wav", tmp_path / "missing.wav"]
        paths[1].touch()
        with followed() as (preparing, _):
            for _ in range(2):
                prepare(corpus_of(paths), mel, folder=home, progress=preparing)
        told = capsys.readouterr().err.splitlines()
        assert [line.partition(":")[0] for line in sorted(told)] == [
            f"left out {str(path)!r}" for path in sorted(paths[1:])
        ]
        assert "0 bytes" in "".join(told)

    def test_the_users_cache_is_where_it_lies_by_default(
        self, tmp_path: Path, mel: MelEnergies, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))
        corpus = corpus_of(write(tmp_path / "sounds", 1))
        prepare(corpus, mel)
        assert (tmp_path / "home" / "prepared" / "files.sqlite").is_file()
        assert prepare(corpus, mel, folder=tmp_path / "home" / "prepared").fresh == 0

    def test_real_recordings(self, shared_audio: Path, home: Path, mel: MelEnergies) -> None:
        pool = corpora.load("pool", shared_audio)
        some = pool.filter(mask=np.arange(len(pool)) % 1000 == 0)
        dataset = prepare(some, mel, folder=home)
        assert dataset.failures == {}
        for clip, path in enumerate(some.column("path")):
            wave = torch.from_numpy(audio.read(path, RATE))[None]
            wave = torch.nn.functional.pad(wave, (0, max(0, mel.min_samples - wave.shape[1])))
            expected = LogMel.jansen().energies(wave)[0].T
            restored = dataset.restore(torch.from_numpy(every_row(dataset, clip)))
            torch.testing.assert_close(restored, expected, rtol=RIGHT_TO, atol=2.0**formats.LOWEST)


class TestDrawing:
    @pytest.fixture
    def dataset(self, tmp_path: Path, home: Path, mel: MelEnergies) -> FeatureDataset:
        folder = tmp_path / "sounds"
        folder.mkdir()
        paths = []
        # 10, 25, 26 and 7 frames.
        for number, frames in enumerate([10, 25, 26, 7]):
            paths.append(folder / f"{number}.wav")
            soundfile.write(paths[-1], tone(300 * (number + 1), RATE, 0.025 + 0.01 * (frames - 1)), RATE)
        paths.insert(2, folder / "missing.wav")
        return prepare(corpus_of(paths), mel, folder=home)

    def test_windows_end_within_their_clip(self, dataset: FeatureDataset) -> None:
        assert dataset.lengths.tolist() == [10, 25, 0, 26, 7]
        for size, hop in [(10, 10), (10, 4), (8, 3), (1, 1), (100, 1), (25, 1)]:
            expected = [
                (clip, start)
                for clip, length in enumerate(dataset.lengths.tolist())
                for start in range(0, max(length, 1), hop)
                if length and (start + size <= length or start == 0)
            ]
            clips, starts = dataset.windows(size, hop)
            assert list(zip(clips.tolist(), starts.tolist(), strict=True)) == expected
        with pytest.raises(ValueError, match="at least 1"):
            dataset.windows(10, 0)

    def test_beyond_the_end_is_silence(self, dataset: FeatureDataset) -> None:
        clips, starts = np.array([4, 1, 0, 3, 2]), np.array([0, 20, 10, 500, 0])
        taken = dataset.take(clips, starts, 12)
        assert (taken.shape, taken.dtype) == ((5, 12, 64), torch.uint16)
        assert np.array_equal(taken[0, :7].numpy(), every_row(dataset, 4))
        assert np.array_equal(taken[1, :5].numpy(), every_row(dataset, 1)[20:])
        energies = dataset.restore(taken)
        held = [7, 5, 0, 0, 0]
        for window, rows in zip(energies, held, strict=True):
            assert window[:rows].any(dim=1).all()
            assert not window[rows:].any()

    @pytest.mark.parametrize(("clip", "start", "count"), [(5, 0, 3), (-1, 0, 3), (0, -1, 3), (0, 0, 0)])
    def test_impossible_windows_are_refused(self, dataset: FeatureDataset, clip: int, start: int, count: int) -> None:
        with pytest.raises(IndexError, match="there are clips 0 to 4"):
            dataset.take(np.array([0, clip]), np.array([0, start]), count)

    def test_what_is_taken_is_ones_own(self, dataset: FeatureDataset) -> None:
        clips, starts = np.array([1]), np.array([3])
        taken = dataset.take(clips, starts, 4)
        before = taken.numpy().copy()
        taken.numpy()[...] = 7
        assert np.array_equal(dataset.take(clips, starts, 4).numpy(), before)
