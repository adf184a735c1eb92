"""Options of decoding, notices and names that are not UTF-8, through the server: as the library itself treats them."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

from helpers.server import API, by_name, refused, served
from soundloom.audio import DecodeOptions
from soundloom.library import Library

RATE = 48000
MODEL = "logmel+mfcc"


def tone(hertz: float, seconds: float = 1.0) -> np.ndarray:
    """A tone that dies away."""
    times = np.arange(round(RATE * seconds)) / RATE
    return 0.4 * np.sin(2 * np.pi * hertz * times) * np.exp(-2 * times)


def as_wav(channels: list[np.ndarray]) -> bytes:
    """Channels as a file."""
    file = io.BytesIO()
    soundfile.write(file, np.stack(channels, axis=1), RATE, format="WAV", subtype="FLOAT")
    return file.getvalue()


def filled(folder: Path, files: dict[str, bytes], **decoding: Any) -> Library:
    """A library of some files."""
    for name, data in files.items():
        path = folder / "sounds" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    library = Library.create(folder / "sounds.loom", MODEL, window=None, decoding=DecodeOptions(**decoding))
    library.add(folder / "sounds", workers=1)
    return library


def uploaded(client: TestClient, data: bytes) -> dict[str, Any]:
    """A sound brought as a query."""
    answer = client.post(f"{API}/uploads", files={"file": ("query.wav", data)})
    assert answer.status_code == 201, answer.text
    about: dict[str, Any] = answer.json()
    return about


def similarities(client: TestClient, **query: Any) -> dict[str, float]:
    """What a search finds: name -> similarity."""
    answer = client.get(f"{API}/search", params=query)
    assert answer.status_code == 200, answer.text
    return {hit["name"]: hit["similarity"] for hit in answer.json()["hits"]}


CASES = {
    "right.wav": {"channels": "right"},
    "slow.wav": {"speed": 0.25},
    "both.wav": {"channels": "right", "speed": 0.3},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_uploads_and_regions_are_decoded_as_the_files_of_the_library_are(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    one, other = as_wav([tone(300), tone(9000)]), as_wav([tone(9000), tone(300)])
    library = filled(
        tmp_path, {"one.wav": one, "other.wav": other, "low.wav": as_wav([tone(300), tone(300)])}, **options
    )
    with served(library, tmp_path / "cache") as client:
        about = uploaded(client, one)
        assert about["duration"] == pytest.approx(1.0, abs=1e-3)
        expected = {
            Path(hit.path).name: hit.similarity
            for hit in library.search(tmp_path / "sounds" / "one.wav", include_query=True)
        }
        assert expected["one.wav"] == pytest.approx(1, abs=1e-6)
        assert min(expected.values()) < 0.98
        assert similarities(client, upload=about["upload"]) == pytest.approx(expected, abs=1e-5)
        # A region in seconds of the file, of the upload and of the library's own file.
        expected = {
            Path(hit.path).name: hit.similarity
            for hit in library.search(tmp_path / "sounds" / "one.wav", start=0.2, end=0.6, include_query=True)
        }
        assert similarities(client, upload=about["upload"], start=0.2, end=0.6) == pytest.approx(expected, abs=1e-5)
        segment = by_name(client, "one.wav")["id"]
        found = similarities(client, like=segment, start=0.2, end=0.6)
        expected.pop("one.wav")
        assert found == pytest.approx(expected, abs=1e-5)


def test_what_is_played_and_outlined_is_the_channel_that_was_embedded(tmp_path: Path) -> None:
    silent = np.zeros(RATE)
    data = io.BytesIO()
    soundfile.write(data, np.stack([silent, tone(500)], axis=1), RATE, format="AIFF")
    library = filled(tmp_path, {"half.aiff": data.getvalue()}, channels="left", speed=0.5)
    with served(library, tmp_path / "cache") as client:
        segment = by_name(client, "half.aiff")["id"]
        about = client.get(f"{API}/segments/{segment}/peaks").json()
        assert about["duration"] == 1.0
        assert max(about["peaks"]) == 0
        sound, rate = soundfile.read(io.BytesIO(client.get(f"{API}/segments/{segment}/audio?part=segment").content))
        assert (len(sound), rate) == (RATE, RATE)
        assert np.abs(sound).max() == 0
        assert client.get(f"{API}/segments/{segment}/thumbnail.webp").status_code == 200


def test_a_slowed_upload_may_be_as_long_as_the_model_is_given_seconds(tmp_path: Path) -> None:
    library = filled(tmp_path, {"a.wav": as_wav([tone(300)])}, speed=0.1)
    with served(library, tmp_path / "cache", upload_seconds=20.0) as client:
        assert client.get(f"{API}/library").json()["upload_seconds"] == 2.0
        uploaded(client, as_wav([tone(300, 1.9)]))
        answer = client.post(f"{API}/uploads", files={"file": ("q.wav", as_wav([tone(300, 2.1)]))})
        assert "longer than 2 s" in refused(answer, 413, "too_long")


def test_an_upload_without_the_channel_of_the_library_is_refused_with_the_reason(tmp_path: Path) -> None:
    library = filled(tmp_path, {"a.wav": as_wav([tone(300)] * 3)}, channels="3")
    with served(library, tmp_path / "cache") as client:
        answer = client.post(f"{API}/uploads", files={"file": ("q.wav", as_wav([tone(300)] * 2))})
        assert "there is no channel 3 in it, only 2" in refused(answer, 415, "not_audio")


def test_notices_of_files_and_uploads_are_told(tmp_path: Path) -> None:
    cancelling = as_wav([tone(300), -tone(300)])
    library = filled(tmp_path, {"inverted.wav": cancelling, "sound.wav": as_wav([tone(300)])})
    with served(library, tmp_path / "cache") as client:
        assert client.get(f"{API}/library").json()["notices"] == 1
        (notice,) = client.get(f"{API}/notices").json()["notices"]
        assert (os.path.basename(notice["path"]), notice["code"]) == ("inverted.wav", "cancelled")
        assert "cancel each other" in notice["text"]
        assert uploaded(client, as_wav([tone(300)]))["notices"] == []
        assert uploaded(client, cancelling)["notices"] == [notice["text"]]
        assert "take one of them" in notice["text"]
        assert "with a library indexed with --channels" in notice["text"]
        assert by_name(client, "inverted.wav")["notices"] == [notice["text"]]
        found = client.get(f"{API}/find", params={"text": "inverted"}).json()["files"]
        assert [one["notices"] for one in found] == [[notice["text"]]]
        assert by_name(client, "sound.wav")["notices"] == []


def test_the_remedy_for_a_cut_upload_is_one_of_the_page(tmp_path: Path) -> None:
    whole = as_wav([tone(300)])
    library = filled(tmp_path, {"sound.wav": whole, "cut.wav": whole[: len(whole) // 2]})
    with served(library, tmp_path / "cache") as client:
        answer = client.post(f"{API}/uploads", files={"file": ("q.wav", whole[: len(whole) // 2])})
        remedy = "take what there is with a library indexed with --accept-truncated"
        assert remedy in refused(answer, 415, "not_audio")
        (failure,) = client.get(f"{API}/failures").json()["failures"]
        assert remedy in failure["reason"]
    assert "with DecodeOptions(accept_truncated=True)" in library.failures()[0].reason


@pytest.fixture
def oddly_named(tmp_path: Path) -> Iterator[TestClient]:
    """A library with a file in a folder whose names are not UTF-8, served."""
    if sys.platform != "linux":
        pytest.skip("file names are bytes on Linux alone")
    folder = os.fsencode(tmp_path) + b"/sounds/caf\xe9"
    os.makedirs(folder)
    with open(folder + b"/\xfcber.aiff", "wb") as file:
        soundfile.write(file, tone(400), RATE, format="AIFF")
    library = filled(tmp_path, {"plain/plain.wav": as_wav([tone(300)])})
    with served(library, tmp_path / "cache") as client:
        yield client


def test_every_route_of_a_segment_serves_names_that_are_not_utf8(oddly_named: TestClient) -> None:
    client = oddly_named
    hit = by_name(client, r"\xfcber.aiff")
    assert (hit["folder"], hit["absent"]) == (r"caf\xe9", False)
    assert r"caf\xe9" in [folder["name"] for folder in client.get(f"{API}/library").json()["folders"]]
    own = f"{API}/segments/{hit['id']}"
    assert client.get(own).json()["path"].endswith(r"/caf\xe9/\xfcber.aiff")
    for route in ("audio", "audio?part=segment", "thumbnail.webp", "peaks"):
        assert client.get(f"{own}/{route}").status_code == 200, route
    found = client.get(f"{API}/search", params={"like": hit["id"], "start": 0.1, "end": 0.5})
    assert [one["name"] for one in found.json()["hits"]] == ["plain.wav"]
    found = client.get(f"{API}/search", params={"folder": r"caf\xe9"})
    assert [one["name"] for one in found.json()["hits"]] == [r"\xfcber.aiff"]


def test_folders_that_are_not_utf8_can_be_indexed_again(oddly_named: TestClient, tmp_path: Path) -> None:
    client = oddly_named
    answer = client.post(f"{API}/index", json={"folders": [f"{tmp_path}/sounds/caf\\xe9"]})
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    while (state := client.get(f"{API}/jobs/{job}").json())["state"] == "running":
        pass
    assert (state["state"], state["message"].split(" moved")[0]) == ("done", "0 new, 0 changed, 0")


def test_a_token_indexes_folders_in_the_roots_whatever_their_names(oddly_named: TestClient, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "sounds" / "out").symlink_to(tmp_path / "elsewhere")
    library = Library.open(tmp_path / "sounds.loom")
    with served(library, tmp_path / "other", host="0.0.0.0", token="t" * 20) as client:
        client.headers["Authorization"] = f"Bearer {'t' * 20}"
        for folder in ("out", "../elsewhere", "../sounds2"):
            answer = client.post(f"{API}/index", json={"folders": [f"{tmp_path}/sounds/{folder}"]})
            refused(answer, 403, "not_here")
        answer = client.post(f"{API}/index", json={"folders": [f"{tmp_path}/sounds/caf\\xe9"]})
        assert answer.status_code == 202, answer.text
