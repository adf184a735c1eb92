"""The map as a folder: its points, sounds and page, and a browser that opens it from the disk."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.browser import CHROMIUM
from helpers.command_line import run
from helpers.quick_map import without_umap
from soundloom.errors import InvalidArgumentError, LibraryError
from soundloom.integrations.static_map import export_map
from soundloom.library import Library, Map
from soundloom.synth import write_set


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("static")
    write_set(folder / "sounds", count=2)
    (folder / "sounds" / "<b>&.wav").write_bytes((folder / "sounds" / "bell" / "bell-00.wav").read_bytes())
    library = Library.create(folder / "sounds.loom", "mfcc")
    library.add(folder / "sounds")
    return library


@pytest.fixture(scope="module")
def made(library: Library) -> Map:
    points = np.random.default_rng(0).normal(size=(len(library), 2)).astype(np.float32)
    clusters = np.arange(len(library)) % 3
    return Map(points, clusters, ("one", "two", "three"), {"mfcc": 1.0}, library.index().version)


@pytest.fixture(scope="module")
def exported(library: Library, made: Map, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "mapped"
    assert export_map(library, made, folder, seconds=0.5) == {}
    return folder


def data(folder: Path) -> dict[str, object]:
    text = (folder / "map.js").read_text("utf-8")
    assert "<" not in text
    found: dict[str, object] = json.loads(text.removeprefix("const MAP = ").removesuffix(";\n"))
    return found


def test_every_point_has_its_sound(exported: Path, library: Library, made: Map) -> None:
    points = data(exported)["points"]
    assert isinstance(points, list)
    assert [point["name"] for point in points] == [Path(path).name for path in library.files()]
    assert [point["cluster"] for point in points] == made.clusters.tolist()
    for point in points:
        info = soundfile.info(exported / "sounds" / f"{point['id']}.mp3")
        assert info.channels == 1
        assert 0.3 < info.duration < 0.7
    assert str(library.folder.parent) not in (exported / "map.js").read_text("utf-8")


def test_a_sample_is_spread_evenly_and_replaces_an_earlier_export(library: Library, made: Map, tmp_path: Path) -> None:
    for most in (len(made), 5):
        export_map(library, made, tmp_path / "mapped", most=most, seconds=0.2)
        points = data(tmp_path / "mapped")["points"]
        assert isinstance(points, list)
        assert len(points) == len(list((tmp_path / "mapped" / "sounds").iterdir())) == most
    assert points[0]["name"] == Path(library.files()[0]).name
    assert points[-1]["name"] == Path(library.files()[-1]).name


def test_other_files_are_not_touched_and_lost_sounds_are_named(library: Library, made: Map, tmp_path: Path) -> None:
    (tmp_path / "diary.txt").write_text("mine")
    with pytest.raises(LibraryError, match="holds other files"):
        export_map(library, made, tmp_path)
    with pytest.raises(InvalidArgumentError, match="above 0"):
        export_map(library, made, tmp_path / "new", seconds=0)
    lost = Path(library.files()[3])
    content = lost.read_bytes()
    lost.unlink()
    try:
        assert list(export_map(library, made, tmp_path / "new", seconds=0.2)) == [str(lost)]
    finally:
        lost.write_bytes(content)
    points = data(tmp_path / "new")["points"]
    assert isinstance(points, list)
    assert [point["sound"] for point in points].count(False) == 1


def test_the_command_writes_it(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    without_umap(monkeypatch)
    result = run("map", "-l", library.folder, "--page", tmp_path / "mapped")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "mapped" / "index.html").is_file()
    assert "written to" in result.stderr


@pytest.fixture
def page(exported: Path) -> Iterator[object]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        opened = browser.new_page()
        faults: list[str] = []
        opened.on("pageerror", lambda error: faults.append(str(error)))
        opened.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        opened.on("request", lambda asked: None if asked.url.startswith("file:") else faults.append(asked.url))
        opened.goto((exported / "index.html").as_uri())
        yield opened
        assert faults == []
        browser.close()


@pytest.mark.slow
@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium here")
def test_a_browser_opens_it_from_the_disk(page: object, made: Map) -> None:
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import Page

    assert isinstance(page, Page)
    assert page.title() == "Map of sounds"
    assert page.get_by_text(f"{len(made)} of {len(made)} sounds").is_visible()
    assert page.get_by_role("button", name="<b>&.wav").is_visible()
    page.get_by_label("Find by name, tag or cluster").fill("siren")
    assert page.get_by_text(f"2 of {len(made)} sounds").is_visible()
    page.get_by_role("button", name="siren-00.wav").click()
    assert page.get_by_role("heading", name="Nearest on the map").is_visible()
    page.wait_for_function("player.readyState >= 2 && !player.error")
    assert Axe().run(page).response["violations"] == []
