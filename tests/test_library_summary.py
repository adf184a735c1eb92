"""Summaries of libraries and hits: what they say, what they escape, and that they cost next to nothing."""

from __future__ import annotations

import html
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from helpers.library_factory import clustered, filled
from soundloom.embedder import Embedder
from soundloom.library import Hit, Hits, Library
from soundloom.library import hits as hits_module

EMBEDDINGS = clustered(2, 3)


@pytest.fixture
def sounds(tmp_path: Path) -> list[str]:
    """Five short files, and one that is gone whose name holds what HTML would take for markup."""
    names = ["a.wav", "b.wav", "c.wav", "d.wav", "e.aiff", 'gone<script>"&.wav']
    paths = [str(tmp_path / "sounds" / name) for name in names]
    (tmp_path / "sounds").mkdir()
    for path in paths[:5]:
        soundfile.write(path, 0.1 * np.ones(800), 8000)
    return paths


@pytest.fixture
def library(tmp_path: Path, sounds: list[str]) -> Library:
    return filled(tmp_path / "a&b.loom", sounds, EMBEDDINGS, tags={sounds[0]: ["<i>dog</i>", "rain"]})


def test_a_library_says_what_it_holds(library: Library) -> None:
    text = repr(library)
    assert text.startswith(f"<Library {str(library.folder)!r}, ")
    for fact in ("model: made-up", "files: 6", "segments: 6", "hours: 0.00"):
        assert fact in text
    assert "absent" not in text


def test_absent_roots_are_named(library: Library, tmp_path: Path) -> None:
    library._registry.remember([str(tmp_path / "sounds"), str(tmp_path / "drive")])
    assert repr(library).endswith(f"absent roots: {tmp_path / 'drive'}>")
    assert str(tmp_path / "drive") in library._repr_html_()
    assert str(tmp_path / "sounds") not in repr(library)


def test_a_library_that_is_gone_says_so(library: Library) -> None:
    shutil.rmtree(library.folder)
    assert "is no longer there" in repr(library)
    assert "is no longer there" in library._repr_html_()


def test_a_summary_is_escaped_and_loads_no_model(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Embedder, "embed", lambda *_, **__: pytest.fail("something was embedded"))
    monkeypatch.setattr(library._library_model, "_loader", lambda *_, **__: pytest.fail("the model was loaded"))
    table = library._repr_html_()
    assert html.escape(str(library.folder)) in table
    assert "a&b.loom" not in table
    assert table.count("<tr>") == 5
    repr(library)
    library.search_embedding(EMBEDDINGS[0], 6)._repr_html_()


def test_hits_are_a_list_and_a_table(library: Library, sounds: list[str]) -> None:
    hits = library.search_embedding(EMBEDDINGS[0], 6)
    assert isinstance(hits, list)
    assert hits[0].path == sounds[0]
    table = hits._repr_html_()
    assert table.count("<tr>") == 1 + 6
    for heading in ("similarity", "left", "right", "file", "region", "tags"):
        assert f"<th>{heading}</th>" in table
    assert "gone&lt;script&gt;&quot;&amp;.wav" in table
    assert "&lt;i&gt;dog&lt;/i&gt;, rain" in table
    assert "<script" not in table
    assert "<i>" not in table
    assert "<td>absent</td>" in table
    assert f"<td>{hits[0].similarity:.2f}</td>" in table


def test_small_files_that_browsers_play_get_a_player(library: Library, sounds: list[str]) -> None:
    table = library.search_embedding(EMBEDDINGS[0], 6)._repr_html_()
    assert table.count("<audio ") == 4  # not the AIFF, nor the one that is gone
    content = re.findall(r'src="data:audio/wav;base64,([A-Za-z0-9+/=]+)#t=0\.000,1\.000"', table)
    assert len(content) == 4
    assert not re.search(r"(src|href)=\"(?!data:)", table)


def test_the_players_of_a_table_have_a_budget(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    hits = library.search_embedding(EMBEDDINGS[0], 6)
    size = Path(hits[0].path).stat().st_size
    monkeypatch.setattr(hits_module, "_TABLE_BYTES", 2 * size + 1)
    assert hits._repr_html_().count("<audio ") == 2
    monkeypatch.setattr(hits_module, "_PLAYER_BYTES", size - 1)
    assert "<audio" not in hits._repr_html_()


def test_no_hits_are_an_empty_table() -> None:
    assert Hits()._repr_html_().count("<tr>") == 1


def test_a_hit_by_other_parts_leaves_no_gap(sounds: list[str]) -> None:
    one = Hit(sounds[0], 0.0, 1.0, 1.0, (), 0.5, {"left": 0.5})
    other = Hit(sounds[3], 0.0, 1.0, 1.0, (), 0.5, {})
    table = Hits([one, other])._repr_html_()
    cells = [row.count("<td>") for row in table.split("<tr>")[2:]]
    assert cells[0] == cells[1]
