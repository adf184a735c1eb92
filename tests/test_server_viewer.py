"""What a viewer shows of a file: tiles on one scale, outlines, segments, regions to keep; and completions."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import matplotlib.image
import numpy as np
import pytest
import soundfile
from fastapi import FastAPI
from starlette.testclient import TestClient

from helpers.server import API, by_name, refused, served
from soundloom.library import Library
from soundloom.server.media import sound_files

RATE = 96_000
SECONDS = 100.0


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A library of one file of 100 s: 1 kHz at half scale, and from the middle on 30 kHz a tenth as loud."""
    folder = tmp_path_factory.mktemp("viewer")
    times = np.arange(round(SECONDS * RATE)) / RATE
    samples = 0.5 * np.sin(2 * np.pi * 1000 * times)
    samples[len(samples) // 2 :] = 0.05 * np.sin(2 * np.pi * 30_000 * times[len(samples) // 2 :])
    (folder / "sounds" / "night").mkdir(parents=True)
    soundfile.write(folder / "sounds" / "night" / "bat detector.wav", samples, RATE)
    library = Library.create(folder / "viewer.loom", "logmel", window=10.0, hop=10.0)
    library.add(folder / "sounds")
    with served(library, folder / "cache") as client:
        yield client


@pytest.fixture
def one(client: TestClient) -> dict[str, Any]:
    return by_name(client, "bat detector.wav")


def tile(client: TestClient, one: dict[str, Any], **details: Any) -> np.ndarray:
    """Brightness of a tile in the dark theme, the lowest frequencies first, ``[height, width]``."""
    answer = client.get(f"{API}/segments/{one['id']}/spectrogram.png", params={"width": 64, "height": 96, **details})
    assert answer.status_code == 200, answer.text
    picture: np.ndarray = matplotlib.image.imread(io.BytesIO(answer.content))[::-1, :, :3].sum(axis=2)
    assert picture.shape == (details.get("height", 96), details.get("width", 64))
    return picture


def test_tones_are_drawn_where_they_are(client: TestClient, one: dict[str, Any]) -> None:
    low, high = tile(client, one, start=10, end=20), tile(client, one, start=70, end=80)
    # 96 rows up to 48 kHz: 500 Hz each.
    assert set(low.argmax(axis=0)) <= {1, 2}
    assert set(high.argmax(axis=0)) <= {59, 60}
    mel = tile(client, one, start=10, end=20, scale="mel", high=8000)
    expected = 96 * np.log1p(1000 / 700) / np.log1p(8000 / 700)
    assert abs(float(np.median(mel.argmax(axis=0))) - expected) < 1.5


def test_tiles_fit_together_and_sampled_ones_too(client: TestClient, one: dict[str, Any]) -> None:
    loud, faint = (tile(client, one, start=at, end=at + 10).max() for at in (10, 70))
    assert loud > faint  # one scale for both: 20 dB apart
    whole = tile(client, one, start=0, end=100)  # too long to be read whole
    assert whole[:, 5].argmax() in (1, 2)
    assert whole[:, 58].argmax() in (59, 60)
    assert whole[:, 5].max() == pytest.approx(loud, abs=0.1)
    assert tile(client, one, start=70, end=80, gain=20).max() == pytest.approx(loud, abs=0.1)


def test_nothing_is_drawn_above_half_the_rate(client: TestClient, one: dict[str, Any]) -> None:
    picture = tile(client, one, start=0, end=1, high=96_000)
    assert np.ptp(picture[50:]) == 0


def test_an_outline_has_the_least_and_greatest_samples(client: TestClient, one: dict[str, Any]) -> None:
    about = client.get(f"{API}/segments/{one['id']}/outline", params={"start": 45, "end": 55, "points": 10}).json()
    assert np.allclose(about["greatest"], [0.5] * 5 + [0.05] * 5, atol=2e-3)
    assert np.allclose(about["least"], [-0.5] * 5 + [-0.05] * 5, atol=2e-3)


def test_excerpts_of_a_long_stretch_are_decoded_once_for_every_look(
    client: TestClient, one: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = cast(FastAPI, client.app).state.service.files._pool
    tasks: list[str] = []
    do = pool.do

    def noted(task: str, *arguments: Any, **details: Any) -> dict[str, Any]:
        tasks.append(task)
        done: dict[str, Any] = do(task, *arguments, **details)
        return done

    monkeypatch.setattr(pool, "do", noted)
    stretch = {"start": 0, "end": 99, "excerpts": 20}
    for look in ({"gain": 0}, {"gain": 10}, {"scale": "mel"}, {"theme": "light"}):
        tile(client, one, **stretch, **look)
    about = client.get(f"{API}/segments/{one['id']}/outline", params=stretch).json()
    assert (tasks.count("excerpts"), tasks.count("region_picture"), len(about["greatest"])) == (1, 4, 20)
    assert np.allclose(about["greatest"], [0.5] * 10 + [0.05] * 10, atol=2e-3)
    assert np.allclose(about["least"], [-0.5] * 10 + [-0.05] * 10, atol=2e-3)


def test_what_another_version_of_the_code_drew_is_drawn_anew(
    client: TestClient, one: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = cast(FastAPI, client.app).state.service.files._pool
    tasks: list[str] = []
    do = pool.do
    monkeypatch.setattr(pool, "do", lambda task, *rest, **details: (tasks.append(task), do(task, *rest, **details))[1])
    for version, drawn in ((1, 1), (1, 1), (2, 2)):
        monkeypatch.setattr(sound_files, "_code_checksum", lambda version=version: version)
        tile(client, one, start=0, end=3, gain=1)
        assert tasks.count("region_picture") == drawn


def test_the_file_of_a_segment_has_all_its_segments(client: TestClient, one: dict[str, Any]) -> None:
    about = client.get(f"{API}/segments/{one['id']}/file").json()
    assert (about["duration"], about["sample_rate"], about["channels"]) == (100.0, RATE, 1)
    assert [segment["start"] for segment in about["segments"]] == [10.0 * n for n in range(10)]


def test_regions_and_files_are_kept_under_their_names(client: TestClient, one: dict[str, Any]) -> None:
    address = f"{API}/segments/{one['id']}/audio"
    region = client.get(address, params={"part": "region", "start": 49.5, "end": 50.5, "download": True})
    assert region.headers["content-disposition"] == "attachment; filename*=UTF-8''bat%20detector%2049.5-50.5%20s.wav"
    samples, rate = soundfile.read(io.BytesIO(region.content))
    assert len(samples) / rate == pytest.approx(1.0)
    assert np.abs(samples[: rate // 4]).max() > 5 * np.abs(samples[-rate // 4 :]).max()
    original = client.get(address, params={"part": "original", "download": True})
    assert original.content == Path(one["path"]).read_bytes()
    assert original.headers["content-disposition"].endswith("bat%20detector.wav")
    refused(client.get(address, params={"part": "region", "start": 2, "end": 1}), 422, "bad_query")


def test_a_text_is_completed_by_what_holds_it(client: TestClient, one: dict[str, Any]) -> None:
    assert client.post(f"{API}/tags/apply", json={"tag": "nightjar", "add": [one["id"]]}).status_code == 200

    def complete(text: str) -> list[tuple[str, str, int]]:
        found = client.get(f"{API}/complete", params={"text": text}).json()["completions"]
        return [(one["kind"], one["value"], one["count"]) for one in found]

    assert complete("NIGHT") == [("tag", "nightjar", 1)]
    assert complete("detect") == [("name", "bat detector", 1)]
    assert complete("nothing at all") == []
    assert complete("") == [("tag", "nightjar", 1)]


def test_a_name_finds_the_whole_file_and_the_first_segment_of_it(client: TestClient, one: dict[str, Any]) -> None:
    (found,) = client.get(f"{API}/find", params={"text": "detector"}).json()["files"]
    assert (found["id"], found["is_segment"], found["start"], found["end"]) == (one["id"], False, 0.0, 100.0)
    region = {"text": "detector", "like": one["id"], "start": 20, "end": 25, "weights": "logmel:2"}
    assert client.get(f"{API}/find", params=region).status_code == 200


def test_searches_are_saved_in_the_library(client: TestClient) -> None:
    saved = {"name": "bats at dusk", "query": "text=bat&field=hour:21"}
    assert client.post(f"{API}/searches", json=saved).status_code == 204
    assert client.get(f"{API}/searches").json() == {"searches": [saved]}
    assert client.delete(f"{API}/searches", params={"name": "bats at dusk"}).status_code == 204
    assert client.get(f"{API}/searches").json() == {"searches": []}
    assert client.delete(f"{API}/searches", params={"name": "bats at dusk"}).status_code in (404, 422)


def test_segments_are_exported_in_every_format_and_as_sounds(client: TestClient, one: dict[str, Any]) -> None:
    formats = {form["name"]: form["ending"] for form in client.get(f"{API}/export").json()["formats"]}
    assert {"sounds", "tracks", "csv", "raven", "json", "playlist"} <= set(formats)
    ids = [segment["id"] for segment in client.get(f"{API}/segments/{one['id']}/file").json()["segments"][2:4]]
    for name, ending in formats.items():
        answer = client.post(f"{API}/export", json={"ids": ids, "scores": [0.5, 0.25], "format": name})
        assert answer.status_code == 200, (name, answer.text)
        assert answer.headers["content-disposition"].endswith(f'{ending}"')
        assert answer.content
    table = client.post(f"{API}/export", json={"ids": ids, "scores": [0.5, 0.25], "format": "json"}).json()
    assert [(row["start"], row["score"]) for row in table] == [(20.0, 0.5), (30.0, 0.25)]
    packed = client.post(f"{API}/export", json={"ids": [*ids, ids[0]], "format": "sounds"}).content
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == [f"bat detector {name}.wav" for name in ("20-30 s", "30-40 s", "20-30 s (2)")]
        assert len(soundfile.read(io.BytesIO(archive.read(archive.namelist()[0])))[0]) / 48_000 == pytest.approx(10.0)
    message = refused(client.post(f"{API}/export", json={"ids": ids, "format": "midi"}), 422, "bad_query")
    assert "raven" in message
    refused(client.post(f"{API}/export", json={"ids": ids, "scores": [0.5], "format": "csv"}), 422, "bad_query")
