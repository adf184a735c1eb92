"""Embeddings kept for evaluation: computed once, damage noticed, what waits written."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import soundfile

from helpers.small_evaluations import quick_runs, render_families
from soundloom import corpora
from soundloom.evaluation.embedding_cache import EmbeddingCacheError, Shards, Writer, key_of
from soundloom.evaluation.runner import evaluate
from soundloom.models import load


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    return render_families(tmp_path_factory.mktemp("sounds"))


@pytest.fixture
def folder(sounds, tmp_path):
    """A copy to change."""
    return shutil.copytree(sounds, tmp_path / "sounds")


@pytest.fixture
def run(tmp_path):
    return quick_runs(tmp_path / "cache")


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("SOUNDLOOM_HOME", str(tmp_path / "home"))


def test_only_what_is_new_is_embedded(folder, run, extracted_lengths):
    def embedded(model="logmel", protocol="knn"):
        extracted_lengths.clear()
        result = run(load(model), corpora.load(folder), protocol)
        assert result.embedded == len(extracted_lengths)
        return len(extracted_lengths)

    assert embedded() == 32
    assert embedded() == 0
    assert embedded(protocol=["linear", "retrieval"]) == 0
    soundfile.write(folder / "bell" / "0.wav", np.random.default_rng(0).normal(0, 0.1, 9000), 16000)
    assert embedded() == 1
    (folder / "bell" / "0.wav").rename(folder / "bell" / "moved.wav")
    assert embedded() == 0
    shutil.copy(folder / "drum" / "1.wav", folder / "drum" / "again.wav")
    assert embedded() == 0
    assert embedded("mfcc") == 32  # another listener; the copy is the same sound
    assert embedded() == 0


def test_the_same_numbers_from_the_cache(sounds, run):
    first, second = (run(load("logmel"), corpora.load(sounds), ["linear", "knn"]) for _ in range(2))
    assert second.embedded == 0
    assert first.scores == second.scores
    assert [each.config for each in first.measurements.values()] == [
        each.config for each in second.measurements.values()
    ]
    assert (
        run(load("logmel"), corpora.load(sounds), seed=1).measurements["knn"].config != first.measurements["knn"].config
    )


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "foreign"])
def test_a_damaged_shard_is_noticed_deleted_and_computed_again(sounds, run, tmp_path, damage, caplog):
    before = run(load("logmel"), corpora.load(sounds))
    (shard,) = (tmp_path / "cache").rglob("*.shard")
    data = bytearray(shard.read_bytes())
    if damage == "flip":
        data[len(data) // 2] ^= 1
    shard.write_bytes({"flip": data, "cut": data[:-100], "empty": b"", "foreign": b"PK\x03\x04 not ours"}[damage])
    after = run(load("logmel"), corpora.load(sounds))
    assert "damaged" in caplog.text
    assert (after.embedded, after.scores) == (32, before.scores)
    assert run(load("logmel"), corpora.load(sounds)).embedded == 0


def test_a_shard_of_another_size_is_damaged(tmp_path):
    with Writer(Shards(tmp_path, 3)) as writer:
        writer.put(key_of(b"x", None, None), np.zeros((2, 3), np.float32))
    assert Shards(tmp_path, 4).read({key_of(b"x", None, None)}) == {}


def test_rows_that_wait_are_written_when_work_is_interrupted(tmp_path):
    keys = [key_of(b"content", start, None) for start in (0.0, 1.0)]
    shards = Shards(tmp_path, 2)

    def interrupted():
        with Writer(shards) as writer:
            writer.put(keys[0], np.ones((1, 2), np.float32))
            writer.put(keys[1], np.zeros((3, 2), np.float32))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    found = shards.read(keys)
    np.testing.assert_array_equal(found[keys[0]], [[1, 1]])
    assert found[keys[1]].shape == (3, 2)
    assert [path.suffix for path in tmp_path.iterdir()] == [".shard"]


def test_full_shards_are_written_before_the_end(tmp_path, monkeypatch):
    monkeypatch.setattr("soundloom.evaluation.embedding_cache._SHARD_BYTES", 100)
    shards = Shards(tmp_path, 8)
    with Writer(shards) as writer:
        for number in range(10):
            writer.put(key_of(bytes([number]), None, None), np.full((1, 8), number, np.float32))
        assert len(list(tmp_path.glob("*.shard"))) == 2
    found = shards.read({key_of(bytes([number]), None, None) for number in range(10)})
    assert sorted(float(rows[0, 0]) for rows in found.values()) == list(range(10))


def test_a_cache_that_cannot_be_written_is_told(sounds, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(EmbeddingCacheError, match="choose another folder"):
        evaluate(load("logmel"), corpora.load(sounds), "knn", cache=tmp_path / "file")
