"""The library in two dimensions: neighbours stay neighbours, the map is kept, and says when it is stale."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from helpers.library_factory import DIM, append, clustered, filled
from soundloom.cli.map import command
from soundloom.errors import MissingExtraError, QueryError
from soundloom.library import Library, Map, MapProgress
from soundloom.library.map import umap_layout
from soundloom.library.map.cluster_labels import cluster_labels

needs_umap = pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
# What numba and its parts say of themselves is not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:umap", "ignore::Warning:numba")

KINDS, EACH = 5, 30


def silent(_phase: str, _share: float) -> None:
    """Nobody listens."""


def paths(kinds: int, each: int) -> list[str]:
    return [f"/s/kind{kind}/{number:02d}.wav" for kind in range(kinds) for number in range(each)]


def kinds_of(library: Library) -> np.ndarray:
    return np.array([path.split("/")[2] for path in library.index().rows["path"].to_pylist()])


def neighbours(points: np.ndarray, count: int = 5) -> np.ndarray:
    """The nearest other points of every point, by looking at all of them."""
    distances = np.linalg.norm(points[:, None].astype(np.float64) - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    return np.argsort(distances, axis=1)[:, :count]


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Library, Map, list[MapProgress]]:
    """The one run of UMAP that most tests look at."""
    if importlib.util.find_spec("umap") is None:
        pytest.skip("umap-learn is not installed")
    names = paths(KINDS, EACH)
    tags = {path: [path.split("/")[2][-1], "common"] for path in names}
    library = filled(tmp_path_factory.mktemp("map") / "l.loom", names, clustered(KINDS, EACH), tags=tags)
    told: list[MapProgress] = []
    return library, library.maps.get(progress=told.append), told


@pytest.mark.slow
def test_alike_sounds_lie_together(mapped: tuple[Library, Map, list[MapProgress]]) -> None:
    library, made, told = mapped
    kinds = kinds_of(library)
    assert made.coordinates.dtype == np.float32
    assert np.isfinite(made.coordinates).all()
    assert (kinds[neighbours(made.coordinates)] == kinds[:, None]).mean() > 0.95
    for kind in np.unique(kinds):
        assert np.bincount(made.clusters[kinds == kind]).max() > 0.95 * EACH
    shares = [reached.share for reached in told]
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1.0
    assert {"reading", "arranging", "finding clusters"} <= {reached.phase for reached in told}


@pytest.mark.slow
def test_a_map_is_the_same_every_time_and_kept(mapped: tuple[Library, Map, list[MapProgress]]) -> None:
    library, made, _ = mapped
    again = library.maps.get(recompute=True)
    assert (again.coordinates == made.coordinates).all()
    assert (again.clusters == made.clusters).all()
    opened = Library.open(library.folder)
    kept = opened.maps.kept({"left": 3, "right": 3})  # equal weights steer alike, whatever their size
    assert kept is not None
    assert (kept.coordinates == made.coordinates).all()
    assert (kept.names, kept.stale) == (made.names, False)
    assert opened.maps.kept({"left": 0}) is None


def test_weights_make_a_map_of_their_own(mapped: tuple[Library, Map, list[MapProgress]]) -> None:
    library, made, _ = mapped
    index = library.index()
    reported: list[tuple[str, float]] = []
    scale = np.zeros(DIM)
    scale[:6] = 1.0
    reduced = umap_layout.principal_components(index.vectors, scale, lambda *told: reported.append(told))
    assert reduced.shape == (len(library), 6)
    left = library.maps.get({"right": 0})
    assert left.weights == {"left": 1.0, "right": 0.0}
    assert not np.allclose(left.coordinates, made.coordinates)
    assert library.maps.kept({"right": 0.0}) is not None
    with pytest.raises(QueryError, match="weights below 0"):
        library.maps.get({"left": -1})
    with pytest.raises(QueryError, match="no part 'middle'"):
        library.maps.kept({"middle": 1})


def test_a_retagged_library_keeps_its_map_and_names_it_anew(mapped: tuple[Library, Map, list[MapProgress]]) -> None:
    library, made, _ = mapped
    edit = library.tags.add("special", library.index().segments.ids(np.flatnonzero(made.clusters == 1)))
    kept = library.maps.kept()
    assert kept is not None
    assert (kept.stale, (kept.coordinates == made.coordinates).all()) == (False, True)
    assert ["special" in name for name in kept.names] == [cluster == 1 for cluster in range(len(kept.names))]
    edit.revert()


def test_what_is_new_is_placed_among_its_neighbours(
    mapped: tuple[Library, Map, list[MapProgress]], tmp_path: Path
) -> None:
    import shutil

    library, made, _ = mapped
    copy = Library.open(shutil.copytree(library.folder, tmp_path / "copy.loom"))
    gone = [f"/s/kind2/{number:02d}.wav" for number in range(3)]
    copy._store.remove(gone)
    new = clustered(KINDS, EACH)[EACH * 4 : EACH * 4 + 4] + 0.01
    append(copy._store, [f"/s/kind4/new{number}.wav" for number in range(4)], new)
    told: list[MapProgress] = []
    kept = copy.maps.get(progress=told.append)
    assert (kept.placed, kept.gone, kept.stale, told) == (4, 3, True, [])
    names = copy.index().rows["path"].to_pylist()
    before = dict(zip(library.index().rows["path"].to_pylist(), made.coordinates.tolist(), strict=True))
    for name, point in zip(names, kept.coordinates.tolist(), strict=True):
        assert name not in before or point == before[name]
    new_rows = [row for row, name in enumerate(names) if "new" in name]
    assert (kinds_of(copy)[neighbours(kept.coordinates)[new_rows]] == "kind4").mean() > 0.9
    # More than half new: the old places mean little, and all is arranged anew.
    append(copy._store, [f"/s/kind9/{number:03d}.wav" for number in range(200)], clustered(1, 200, seed=3))
    fresh = copy.maps.get(progress=told.append)
    assert (fresh.stale, len(fresh), bool(told)) == (False, len(copy), True)


def test_who_follows_can_stop_it(mapped: tuple[Library, Map, list[MapProgress]]) -> None:
    library, made, _ = mapped

    def stop(reached: MapProgress) -> None:
        if reached.phase == "arranging" and reached.share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        library.maps.get(progress=stop, recompute=True)
    kept = library.maps.kept()
    assert kept is not None
    assert (kept.coordinates == made.coordinates).all()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 nonsense", None])
def test_a_damaged_map_is_computed_anew(tmp_path: Path, damage: bytes | None) -> None:
    library = filled(tmp_path / "l.loom", paths(1, 6), clustered(1, 6))
    made = library.maps.get()
    [file] = (tmp_path / "l.loom" / "map").glob("*.npz")
    if damage is None:
        np.savez(file, about=np.array([object()], dtype=object))  # a pickle, which must not be loaded
    else:
        file.write_bytes(damage)
    assert library.maps.kept() is None
    assert (library.maps.get().coordinates == made.coordinates).all()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 14])
def test_a_handful_of_sounds_lies_along_its_principal_components(tmp_path: Path, count: int) -> None:
    vectors = clustered(1, 14)[:count]
    library = filled(tmp_path / "l.loom", paths(1, 14), clustered(1, 14))
    library._store.remove(paths(1, 14)[count:])
    made = library.maps.get()
    assert (made.coordinates.shape, len(made.names)) == ((count, 2), min(count, 2))
    if count == 14:
        unit = vectors.astype(np.float64)
        for columns in (slice(0, 6), slice(6, 16)):
            unit[:, columns] /= np.linalg.norm(unit[:, columns], axis=1, keepdims=True) * np.sqrt(2)
        centred = unit - unit.mean(0)
        left, values, _ = np.linalg.svd(centred, full_matrices=False)
        np.testing.assert_allclose(np.abs(made.coordinates), np.abs(left[:, :2] * values[:2]), atol=1e-4)


def test_sounds_that_are_all_the_same_lie_in_one_place(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", paths(1, 40), np.ones((40, DIM), np.float32))
    made = library.maps.get()
    assert np.ptp(made.coordinates, axis=0).max() < 1e-5
    assert set(made.clusters.tolist()) == {0}


def test_principal_components_keep_distances() -> None:
    rng = np.random.default_rng(0)
    # Forty directions that matter in two hundred: all of them are kept.
    vectors = (rng.normal(size=(500, 40)) @ rng.normal(size=(40, 200))).astype(np.float32)
    scale = rng.uniform(0.5, 2, 200)
    reduced = umap_layout.principal_components(vectors, scale, silent)
    assert reduced.shape == (500, umap_layout.COMPONENTS)
    expected = np.linalg.norm((vectors[:50, None] - vectors[None, :50]) * scale, axis=2)
    got = np.linalg.norm(reduced[:50, None] - reduced[None, :50], axis=2)
    np.testing.assert_allclose(got, expected, rtol=1e-3, atol=1e-2)
    assert (np.diff(reduced.std(axis=0)[:40]) <= 1e-3).all()


@needs_umap
def test_beyond_the_anchors_the_rest_is_placed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(umap_layout, "ANCHORS", 100)
    vectors = clustered(4, 100)
    kinds = np.repeat(np.arange(4), 100)
    reduced = umap_layout.principal_components(vectors, np.ones(DIM), silent)
    phases: set[str] = set()
    points = umap_layout.umap_points(reduced, lambda phase, _share: phases.add(phase))
    assert "placing the rest" in phases
    assert (kinds[neighbours(points)] == kinds[:, None]).mean() > 0.95


def test_a_known_vector_is_placed_at_its_point_and_none_in_the_sea() -> None:
    rng = np.random.default_rng(0)
    known = clustered(2, 50)
    points = np.concatenate([rng.normal(size=(50, 2)), rng.normal(size=(50, 2)) + 100]).astype(np.float32)
    np.testing.assert_allclose(umap_layout.interpolate_points(known[:1], known[:1], points[:1], silent), points[:1])
    halfway = ((known[:50] + known[50:]) / 2).astype(np.float32)
    placed = umap_layout.interpolate_points(halfway, known, points, silent)
    assert np.minimum(np.linalg.norm(placed, axis=1), np.linalg.norm(placed - 100, axis=1)).max() < 5


def test_clusters_are_found_and_the_largest_comes_first() -> None:
    vectors = np.concatenate([clustered(1, 300, 0.05), clustered(2, 100, 0.05)[100:] + 5])
    labels = umap_layout.k_means(vectors, silent)
    sizes = np.bincount(labels)
    assert (np.diff(sizes) <= 0).all()
    assert not set(labels[:300].tolist()) & set(labels[300:].tolist())


def test_clusters_are_named_by_what_sets_them_apart() -> None:
    import pyarrow as pa

    rows = pa.table(
        {
            "path": ["/s/x/1.wav", "/s/x/2.wav", "/s/y/3.wav", "/s/y/4.wav", "/s/z/5.wav", "/s/z/6.wav"],
            "tags": pa.array([["dog", "all"], ["dog", "all"], ["all"], None, ["all"], ["all"]], pa.list_(pa.string())),
        }
    )
    assert cluster_labels(rows, np.array([0, 0, 1, 1, 2, 2])) == ("dog", "y", "z")
    assert cluster_labels(rows, np.array([0, 0, 0, 1, 0, 1])) == ("dog", "y")
    assert cluster_labels(rows, np.zeros(6, np.int64)) == ("unnamed 1",)
    assert cluster_labels(rows, np.zeros(6, np.int64), [("Dog, bark", "Rain")]) == ("Dog, Rain",)
    assert cluster_labels(rows.slice(0, 0), np.zeros(0, np.int64)) == ()
    twice = pa.table({"path": ["/p/a/1", "/q/a/2", "/r/b/3"], "tags": pa.array([[], [], []], pa.list_(pa.string()))})
    assert cluster_labels(twice, np.array([0, 1, 2])) == ("a", "a (2)", "b")
    # A folder names a cluster that has at least half of it there.
    three = pa.table({"path": [f"/s/{one}/1" for one in "abcd"], "tags": pa.array([[]] * 4, pa.list_(pa.string()))})
    assert cluster_labels(three, np.array([0, 0, 0, 1])) == ("unnamed 1", "d")
    # Of a folder that names several clusters, words of the names of files go before it; codes and numbers are none.
    names = ["/s/esc/rain_a1.wav", "/s/esc/rain2.wav", "/s/esc/12-dog.wav", "/s/esc/dog_x.wav", "/s/other/dog.wav"]
    words = pa.table({"path": names, "tags": pa.array([[]] * 5, pa.list_(pa.string()))})
    assert cluster_labels(words, np.array([0, 0, 1, 1, 2])) == ("rain", "dog", "other")


def test_only_the_latest_maps_are_kept(tmp_path: Path) -> None:
    library = filled(tmp_path / "l.loom", paths(1, 6), clustered(1, 6))
    for weight in range(1, 12):
        library.maps.get({"left": float(weight), "right": 1.0})
    assert len(list((tmp_path / "l.loom" / "map").glob("*.npz"))) == 8
    assert library.maps.kept({"left": 11}) is not None
    assert library.maps.kept({"left": 2}) is None


def test_without_umap_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = filled(tmp_path / "l.loom", paths(2, 20), clustered(2, 20))
    monkeypatch.setitem(sys.modules, "umap", None)
    monkeypatch.setitem(sys.modules, "umap.umap_", None)
    with pytest.raises(MissingExtraError, match=r"soundloom\[serve\]"):
        library.maps.get()


def test_the_command_draws_it(mapped: tuple[Library, Map, list[MapProgress]], tmp_path: Path) -> None:
    from PIL import Image

    library, made, _ = mapped
    out = tmp_path / "map.png"
    result = CliRunner().invoke(command, ["-l", str(library.folder), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert f"{len(library)} segments in {len(made.names)} clusters" in result.output
    with Image.open(out) as picture:
        assert picture.size == (1200, 1200)
        assert len(set(picture.convert("RGB").resize((200, 200)).getdata())) > 50
    told = CliRunner().invoke(command, ["-l", str(library.folder), "--json"])
    assert f'"segments": {len(library)}' in told.output
    assert CliRunner().invoke(command, ["-l", str(library.folder), "--out", "map.html"]).exit_code == 2
