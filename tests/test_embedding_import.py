"""Libraries of embeddings made elsewhere, and what a file of embeddings says of its model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from pyarrow import parquet

from helpers.command_line import run
from soundloom.errors import LibraryError
from soundloom.library import Library, LibraryQuery, QuerySound, embedding_import
from soundloom.library.embedding_import import import_embeddings
from soundloom.library.storage.store import Store


@pytest.fixture
def sounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four sounds of two segments of half a second."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    for name in "abcd":
        soundfile.write(tmp_path / "sounds" / f"{name}.wav", 0.1 * rng.normal(size=16000), 16000)
    return tmp_path / "sounds"


def test_how_sounds_were_decoded_comes_along(sounds: Path) -> None:
    assert run("embed", sounds, "-o", "slow.npz", "-m", "mfcc", "--speed", "0.5", "-j", "1").exit_code == 0
    assert run("import", "slow.npz", "-l", "slow.loom").exit_code == 0
    assert Library.open("slow.loom").settings.decoding.speed == 0.5


@pytest.mark.parametrize("ending", ["parquet", "npz", "csv"])
def test_what_embed_wrote_is_searched_as_if_it_had_been_indexed(sounds: Path, ending: str) -> None:
    out = f"e.{ending}"
    assert run("embed", sounds, "-o", out, "-m", "mfcc", "--window", "0.5", "-j", "1").exit_code == 0
    done = run("import", out, "-l", "imported.loom")
    assert (done.exit_code, done.stdout) == (0, "8 segments of 4 files: imported.loom\n"), done.stderr
    indexed = Library.create("indexed.loom", "mfcc", window=0.5)
    indexed.add(sounds, workers=1)
    imported = Library.open("imported.loom")
    assert imported.settings.fingerprint == indexed.settings.fingerprint
    assert imported.settings.decoding == indexed.settings.decoding
    soundfile.write("new.wav", 0.1 * np.random.default_rng(9).normal(size=8000), 16000)
    for query in (Path("new.wav"), sounds / "a.wav"):
        assert imported.search(query, k=8) == indexed.search(query, k=8)
    if ending == "parquet":
        about = json.loads(parquet.read_schema(out).metadata[b"soundloom"])
        assert (about["model"], about["window"], about["sample_rate"]) == ("mfcc", 0.5, indexed.model.sample_rate)


def test_which_parts_are_centred_comes_along(sounds: Path) -> None:
    assert run("embed", sounds, "-o", "e.npz", "-m", "loom", "-j", "1").exit_code == 0
    assert run("import", "e.npz", "-l", "imported.loom").exit_code == 0
    assert Library.open("imported.loom").settings.centred == ("pitch", "timbre", "texture", "general")
    with np.load("e.npz") as arrays:
        kept = dict(arrays)
    kept["about"] = np.array(json.dumps({**json.loads(str(kept["about"])), "centred": ["nobody"]}))
    np.savez("other.npz", **kept)
    with pytest.raises(LibraryError, match="nobody are centred, and its parts are pitch, timbre, texture, general"):
        import_embeddings("other.npz", "other.loom")


def test_embeddings_of_an_unknown_model_are_searched_by_their_own_sounds(sounds: Path) -> None:
    vectors = np.eye(4, 6, dtype=np.float32) + 0.1
    vectors[1] = vectors[0] + 0.01
    np.savez("x.npz", path=[f"sounds/{name}.wav" for name in "abcd"], embedding=vectors)
    assert import_embeddings("x.npz", "x.loom", "theirs") == (4, 4)
    library = Library.open("x.loom")
    assert library.totals() == (4, 4.0)
    remarks: list[str] = []
    found = library.find(LibraryQuery(like=(QuerySound(sounds / "a.wav"),)), remarks=remarks)
    assert [Path(match.path).stem for match in found][:1] == ["b"]
    assert "searched by the embeddings that the library holds" in remarks[0]
    assert run("search", "b.wav", "-l", "x.loom", "-k", "1").exit_code == 0
    soundfile.write("new.wav", np.random.default_rng(9).normal(size=8000) / 10, 8000)
    assert "'theirs'" in run("search", "--like", "new.wav", "-l", "x.loom").stderr


def test_tables_of_numbers_are_read(sounds: Path) -> None:
    Path("x.csv").write_text(
        ",path,start,end,one,two\n0,sounds/a.wav,0.5,1,3,4\n1,sounds/a.wav,0,0.5,1,2\n2,lost.wav,0,9,5,6\n"
    )
    assert import_embeddings("x.csv", "x.loom") == (2, 3)
    rows = Library.open("x.loom").rows(["path", "start", "duration", "embedding"])
    assert rows["start"].to_pylist() == [0, 0, 0.5]
    assert rows["duration"].to_pylist() == [9, 1, 1]
    assert rows["embedding"].to_pylist() == [[5, 6], [1, 2], [3, 4]]


def test_what_is_no_table_of_embeddings_is_refused(sounds: Path) -> None:
    parquet.write_table(pa.table({"path": ["a"], "vector": [[1.0]]}), "v.parquet")
    Path("t.csv").write_text("path,one\na.wav,much\n")
    Path("short.csv").write_text("path,one,two\na.wav,1\n")
    Path("twice.csv").write_text("path,one\na.wav,1\na.wav,2\n")
    np.savez("n.npz", path=["a"], embedding=np.full((1, 3), np.nan, np.float32))
    for name, message in (
        ("v.parquet", "path and embedding are needed"),
        ("t.csv", "cannot be read as embeddings: .* of 'one' could not convert string to float: 'much'"),
        ("short.csv", "it has 3 columns, and a row of 2"),
        ("twice.csv", "begin at the same second"),
        ("n.npz", "must be finite"),
        ("sounds/a.wav", "embeddings are read from"),
    ):
        with pytest.raises(LibraryError, match=message):
            import_embeddings(name, f"{name.replace('/', '')}.loom")
    Path("one.csv").write_text("path,one\na.wav,1\n")
    import_embeddings("one.csv", "one.loom")
    with pytest.raises(LibraryError, match="is not empty"):
        import_embeddings("one.csv", "one.loom")


def test_an_interrupted_import_leaves_no_library(sounds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.savez("x.npz", path=["a.wav", "b.wav"], embedding=np.eye(2))
    monkeypatch.setattr(embedding_import, "_COMMIT_ROWS", 1)
    append, calls = Store.append, []

    def interrupted(store: Store, rows: pa.Table) -> None:
        append(store, rows)
        calls.append(rows)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", interrupted)
        with pytest.raises(KeyboardInterrupt):
            import_embeddings("x.npz", "x.loom")
    assert len(calls) == 1
    assert not any(path.name.startswith("x.loom") for path in sounds.parent.iterdir())
    assert import_embeddings("x.npz", "x.loom") == (2, 2)
    assert len(Library.open("x.loom")) == 2
