"""Clips prepared for training on damaged caches, full disks and beside killed writers."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.prepared_clips import corpus_of, same, write
from soundloom.corpora import Corpus
from soundloom.feature_cache import (
    FeatureCacheError,
    FeatureDataset,
    MelEnergies,
    prepare,
)
from soundloom.frontends import LogMel


@pytest.fixture
def mel() -> MelEnergies:
    return MelEnergies(LogMel.jansen())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "cache"


class TestDisasters:
    """Whatever happens, the next call gives what an undisturbed one would."""

    @pytest.fixture
    def corpus(self, tmp_path: Path) -> Corpus:
        return corpus_of(write(tmp_path / "sounds", 8))

    @pytest.fixture
    def undisturbed(self, corpus: Corpus, tmp_path: Path, mel: MelEnergies) -> FeatureDataset:
        return prepare(corpus, mel, folder=tmp_path / "undisturbed")

    def rows_file(self, home: Path) -> Path:
        (path,) = home.glob("*/rows-*.bin")
        return path

    def test_a_damaged_clip_is_prepared_again(
        self,
        corpus: Corpus,
        undisturbed: FeatureDataset,
        home: Path,
        mel: MelEnergies,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        prepare(corpus, mel, folder=home)
        data = bytearray(self.rows_file(home).read_bytes())
        data[len(data) // 2] ^= 1
        self.rows_file(home).write_bytes(data)
        again = prepare(corpus, mel, folder=home)
        assert again.fresh == 1
        assert "1 of 8 clips are damaged" in caplog.text
        assert same(again, undisturbed)
        assert prepare(corpus, mel, folder=home).fresh == 0

    def damage_unseen(self, home: Path, at: float) -> None:
        """Change a bit of the rows, and neither their size nor their time of modification."""
        file = self.rows_file(home)
        status, data = file.stat(), bytearray(file.read_bytes())
        data[int(at * len(data))] ^= 1
        file.write_bytes(data)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))

    @pytest.mark.parametrize("mapped", [False, True])
    def test_damage_that_keeps_size_and_time_is_repaired_as_rows_are_read(
        self,
        corpus: Corpus,
        undisturbed: FeatureDataset,
        home: Path,
        mel: MelEnergies,
        mapped: bool,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        prepared = prepare(corpus, mel, folder=home)
        self.damage_unseen(home, 0.5)
        again = prepared if mapped else prepare(corpus, mel, folder=home)
        assert again.fresh == (8 if mapped else 0)
        assert same(again, undisturbed)
        assert caplog.text.count("decoded again") == 1
        # The repair is kept.
        caplog.clear()
        assert same(prepare(corpus, mel, folder=home), undisturbed)
        assert not caplog.text

    def test_a_damaged_clip_that_occurs_twice_is_decoded_once(
        self, tmp_path: Path, home: Path, mel: MelEnergies, caplog: pytest.LogCaptureFixture
    ) -> None:
        (path,) = write(tmp_path / "sounds", 1)
        twice = prepare(corpus_of([path, path]), mel, folder=home)
        expected = twice.take(np.array([0, 1]), np.array([0, 0]), 5)
        again = prepare(corpus_of([path, path]), mel, folder=home)
        self.damage_unseen(home, 0.5)
        assert torch.equal(again.take(np.array([0, 1]), np.array([0, 0]), 5), expected)
        assert caplog.text.count("decoded again") == 1

    def test_damaged_rows_of_a_file_that_has_changed_are_refused(
        self, tmp_path: Path, home: Path, mel: MelEnergies
    ) -> None:
        (path,) = write(tmp_path / "sounds", 1)
        dataset = prepare(corpus_of([path]), mel, folder=home)
        self.damage_unseen(home, 0.5)
        for change, reason in [
            (lambda: path.write_bytes(path.read_bytes() + b"x"), "changed"),
            (path.unlink, "no such"),
        ]:
            change()
            with pytest.raises(FeatureCacheError, match=f"damaged.*{reason}"):
                dataset.take(np.array([0]), np.array([0]), 5)

    @pytest.mark.parametrize("left", [0.0, 0.6])
    def test_a_file_cut_short(
        self, corpus: Corpus, undisturbed: FeatureDataset, home: Path, mel: MelEnergies, left: float
    ) -> None:
        prepare(corpus, mel, folder=home)
        os.truncate(self.rows_file(home), int(left * self.rows_file(home).stat().st_size) + 1)
        again = prepare(corpus, mel, folder=home)
        assert 0 < again.fresh <= 8
        assert same(again, undisturbed)

    def test_rows_that_are_gone(
        self, corpus: Corpus, undisturbed: FeatureDataset, home: Path, mel: MelEnergies
    ) -> None:
        prepare(corpus, mel, folder=home)
        self.rows_file(home).unlink()
        again = prepare(corpus, mel, folder=home)
        assert again.fresh == 8
        assert same(again, undisturbed)

    @pytest.mark.parametrize("name", ["index.sqlite", "files.sqlite"])
    @pytest.mark.parametrize("damage", ["noise", "middle", "gone"])
    def test_a_damaged_index(
        self, corpus: Corpus, undisturbed: FeatureDataset, home: Path, mel: MelEnergies, name: str, damage: str
    ) -> None:
        before = prepare(corpus, mel, folder=home)
        (path,) = home.rglob(name)
        data = bytearray(path.read_bytes())
        if damage == "gone":
            path.unlink()
        else:
            begin = 0 if damage == "noise" else 4096
            data[begin : begin + 4096] = np.random.default_rng(0).bytes(4096)
            path.write_bytes(data)
        assert same(prepare(corpus, mel, folder=home), undisturbed)
        assert same(before, undisturbed)  # what was mapped before is as it was
        assert prepare(corpus, mel, folder=home).fresh == 0

    def test_a_full_disk_is_told_and_nothing_is_lost(
        self, corpus: Corpus, undisturbed: FeatureDataset, home: Path, mel: MelEnergies, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        half = corpus.filter(mask=np.arange(8) < 4)
        prepare(half, mel, folder=home)
        size = self.rows_file(home).stat().st_size

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patch:
            patch.setattr("soundloom.feature_cache.row_store.os.fsync", full)
            with pytest.raises(FeatureCacheError, match=r"No space left on device.*make room"):
                prepare(corpus, mel, folder=home)
        assert self.rows_file(home).stat().st_size == size
        again = prepare(corpus, mel, folder=home)
        assert again.fresh == 4
        assert same(again, undisturbed)

    def test_a_folder_that_cannot_be(self, corpus: Corpus, tmp_path: Path, mel: MelEnergies) -> None:
        (tmp_path / "file").write_bytes(b"")
        with pytest.raises(FeatureCacheError, match=r"file/cache.*folder=.*SOUNDLOOM_HOME"):
            prepare(corpus, mel, folder=tmp_path / "file" / "cache")

    def test_part_of_a_row_left_by_a_killed_writer(
        self, corpus: Corpus, undisturbed: FeatureDataset, home: Path, mel: MelEnergies
    ) -> None:
        prepare(corpus.filter(mask=np.arange(8) < 4), mel, folder=home)
        with self.rows_file(home).open("ab") as file:
            file.write(b"x" * 1001)
        again = prepare(corpus, mel, folder=home)
        assert again.fresh == 4
        assert same(again, undisturbed)

    SCRIPT = """
import sys
from pathlib import Path
from soundloom.corpora import Corpus
from soundloom.frontends import LogMel
from soundloom.feature_cache import dataset
from soundloom.feature_cache import MelEnergies, prepare

dataset._BATCH_SECONDS = 0.0
corpus, folder = sys.argv[1:]
prepare(
    Corpus.load(corpus), MelEnergies(LogMel.jansen()), folder=folder,
    progress=lambda progress: print(progress.done, flush=True),
)
"""

    def child(self, corpus: Corpus, home: Path) -> subprocess.Popen[str]:
        saved = home.parent / "corpus.parquet"
        corpus.save(saved)
        return subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, str(saved), str(home)], stdout=subprocess.PIPE, text=True
        )

    @pytest.mark.slow
    def test_killed_at_any_moment_it_goes_on(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        corpus = corpus_of(write(tmp_path / "many", 60))
        undisturbed = prepare(corpus, mel, folder=tmp_path / "undisturbed")
        done = 0
        for more, pause in [(1, 0.003), (25, 0.007)]:
            with self.child(corpus, home) as child:
                assert child.stdout is not None
                for _ in range(more):
                    assert child.stdout.readline()
                time.sleep(pause)
                child.send_signal(signal.SIGKILL)
            # A clip is written, then told: all that were told are there.
            done += more
        again = prepare(corpus, mel, folder=home)
        assert 0 < again.fresh <= 60 - done
        assert same(again, undisturbed)

    @pytest.mark.slow
    def test_two_at_once(self, tmp_path: Path, home: Path, mel: MelEnergies) -> None:
        corpus = corpus_of(write(tmp_path / "many", 40))
        undisturbed = prepare(corpus, mel, folder=tmp_path / "undisturbed")
        children = [self.child(corpus, home) for _ in range(2)]
        for child in children:
            child.communicate(timeout=120)
            assert child.returncode == 0
        again = prepare(corpus, mel, folder=home)
        assert again.fresh == 0
        assert same(again, undisturbed)
        # No clip was kept twice.
        assert self.rows_file(home).stat().st_size == again.nbytes
