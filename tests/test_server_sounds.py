"""Sounds of a served library: files, ranges, pictures, peaks, and where they lie."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import matplotlib.image
import numpy as np
import pytest
import soundfile
from starlette.testclient import TestClient

import soundloom.server.media.reveal
import soundloom.server.service
from helpers.server import API, RATE, by_name, refused, served, write_sound
from soundloom.library import Library, segment_id


@pytest.fixture
def client(served_library: tuple[Library, TestClient]) -> TestClient:
    return served_library[1]


def test_a_file_that_browsers_play_comes_as_it_is(client: TestClient) -> None:
    one = by_name(client, "high-0.flac")
    answer = client.get(f"{API}/segments/{one['id']}/audio")
    assert (answer.headers["content-type"], answer.content) == ("audio/flac", Path(one["path"]).read_bytes())


def test_a_file_that_browsers_do_not_play_is_transcoded(client: TestClient) -> None:
    one = by_name(client, "odd.aiff")
    answer = client.get(f"{API}/segments/{one['id']}/audio")
    assert answer.headers["content-type"] == "audio/flac"
    heard, rate = soundfile.read(io.BytesIO(answer.content))
    kept, _ = soundfile.read(one["path"])
    assert rate == RATE
    np.testing.assert_array_equal(heard, kept)


def test_a_segment_alone_is_a_wav_of_its_stretch(client: TestClient) -> None:
    hits = client.get(f"{API}/search", params={"k": 100}).json()["hits"]
    second = [hit for hit in hits if hit["name"] == "long.wav"][1]
    answer = client.get(f"{API}/segments/{second['id']}/audio", params={"part": "segment"})
    assert answer.headers["content-type"] == "audio/wav"
    heard, _ = soundfile.read(io.BytesIO(answer.content))
    kept, _ = soundfile.read(second["path"], start=2 * RATE, stop=round(second["end"] * RATE))
    np.testing.assert_allclose(heard, kept, atol=1e-4)


def test_ranges_are_slices_of_the_file(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")
    address, whole = f"{API}/segments/{one['id']}/audio", Path(one["path"]).read_bytes()
    size = len(whole)
    for asked, first, last in (
        ("bytes=0-0", 0, 1),
        ("bytes=5-99", 5, 100),
        ("bytes=100-", 100, size),
        ("bytes=-7", size - 7, size),
        (f"bytes=-{10 * size}", 0, size),
        (f"bytes=10-{10 * size}", 10, size),
        ("Bytes = 3 - 4", 3, 5),
    ):
        answer = client.get(address, headers={"Range": asked})
        assert (answer.status_code, answer.content) == (206, whole[first:last]), asked
        assert answer.headers["content-range"] == f"bytes {first}-{last - 1}/{size}"
        assert answer.headers["content-length"] == str(last - first)
    for ignored in ("bytes=9-3", "bytes=a-b", "bytes=0-1,5-6", "lines=1-2", "bytes=-", "bytes=" + "9" * 400 + "-"):
        answer = client.get(address, headers={"Range": ignored})
        assert (answer.status_code, answer.content) == (200, whole), ignored
    for beyond in (f"bytes={size}-", "bytes=-0"):
        answer = client.get(address, headers={"Range": beyond})
        refused(answer, 416, "no_such_range")
        assert answer.headers["content-range"] == f"bytes */{size}"


def test_a_copy_is_not_sent_again_and_a_stale_range_not_mixed(client: TestClient) -> None:
    one = by_name(client, "low-0.wav")
    address = f"{API}/segments/{one['id']}/audio"
    etag = client.get(address).headers["etag"]
    assert client.get(address, headers={"If-None-Match": etag}).status_code == 304
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": etag}).status_code == 206
    assert client.get(address, headers={"Range": "bytes=0-1", "If-Range": '"another"'}).status_code == 200


def test_a_thumbnail_shows_where_the_tone_is(client: TestClient) -> None:
    low, high = by_name(client, "low-0.wav")["id"], by_name(client, "high-0.flac")["id"]
    pictures = {}
    for name, one in (("low", low), ("high", high)):
        answer = client.get(f"{API}/segments/{one}/thumbnail.webp", params={"width": 120, "height": 48})
        assert answer.headers["content-type"] == "image/webp"
        picture = matplotlib.image.imread(io.BytesIO(answer.content), format="webp")
        assert picture.shape[:2] == (48, 120)
        pictures[name] = picture[:, :60, :3].sum(axis=(1, 2))  # brightness of each line while the tone is loud
    assert pictures["low"].argmax() > pictures["high"].argmax()
    light, dark = (
        client.get(f"{API}/segments/{low}/thumbnail.webp", params={"theme": theme}).content
        for theme in ("light", "dark")
    )
    brightness = [matplotlib.image.imread(io.BytesIO(one), format="webp").mean() for one in (light, dark)]
    assert brightness[0] > brightness[1]
    assert len(dark) < 4000
    for bad in ({"width": 5}, {"height": 5000}, {"theme": "pink"}):
        refused(client.get(f"{API}/segments/{low}/thumbnail.webp", params=bad), 422, "invalid")


def test_peaks_are_the_loudest_samples_around(client: TestClient) -> None:
    one = by_name(client, "long.wav")
    told = client.get(f"{API}/segments/{one['id']}/peaks", params={"points": 4}).json()
    samples = np.abs(soundfile.read(one["path"])[0])
    assert told["duration"] == pytest.approx(4.5)
    bins = [chunk.max() for chunk in np.split(samples, range(256, len(samples), 256))]
    starts = np.linspace(0, len(bins), 4, endpoint=False).astype(int)
    expected = [max(bins[a:b]) for a, b in zip(starts, [*starts[1:], len(bins)], strict=True)]
    assert told["peaks"] == pytest.approx(expected, abs=1e-4)


def test_pictures_after_a_search_do_not_look_whether_the_library_has_changed(
    own_library: tuple[Library, TestClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = own_library
    ids = [hit["id"] for hit in client.get(f"{API}/search").json()["hits"]]
    looked: list[int] = []
    index = library.index
    monkeypatch.setattr(library, "index", lambda: (looked.append(1), index())[1])
    monkeypatch.setattr(soundloom.server.service, "_CATALOGUE_AGE", 1000.0)
    for one in ids:
        assert client.get(f"{API}/segments/{one}/thumbnail.webp").status_code == 200
    assert not looked
    # What is not known may be new.
    new = write_sound(Path(client.get(f"{API}/segments/{ids[0]}").json()["path"]).parent / "new.wav", 500)
    library.add(new)
    one = segment_id(str(new), 0.0, 0.6)
    assert client.get(f"{API}/segments/{one}/thumbnail.webp").status_code == 200
    monkeypatch.setattr(soundloom.server.service, "_CATALOGUE_AGE", 0.0)
    library._store.remove([str(new)])
    refused(client.get(f"{API}/segments/{one}/thumbnail.webp"), 404, "not_found")


def test_a_file_that_is_gone_or_changed_is_told_so(own_library: tuple[Library, TestClient]) -> None:
    _, client = own_library
    gone, changed, pipe = (by_name(client, f"low-{n}.wav") for n in range(3))
    Path(gone["path"]).unlink()
    Path(changed["path"]).write_text("not a sound any more")
    for address in ("audio", "audio?part=segment", "thumbnail.webp", "peaks"):
        refused(client.get(f"{API}/segments/{gone['id']}/{address}"), 404, "gone")
        refused(client.get(f"{API}/segments/{changed['id']}/{address}"), 422, "unreadable")
    Path(pipe["path"]).unlink()
    os.mkfifo(pipe["path"])
    refused(client.get(f"{API}/segments/{pipe['id']}/audio"), 422, "unreadable")
    # What it sounded like is in the library still.
    assert client.get(f"{API}/search", params={"like": gone["id"]}).status_code == 200


def test_the_folder_of_a_file_is_opened_here_and_only_for_this_machine(
    served_library: tuple[Library, TestClient], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library, client = served_library
    one = by_name(client, "low-0.wav")
    started: list[list[str]] = []
    monkeypatch.setattr(soundloom.server.media.reveal.sys, "platform", "linux")
    monkeypatch.setattr(soundloom.server.media.reveal.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setenv("DISPLAY", ":0")

    class Opener:
        status = 0

        def __init__(self, command: list[str], **_: object) -> None:
            started.append(command)

        def wait(self, _: float) -> int:
            return self.status

    monkeypatch.setattr(soundloom.server.media.reveal.subprocess, "Popen", Opener)
    address = f"{API}/segments/{one['id']}/reveal"
    assert client.get(f"{API}/library").json()["can_reveal"]
    assert client.post(address).status_code == 204
    assert started == [["xdg-open", str(Path(one["path"]).parent)]]
    monkeypatch.setattr(Opener, "status", 3)
    assert "could not open" in refused(client.post(address), 501, "not_opened")
    # A proxy on the same machine passes on requests from anywhere.
    with served(library, tmp_path, allowed_hosts=("sounds.lan",)) as other:
        for headers in ({"Host": "sounds.lan"}, {"X-Forwarded-For": "192.0.2.1"}):
            refused(other.post(address, headers=headers), 403, "not_here")
            assert not other.get(f"{API}/library", headers=headers).json()["can_reveal"]
    with served(library, tmp_path, host="0.0.0.0", token="t" * 20) as other:
        headers = {"Authorization": f"Bearer {'t' * 20}"}
        refused(other.post(address, headers=headers), 403, "not_here")
        assert not other.get(f"{API}/library", headers=headers).json()["can_reveal"]
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    refused(client.post(address), 501, "no_desktop")
    assert not client.get(f"{API}/library").json()["can_reveal"]


def test_a_zip_of_sounds_holds_what_is_there_and_names_the_rest(tmp_path: Path) -> None:
    files = [write_sound(tmp_path / "sounds" / f"{number}.wav", 300 + number) for number in range(3)]
    library = Library.create(tmp_path / "l.loom", "logmel")
    library.add(tmp_path / "sounds")
    ids = [segment.id for segment in library.index().browse(None, slice(None))[0]]
    files[1].unlink()
    with served(library, tmp_path / "cache") as client:
        answer = client.post(f"{API}/export", json={"ids": ids, "format": "sounds"})
        archive = zipfile.ZipFile(io.BytesIO(answer.content))
        assert sorted(archive.namelist()) == ["0.wav", "2.wav", "left out.txt"]
        assert f"{str(files[1])!r} is not there now" in archive.read("left out.txt").decode()
        files[0].unlink()
        files[2].unlink()
        refused(client.post(f"{API}/export", json={"ids": ids, "format": "sounds"}), 404, "gone")
