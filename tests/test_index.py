"""The search index: exact against indexed, filters, weights, parts, ties, staleness, and its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from soundloom.errors import CacheDamagedError
from soundloom.library.search import similarity_cache
from soundloom.library.search.search_index import SearchIndex
from soundloom.library.search.similarity_cache import SimilarityCache
from soundloom.library.search.vector_index import index_builder, list_builder
from soundloom.library.search.vector_index.cells import top_rows
from soundloom.library.search.vector_index.index_files import read_manifest, write_manifest
from soundloom.library.search.vector_index.list_builder import build_lists, packed_codes
from soundloom.library.search.vector_index.part_lists import open_lists
from soundloom.library.search.vector_index.recall import RecallSample
from soundloom.library.storage.block_checksums import CheckedFile, FileChecksum
from soundloom.library.storage.store import Store
from soundloom.library.storage.table_schema import FileState, segment_rows, whole_column

PARTS = {"left": slice(0, 6), "right": slice(6, 16)}


@pytest.fixture(scope="module")
def embeddings() -> np.ndarray:
    """Clustered vectors with very different scales by column, as real features have."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(40, 16))
    vectors = centres[rng.integers(40, size=3000)] + 0.1 * rng.normal(size=(3000, 16))
    return (vectors * np.logspace(-2, 2, 16) - 30).astype(np.float32)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, embeddings: np.ndarray) -> Store:
    store = Store(tmp_path_factory.mktemp("store"), 16)
    order = np.random.default_rng(1).permutation(len(embeddings))
    for some in np.array_split(order, 3):
        tables = [
            segment_rows(FileState(f"/{row:05d}.wav", row, 0, ""), [0.0], [row / 100], embeddings[[row]], [["t"]])
            for row in some.tolist()
        ]
        store.append(pa.concat_tables(tables))
    return store


@pytest.fixture(scope="module", params=["exact", "cells", "codes", "lists"])
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, store: Store) -> SearchIndex:
    exact_bytes = 2**30 if request.param == "exact" else 0
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "codes":
            patch.setattr(index_builder, "build_cells", lambda *_: None)
        large_bytes = 0 if request.param == "lists" else None
        folder = tmp_path_factory.mktemp("index") / "index"
        return SearchIndex.build(folder, store, PARTS, exact_bytes=exact_bytes, large_bytes=large_bytes)


@pytest.fixture(autouse=True)
def few_rows_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lists of these small libraries are written some at a time."""
    monkeypatch.setattr(list_builder, "_ROWS_AT_ONCE", 1000)


def slow_search(
    embeddings: np.ndarray, query: np.ndarray, weights: dict[str, float], admitted: np.ndarray
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The formula of the index's docstring, row by row."""
    mean, deviation = embeddings.mean(0, dtype=np.float64), embeddings.std(0, dtype=np.float64)
    similarity, cosines = np.full(len(embeddings), -np.inf), np.zeros((len(embeddings), 2))
    q = (query - mean) / deviation
    for row in np.flatnonzero(admitted):
        x = (embeddings[row] - mean) / deviation
        for part, columns in enumerate(PARTS.values()):
            cosines[row, part] = q[columns] @ x[columns] / np.linalg.norm(q[columns]) / np.linalg.norm(x[columns])
        similarity[row] = sum(w * c for w, c in zip(weights.values(), cosines[row], strict=True))
        similarity[row] /= sum(abs(w) for w in weights.values())
    return np.argsort(-similarity, kind="stable").tolist(), similarity, cosines


@pytest.mark.parametrize(
    "weights", [{"left": 1, "right": 1}, {"left": 1, "right": 0}, {"left": 0, "right": 2}, {"left": 3, "right": -1}]
)
@pytest.mark.parametrize("share", [1.0, 0.6, 0.3, 0.02, 0.0])
def test_search_is_the_formula(
    index: SearchIndex, embeddings: np.ndarray, weights: dict[str, float], share: float
) -> None:
    rng = np.random.default_rng(5)
    admitted = rng.uniform(size=len(embeddings)) < share
    hits, rounding = 0, 5e-4 if index.has_lists else 2e-5
    for row in range(12):
        query = embeddings[row] + 0.05 * embeddings.std(0) * rng.normal(size=16).astype(np.float32)
        order, similarity, cosines = slow_search(embeddings, query, weights, admitted)
        found = index.search(query, 10, weights, admitted if share < 1 else None)
        assert len(found.rows) == min(10, admitted.sum())
        assert admitted[found.rows].all()
        hits += len(set(found.rows.tolist()) & set(order[:10]))
        np.testing.assert_allclose(found.similarity, similarity[found.rows], atol=rounding)
        for part, name in enumerate(PARTS):
            np.testing.assert_allclose(found.parts[name], cosines[found.rows, part], atol=rounding)
        assert (np.diff(found.similarity) <= 0).all()
    assert hits >= (0.9 if index.has_lists else 0.99) * 12 * min(10, admitted.sum())


def test_what_was_asked_before_changes_nothing(
    index: SearchIndex, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(8)
    asked = [
        (int(row), float(weight)) for row, weight in zip(rng.integers(4, size=40), rng.normal(size=40), strict=True)
    ]
    monkeypatch.setattr(similarity_cache, "_BYTES", 2 * index.vectors.shape[0] * len(PARTS) * 4)
    steered = SimilarityCache(index._vectors, PARTS)
    for row, weight in asked:
        query, weights = np.array(index.vectors[row], np.float32), {"left": weight, "right": 1.0}
        fresh = SimilarityCache(index._vectors, PARTS).weighted_similarity(query, weights)
        assert np.array_equal(steered.weighted_similarity(query, weights), fresh)
        assert len(steered._of_query) <= 2
    for row, weight in asked:
        weights = {"left": weight, "right": 1.0}
        found, again = (index.search(embeddings[row], 10, weights) for _ in range(2))
        assert np.array_equal(found.rows, again.rows)
        assert np.array_equal(found.similarity, again.similarity)


def test_rows_stand_in_the_order_of_their_paths(index: SearchIndex, store: Store, embeddings: np.ndarray) -> None:
    assert index.rows["path"].to_pylist() == [f"/{row:05d}.wav" for row in range(len(embeddings))]
    assert index.rows_of_file("/00042.wav").tolist() == [42]
    ids = np.concatenate([batch["_rowid"].to_numpy() for batch in store.scan(["start"], "size < 3", row_ids=True)])
    assert sorted(index.positions(ids).tolist()) == [0, 1, 2]


def test_columns_of_the_rows_are_used_where_they_are_mapped(index: SearchIndex) -> None:
    for name in ("path", "tags"):
        whole, (chunk,) = whole_column(index.rows, name), index.rows[name].chunks
        assert [one and one.address for one in whole.buffers()] == [one and one.address for one in chunk.buffers()]
    assert whole_column(pa.table({"a": pa.chunked_array([[1], [2]])}), "a").to_pylist() == [1, 2]


def test_cells_are_really_used(tmp_path: Path, store: Store) -> None:
    index = SearchIndex.build(tmp_path / "index", store, PARTS, exact_bytes=0)
    assert index.has_cells
    assert not SearchIndex.build(tmp_path / "index", store, PARTS, anew=True).has_cells


def test_codes_are_really_used_and_checked(
    tmp_path: Path, store: Store, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index_builder, "build_cells", lambda *_: None)
    index = SearchIndex.build(tmp_path / "index", store, PARTS, exact_bytes=0)
    assert (index.has_cells, index.has_codes) == (False, True)
    monkeypatch.setattr(index._search, "_best_of_all", None)
    most = np.arange(len(embeddings)) % 4 > 0
    for weights in ({"left": 1, "right": 1}, {"left": 2, "right": -1}):
        for mask in (None, most):
            assert len(index.search(embeddings[5], 10, weights, mask).rows) == 10
    file = tmp_path / "index" / "codes.faiss"
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    again = SearchIndex.open(tmp_path / "index", store)
    assert again is not None
    with pytest.raises(CacheDamagedError):
        again.search(embeddings[5], 10, {"left": 1, "right": 1})


def test_embeddings_are_restored_to_the_precision_of_the_index(
    index: SearchIndex, embeddings: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    if index.has_lists:  # half precision is too coarse
        return
    monkeypatch.setattr(index, "_store", None)  # they are not read from there
    restored = index.restored_embeddings(index.segments.at([3, 2000]))
    assert list(restored) == [("/00003.wav", 0.0), ("/02000.wav", 0.0)]
    assert np.allclose(np.stack(list(restored.values())), embeddings[[3, 2000]], rtol=1e-5, atol=1e-5)


def test_lists_are_really_used_and_checked(tmp_path: Path, store: Store, embeddings: np.ndarray) -> None:
    index = SearchIndex.build(tmp_path / "index", store, PARTS, large_bytes=0)
    assert (index.has_lists, index.has_cells, index.has_codes) == (True, False, False)
    assert index.vectors.dtype == np.float16
    assert len(list((tmp_path / "index").glob("lists-*"))) == len(PARTS)
    read: list[int] = []
    at = index._vectors.at
    index._vectors.at = lambda rows: read.append(len(rows)) or at(rows)  # type: ignore[method-assign]
    assert index.search(embeddings[5], 10, {"left": 1, "right": 1}).rows[0] == 5
    assert max(read) < 400
    if (maps := Path("/proc/self/maps")).exists():  # in the files, not in the memory of the process
        assert all(f"{tmp_path}/index/lists-{part}.bin" in maps.read_text() for part in range(len(PARTS)))
    for name in ("lists-1.bin", "vectors.npy", "cells.npz"):
        intact = (tmp_path / "index" / name).read_bytes()
        damaged = bytearray(intact)
        damaged[len(damaged) // 2] ^= 1
        (tmp_path / "index" / name).write_bytes(damaged)
        with pytest.raises(CacheDamagedError):
            SearchIndex.open(tmp_path / "index", store).check()  # type: ignore[union-attr]
        (tmp_path / "index" / name).write_bytes(intact)


@pytest.mark.parametrize("dim", [16, 15])
def test_lists_hold_every_row_once_in_each_part_and_compare_its_codes(tmp_path: Path, dim: int) -> None:
    rng = np.random.default_rng(3)
    vectors, parts = rng.normal(size=(2500, dim)).astype(np.float16), {"left": slice(0, 8), "right": slice(8, dim)}
    settings = build_lists(vectors, parts, np.arange(2500), tmp_path)
    arrays = dict(np.load(tmp_path / "cells.npz"))
    files = [CheckedFile(file, FileChecksum.of(file)) for file in sorted(tmp_path.glob("lists-*.bin"))]
    lists = open_lists(arrays, parts, files, settings)
    codewords = arrays["codewords"].reshape(-1, 16, 2)
    pairs = np.pad(vectors.astype(np.float32), ((0, 0), (0, dim % 2))).reshape(2500, -1, 1, 2)
    nearest = np.square(pairs - codewords).sum(axis=3).argmin(axis=2)
    decoded = codewords[np.arange(len(codewords)), nearest].reshape(2500, -1)[:, :dim]
    for weights in ({"left": 1, "right": 0}, {"left": 0, "right": 1}, {"left": 1, "right": 1}):
        query = rng.normal(size=dim).astype(np.float32)
        for name, columns in parts.items():
            query[columns] *= weights[name]
        found = lists.search(query, 2500, 1.0)
        assert sorted(found.tolist()) == list(range(2500))
        assert np.diff((decoded @ query)[found]).max() < 0.02 * np.abs(decoded @ query).max()  # of 8 bits a pair


def test_a_search_steered_by_one_part_scans_the_lists_of_that_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    centres = rng.normal(size=(2, 64, 8))
    own = rng.integers(64, size=(2, 6000))
    vectors = np.concatenate([centres[part, own[part]] for part in (0, 1)], axis=1) + 0.2 * rng.normal(size=(6000, 16))
    parts = {"left": slice(0, 8), "right": slice(8, 16)}
    shares = build_lists(vectors.astype(np.float16), parts, np.arange(6000), tmp_path)["shares"]
    # Neighbours by one part are in its own cluster, of 64, however the other part is.
    assert shares["one"][0] < 3 / 64
    assert shares["one"][0] < shares["all"][0] < 0.5


def test_codes_are_packed_as_faiss_packs_them() -> None:
    import faiss

    vectors = np.random.default_rng(0).normal(size=(100, 32)).astype(np.float32)
    index = faiss.IndexIVFPQFastScan(faiss.IndexFlatIP(32), 32, 1, 16, 4, faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False
    index.train(vectors)
    index.add(vectors)
    padded = np.zeros((128, 8), np.uint8)
    padded[:100] = index.pq.compute_codes(vectors)
    expected = faiss.rev_swig_ptr(faiss.downcast_InvertedLists(index.invlists).get_codes(0), padded.size)
    assert packed_codes(padded).tobytes() == expected.tobytes()


def sounds(numbers: range, embeddings: np.ndarray) -> list[pa.Table]:
    return [
        segment_rows(FileState(f"/{n:05d}.wav", n, 0, ""), [0.0, 1.0], [1.0, 2.0], embeddings[[n, n + 1]], [["t"]] * 2)
        for n in numbers
    ]


def test_the_index_of_a_large_library_follows_its_changes(tmp_path: Path, embeddings: np.ndarray) -> None:
    store = Store(tmp_path / "store", 16)
    store.append(pa.concat_tables(sounds(range(0, 1000, 2), embeddings)))
    SearchIndex.build(tmp_path / "index", store, PARTS, large_bytes=0)
    vectors = (tmp_path / "index" / "vectors.npy").stat().st_ino

    def check() -> SearchIndex:
        index = SearchIndex.build(tmp_path / "index", store, PARTS, large_bytes=0)
        assert (tmp_path / "index" / "vectors.npy").stat().st_ino == vectors
        anew = SearchIndex.build(tmp_path / "anew", store, PARTS, exact_bytes=2**30)
        assert index.rows.select(["path", "start", "tags"]).equals(anew.rows.select(["path", "start", "tags"]))
        some = np.arange(len(index)) % 3 > 0
        for row in range(0, 1000, 37):
            for mask in (None, some):
                found, expected = (
                    one.search(embeddings[row], 5, {"left": 2, "right": 1}, mask) for one in (index, anew)
                )
                np.testing.assert_allclose(found.similarity, expected.similarity, atol=0.03)
                np.testing.assert_allclose(found.similarity[:1], expected.similarity[:1], atol=3e-3)
        return index

    store.append(pa.concat_tables(sounds(range(1, 100, 2), embeddings)))
    assert check().has_lists
    assert "changes.npz" in {file.name for file in (tmp_path / "index").iterdir()}
    store.remove([f"/{n:05d}.wav" for n in range(0, 300, 30)])
    check()
    store.write_tags({("/00002.wav", 0.0): ["new"], ("/00005.wav", 1.0): []})
    index = check()
    assert index.rows["tags"].to_pylist()[index.rows_of_file("/00002.wav")[0]] == ["new"]
    store.compact()
    check()


def test_row_ids_of_another_store_are_no_reason_to_keep_vectors(tmp_path: Path, embeddings: np.ndarray) -> None:
    one, two = Store(tmp_path / "one", 16), Store(tmp_path / "two", 16)
    one.append(pa.concat_tables(sounds(range(200), embeddings)))
    two.append(pa.concat_tables(sounds(range(200), embeddings[::-1])))
    two.write_tags({("/00002.wav", 0.0): ["new"]})
    SearchIndex.build(tmp_path / "index", one, PARTS, large_bytes=0)
    index = SearchIndex.build(tmp_path / "index", two, PARTS, large_bytes=0)
    assert not (tmp_path / "index" / "changes.npz").exists()
    assert index.search(embeddings[-1], 1, {"left": 1, "right": 1}).similarity[0] > 0.999


def test_an_index_that_an_earlier_version_built_has_no_codes_and_no_norms(
    tmp_path: Path, store: Store, embeddings: np.ndarray
) -> None:
    built = SearchIndex.build(tmp_path, store, PARTS, exact_bytes=0)
    missing = ("codes.faiss", "norms.npy", "failures.arrow")
    manifest = read_manifest(tmp_path)
    assert manifest is not None
    known = {name: checksum for name, checksum in manifest.pop("files").items() if name not in missing}
    for name in ("index.json", *missing):
        (tmp_path / name).unlink()
    write_manifest(tmp_path, {key: value for key, value in manifest.items() if key not in ("codes", "format")}, known)
    index = SearchIndex.open(tmp_path, store)
    assert index is not None
    assert (index.has_cells, index.has_codes) == (True, False)
    assert np.array_equal(index.restored_embeddings(built.segments.at([7]))["/00007.wav", 0.0], embeddings[7])


def test_copies_of_one_sound_count_as_found(tmp_path: Path) -> None:
    vectors = np.tile(np.eye(4, dtype=np.float32), (500, 1))
    sample = RecallSample.draw(vectors, {"all": slice(0, 4)})
    copies = [np.flatnonzero(vectors[:, column]) for column in range(4)]
    assert sample.is_reached(lambda query, k: copies[int(query.argmax())][-k:])
    assert not sample.is_reached(lambda query, k: copies[int(query.argmin())][-k:])


def test_an_index_of_another_store_is_stale(tmp_path: Path) -> None:
    stores = [Store(tmp_path / name, 16) for name in ("one", "two")]
    for number, store in enumerate(stores):
        file = FileState(f"/{number}.wav", 1, 0, "")
        store.append(segment_rows(file, [0.0], [1.0], np.ones((1, 16), np.float32), [[]]))
    one, two = stores
    assert one.version == two.version
    SearchIndex.build(tmp_path / "index", one, PARTS)
    assert SearchIndex.open(tmp_path / "index", one) is not None
    assert SearchIndex.open(tmp_path / "index", two) is None
    assert SearchIndex.open(tmp_path / "nowhere", one) is None
    one.write_tags({("/0.wav", 0.0): ["t"]})
    assert SearchIndex.open(tmp_path / "index", one) is None
    (tmp_path / "index" / "index.json").write_text("{")
    with pytest.raises(CacheDamagedError, match=r"index\.json"):
        SearchIndex.open(tmp_path / "index", one)


def test_a_scan_comes_in_few_large_batches(tmp_path: Path, store: Store) -> None:
    joined = Store(tmp_path / "joined", 16)
    joined.append(pa.Table.from_batches(list(store.scan(joined._segments.schema.names))))
    for columns in (["start"], ["embedding"]):
        assert [batch.num_rows for batch in joined.scan(columns)] == [3000]


def test_of_equals_the_earlier_rows_win() -> None:
    similarity = np.array([0.5, 0.9, 0.5, 0.5, 0.1, 0.5], np.float32)
    assert top_rows(similarity, 3).tolist() == [1, 0, 2]
    assert top_rows(similarity, 6).tolist() == [1, 0, 2, 3, 5, 4]
    assert top_rows(similarity, 1).tolist() == [1]
