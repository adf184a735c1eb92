"""Corpora and libraries in the forms of other tools: Arrow, pandas, Polars, DuckDB, PyTorch, Hugging Face."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch.utils.data import DataLoader

import soundloom
from soundloom import audio
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.errors import InvalidArgumentError
from soundloom.integrations.torch_dataset import SoundDataset
from soundloom.library import Library
from soundloom.synth import render


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sounds")
    for family in ("bell", "rain"):
        (folder / family).mkdir()
        for number in range(3):
            sound = render(family, number)
            soundfile.write(folder / family / f"20240501_05300{number}.flac", sound.samples, sound.sample_rate)
    return folder


@pytest.fixture(scope="module")
def library(sounds: Path, tmp_path_factory: pytest.TempPathFactory) -> Library:
    library = Library.create(tmp_path_factory.mktemp("library") / "sounds.loom", "mfcc", window=1.0)
    library.add(sounds)
    library.tags.add("wet", [path for path in library.files() if "rain" in path])
    return library


def test_a_library_is_a_table_of_segments_with_the_facts_of_their_files(library: Library) -> None:
    table = library.to_arrow(embeddings=True)
    assert table.num_rows == len(library) > 6
    assert table["path"].to_pylist() == sorted(table["path"].to_pylist())
    first = table.slice(0, 1).to_pylist()[0]
    assert first["recorded"] == "2024-05-01T05:30:00"
    assert first["recorded_by"] == "name"
    assert first["sample_rate"] == soundfile.info(first["path"]).samplerate
    wanted = library.model.embed(first["path"], start=first["start"], end=first["end"])
    np.testing.assert_array_equal(np.float32(first["embedding"]), wanted)
    assert "embedding" not in library.to_arrow().column_names
    assert set(library.to_arrow("array_has(tags, 'wet')")["tags"].to_pylist()[0]) == {"wet"}


def test_facts_that_are_not_known_are_null(library: Library) -> None:
    facts = library.folder / "facts.arrow"
    kept = facts.read_bytes()
    facts.unlink()
    try:
        table = library.to_arrow()
    finally:
        facts.write_bytes(kept)
    assert table["title"].null_count == table.num_rows == len(library)
    assert library.to_arrow("path = 'nowhere'").num_rows == 0


def test_pandas_polars_and_duckdb_read_a_library(library: Library) -> None:
    import duckdb

    wet = [path for path in library.files() if "rain" in path]
    frame = library.to_pandas()
    assert sorted(set(frame[frame.tags.map(lambda tags: "wet" in tags)].path)) == wet
    frame = library.to_polars()
    assert sorted(frame.filter(frame["tags"].list.contains("wet"))["path"].unique().to_list()) == wet
    segments = library.to_arrow()  # DuckDB finds it by its name.
    rows = duckdb.sql("SELECT DISTINCT path FROM segments WHERE list_contains(tags, 'wet') ORDER BY path").fetchall()
    assert [path for (path,) in rows] == wet
    assert segments.num_rows == len(library)


def test_a_corpus_in_batches(sounds: Path) -> None:
    corpus = soundloom.corpora.load(sounds)
    clips = SoundDataset(corpus, 8000, seconds=1.5)
    batches = list(DataLoader(clips, batch_size=4))
    assert [tuple(batch["waveform"].shape) for batch in batches] == [(4, 12000), (2, 12000)]
    assert torch.cat([batch["target"] for batch in batches]).tolist() == corpus.label_ids().tolist()
    whole = SoundDataset(corpus, 8000)[5]
    wanted = audio.read(corpus.column("path")[5], 8000)
    np.testing.assert_array_equal(whole["waveform"].numpy(), wanted)
    padded = SoundDataset(corpus, 8000, seconds=60.0)[5]["waveform"]
    assert padded.shape == (480_000,)
    assert not padded[len(wanted) :].any()
    with pytest.raises(InvalidArgumentError, match="above 0, got 8000 and 0"):
        SoundDataset(corpus, 8000, seconds=0)


def test_a_slice_is_a_data_set_of_its_items(sounds: Path) -> None:
    clips = SoundDataset(soundloom.corpora.load(sounds), 8000, seconds=0.5)
    some = clips[1:6:2]
    assert [item["index"] for item in some] == [1, 3, 5]
    np.testing.assert_array_equal(some[1]["waveform"].numpy(), clips[3]["waveform"].numpy())
    assert len(clips[-2:]) == 2
    assert clips[-1]["index"] == len(clips) - 1
    with pytest.raises(IndexError):
        clips[1000]


def test_what_no_data_set_can_be_made_of_is_named(sounds: Path, tmp_path: Path) -> None:
    from soundloom.integrations.hf_datasets import from_dataset, to_dataset

    for given, kind in ((str(sounds), "str"), ([], "list"), (None, "NoneType")):
        message = rf"source is a {kind}: give a corpus, soundloom\.corpora\.load"
        with pytest.raises(InvalidArgumentError, match=message):
            SoundDataset(given, 8000)  # type: ignore[arg-type]
        with pytest.raises(InvalidArgumentError, match=message):
            to_dataset(given)  # type: ignore[arg-type]
        with pytest.raises(CorpusError, match=rf"this is a {kind}: give a datasets\.Dataset"):
            from_dataset(given, tmp_path)
    corpus = soundloom.corpora.load(sounds)
    for rate, seconds in (("8000", None), (None, None), (8000, "2"), (0, None)):
        with pytest.raises(InvalidArgumentError, match=f"both above 0, got {rate!r} and {seconds!r}"):
            SoundDataset(corpus, rate, seconds=seconds)  # type: ignore[arg-type]


def test_several_labels_are_a_row_of_zeros_and_ones(sounds: Path) -> None:
    paths = sorted(str(path) for path in sounds.rglob("*.flac"))[:2]
    corpus = Corpus(
        name="two", root=sounds, task="multi-label", classes=("a", "b"), table=clip_table(paths, [["b"], ["a", "b"]])
    )
    clips = SoundDataset(corpus, 8000, seconds=0.5)
    assert torch.stack([clips[row]["target"] for row in range(2)]).tolist() == [[0, 1], [1, 1]]


def test_a_library_in_batches_with_its_embeddings(library: Library) -> None:
    segments = SoundDataset(library, library.model.sample_rate)
    assert len(segments) == len(library)
    item = segments[len(segments) - 1]
    wanted = library.model.embed_samples(item["waveform"].numpy())
    np.testing.assert_array_equal(item["target"].numpy(), wanted)
    assert segments.rows.slice(item["index"], 1)["tags"].to_pylist() == [["wet"]]
    (batch,) = DataLoader(SoundDataset(library, 8000, seconds=0.5), batch_size=100)
    assert batch["target"].shape == (len(library), library.model.dim)


@pytest.mark.parametrize("embed_sounds", [False, True])
def test_a_corpus_comes_back_from_a_hugging_face_dataset(sounds: Path, tmp_path: Path, embed_sounds: bool) -> None:
    from soundloom.integrations.hf_datasets import from_dataset, to_dataset

    corpus = soundloom.corpora.load(sounds).with_grouped_splits((0.5, 0.2, 0.3), seed=0)
    dataset = to_dataset(corpus, embed_sounds=embed_sounds)
    assert dataset.features["labels"].names == list(corpus.classes)
    again = from_dataset(dataset, tmp_path / "sounds")
    assert again.classes == corpus.classes
    columns = ["start", "end", "labels", "tags", "split", "fold", "group"]
    assert again.table.select(columns).equals(corpus.table.select(columns))
    pairs = list(zip(again.column("path"), corpus.column("path"), strict=True))
    assert all(Path(mine).read_bytes() == Path(theirs).read_bytes() for mine, theirs in pairs)
    assert (tmp_path / "sounds").exists() == embed_sounds
    assert all((Path(mine).parent == tmp_path / "sounds") == embed_sounds for mine, _ in pairs)


def test_a_library_as_a_hugging_face_dataset(library: Library) -> None:
    from soundloom.integrations.hf_datasets import to_dataset

    dataset = to_dataset(library)
    assert len(dataset) == len(library)
    wanted = library.rows(["embedding"])["embedding"].to_pylist()
    np.testing.assert_array_equal(np.array(dataset["embedding"], np.float32), np.array(wanted, np.float32))


def test_a_library_comes_back_with_its_tags_as_labels(library: Library, tmp_path: Path) -> None:
    from soundloom.integrations.hf_datasets import from_dataset, to_dataset

    again, stored = from_dataset(to_dataset(library), tmp_path), library.to_arrow()
    assert again.task == "multi-label"
    assert again.classes == ("wet",)
    for mine, theirs in (("labels", "tags"), ("path", "path"), ("start", "start"), ("end", "end")):
        assert again.column(mine) == stored[theirs].to_pylist()
    bare = to_dataset(library).remove_columns("tags")
    with pytest.raises(CorpusError, match=r"which column has the classes\? No row has any in category\. Give label="):
        from_dataset(bare, tmp_path)


def test_rows_that_are_not_whole_are_named(sounds: Path, tmp_path: Path) -> None:
    import datasets

    from soundloom.integrations.hf_datasets import from_dataset

    def rows(audio: list[object], labels: list[object], **features: object) -> datasets.Dataset:
        made = datasets.Dataset.from_dict({"audio": audio, "label": labels})
        return made.cast_column("label", features["label"]) if features else made

    here = sorted(str(path) for path in sounds.rglob("*.flac"))[:2]
    with pytest.raises(CorpusError, match=r"row 1 of the data set has no class in 'label': leave such rows out"):
        from_dataset(rows(here, ["a", None]), tmp_path)
    with pytest.raises(CorpusError, match=r"row 0 of the data set has no class in 'label'"):
        from_dataset(rows(here, [-1, 0], label=datasets.ClassLabel(names=["a", "b"])), tmp_path)
    with pytest.raises(CorpusError, match=r"1 of 2 files are missing, the first is '.*missing\.wav' of row 1: "):
        from_dataset(rows([here[0], "missing.wav"], ["a", "b"]), tmp_path)
    samples = np.random.default_rng(0).uniform(-1, 1, 800).astype(np.float32)
    arrays = rows([samples.tolist()], ["a"])
    with pytest.raises(CorpusError, match="row 0 of the data set is an array of samples without its rate: give sample"):
        from_dataset(arrays, tmp_path)
    corpus = from_dataset(arrays, tmp_path, sample_rate=8000)
    np.testing.assert_array_equal(audio.read(corpus.column("path")[0], 8000), samples)


def test_a_dataset_made_in_memory_becomes_a_corpus(tmp_path: Path) -> None:
    import datasets

    from soundloom.integrations.hf_datasets import from_dataset

    def rows(seed: int) -> datasets.Dataset:
        samples = np.random.default_rng(seed).uniform(-1, 1, (2, 800)).astype(np.float32)
        sounds = [{"array": one, "sampling_rate": 8000} for one in samples]
        return datasets.Dataset.from_dict({"audio": sounds, "category": ["dog", "cat"]})

    corpus = from_dataset(datasets.DatasetDict(train=rows(0), validation=rows(1)), tmp_path)
    assert corpus.task == "single-label"
    assert corpus.classes == ("cat", "dog")
    assert corpus.column("split") == ["train", "train", "valid", "valid"]
    decoded = audio.read(corpus.column("path")[2], 8000)
    np.testing.assert_array_equal(decoded, np.float32(rows(1)[0]["audio"]["array"]))
    lists = datasets.Dataset.from_dict({"sound": corpus.column("path"), "events": [["a"], ["a", "b"], [], ["b"]]})
    several = from_dataset(lists, tmp_path, audio="sound", label="events")
    assert several.task == "multi-label"
    assert several.column("labels") == [["a"], ["a", "b"], [], ["b"]]
    with pytest.raises(CorpusError, match="no column 'audio': give audio="):
        from_dataset(lists, tmp_path)
    with pytest.raises(CorpusError, match="which column has the classes"):
        from_dataset(lists, tmp_path, audio="sound")
    silent = datasets.Dataset.from_dict({"audio": [{"path": None, "bytes": None}], "label": ["a"]})
    with pytest.raises(CorpusError, match="row 0 of the data set has no sound"):
        from_dataset(silent, tmp_path)
