"""What comes in and what is made of files: uploads, the processes that decode, ranges of an answer."""

from __future__ import annotations

import asyncio
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from helpers.malformed_files import HOSTILE, Hostile
from helpers.server import API, RATE, by_name, made_library, refused, served, write_sound
from soundloom.errors import AudioError
from soundloom.library import Library
from soundloom.server import ServerSettings, create_app
from soundloom.server.http.range_response import parse_range
from soundloom.server.media.decode_pool import DecodePool, DecodeTimeout
from soundloom.server.media.media_types import playable
from sounds import tone, write_with_av


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return made_library(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def client(library: Library, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    with served(library, tmp_path_factory.mktemp("cache"), upload_seconds=30) as client:
        yield client


def upload(client: TestClient, content: bytes, name: str = "query.wav") -> Any:
    return client.post(f"{API}/uploads", files={"file": (name, content)})


def silence(container: str, seconds: int) -> bytes:
    """A file far smaller than its sound."""
    file = io.BytesIO()
    with soundfile.SoundFile(file, "w", 8000, 1, format=container) as out:
        for _ in range(seconds // 10):
            out.write(np.zeros(80_000, np.float32))
    return file.getvalue()


def test_an_upload_is_searched_by_like_a_file_of_the_library(client: TestClient, library: Library) -> None:
    one = by_name(client, "high-2.flac")
    brought = upload(client, Path(one["path"]).read_bytes(), "mine.flac")
    assert brought.status_code == 201
    about = brought.json()
    assert (about["name"], about["duration"], len(about["peaks"])) == ("mine.flac", pytest.approx(0.6), 38)
    hits = client.get(f"{API}/search", params={"upload": about["upload"], "k": 3}).json()["hits"]
    assert hits[0]["id"] == one["id"]
    assert hits[0]["similarity"] == pytest.approx(1, abs=1e-5)
    region = client.get(f"{API}/search", params={"upload": about["upload"], "start": 0.1, "end": 0.4, "k": 3}).json()
    expected = library.search(one["path"], 3, start=0.1, end=0.4, include_query=True)
    assert [hit["path"] for hit in region["hits"]] == [hit.path for hit in expected]
    assert [hit["similarity"] for hit in region["hits"]] == pytest.approx(
        [hit.similarity for hit in expected], abs=1e-5
    )
    outside = client.get(f"{API}/search", params={"upload": about["upload"], "start": 7})
    refused(outside, 422, "unreadable")
    assert "'mine.flac'" in outside.text
    assert "soundloom-uploads" not in outside.text


def test_an_upload_is_embedded_once_for_each_region(
    client: TestClient, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded = []
    embed = library.model.embed
    monkeypatch.setattr(
        library.model, "embed", lambda *asked, **region: embedded.append(region) or embed(*asked, **region)
    )
    brought = upload(client, Path(by_name(client, "low-0.wav")["path"]).read_bytes()).json()["upload"]
    for weights in ("logmel:1", "logmel:2", "mfcc:0"):
        for region in ({}, {"start": 0.1, "end": 0.3}):
            client.get(f"{API}/search", params={"upload": brought, "weights": weights, **region})
    assert len(embedded) == 2


def test_an_upload_is_played_and_forgotten(client: TestClient, tmp_path: Path) -> None:
    content = write_sound(tmp_path / "a.wav", 300).read_bytes()
    one = upload(client, content).json()["upload"]
    answer = client.get(f"{API}/uploads/{one}/audio", headers={"Range": "bytes=0-9"})
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (206, content[:10], "audio/wav")
    recorded = write_with_av(tmp_path / "a.webm", tone(300, 48000, 0.5)[None], 48000, "libopus").read_bytes()
    other = upload(client, recorded, "recording.webm").json()["upload"]
    answer = client.get(f"{API}/uploads/{other}/audio")
    assert answer.headers["content-type"] == "audio/flac"
    assert len(soundfile.read(io.BytesIO(answer.content))[0]) / 48000 == pytest.approx(0.5, abs=0.05)
    assert client.delete(f"{API}/uploads/{one}").status_code == 204
    refused(client.get(f"{API}/uploads/{one}/audio"), 404, "no_upload")
    refused(client.delete(f"{API}/uploads/{one}"), 404, "no_upload")


BYTES = [one for one in HOSTILE if one.make is not os.mkfifo and one.outcome != "passed over"]


@pytest.mark.parametrize("hostile", BYTES, ids=[ascii(one.told)[:40] for one in BYTES])
def test_every_hostile_file_is_taken_or_refused(client: TestClient, tmp_path: Path, hostile: Hostile) -> None:
    if "leads" in hostile.told:
        pytest.skip("a link is no content")
    path = hostile.path(tmp_path)
    hostile.make(path)
    path.chmod(0o600)
    answer = upload(client, path.read_bytes(), hostile.told)
    # What is odd about a name alone does not matter here.
    if hostile.outcome == "embedded" or "utf-8" in hostile.told or hostile.told == "unreadable.wav":
        assert answer.status_code == 201, answer.text
    else:
        refused(answer, 415, "not_audio")


def test_bombs_are_refused_before_they_unfold(client: TestClient) -> None:
    for container, seconds in (("FLAC", 3600), ("OGG", 60), ("MP3", 60)):
        bomb = silence(container, seconds)
        assert len(bomb) < 2**19
        assert "30 s" in refused(upload(client, bomb), 413, "too_long")
    # A pipe's flac does not tell its length: it is counted while it is decoded.
    counted = bytearray(silence("FLAC", 60))
    counted[21] &= 0xF0
    counted[22:26] = bytes(4)
    refused(upload(client, bytes(counted)), 413, "too_long")


def test_uploads_are_bounded_in_size_time_and_number(library: Library, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", 300).read_bytes()
    with served(library, tmp_path / "a", upload_bytes=len(sound) - 1) as client:
        refused(upload(client, sound), 413, "too_large")
        refused(upload(client, bytes(200_000)), 413, "too_large")

        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield bytes(10_000)

        head = {"Content-Type": "multipart/form-data; boundary=x"}
        refused(client.post(f"{API}/uploads", content=endless(), headers=head), 413, "too_large")
    with served(library, tmp_path / "b", decode_wait=0.001) as client:
        refused(upload(client, sound), 408, "too_slow")
    with served(library, tmp_path / "c", uploads_kept=2) as client:
        first, *others = [upload(client, sound).json()["upload"] for _ in range(3)]
        refused(client.get(f"{API}/uploads/{first}/audio"), 404, "no_upload")
        assert all(client.get(f"{API}/uploads/{one}/audio").status_code == 200 for one in others)
        folder = client.app.state.service.uploads._folder
        assert len(list(folder.iterdir())) == 2
    assert not folder.exists()
    with served(library, tmp_path / "d", body_bytes=1000) as client:
        refused(client.post(f"{API}/tags/apply", json={"tag": "a", "add": ["0" * 16] * 100}), 413, "too_large")
        refused(client.post(f"{API}/tags/apply", headers={"Content-Length": "-5"}), 413, "too_large")


def test_an_application_that_serves_nobody_leaves_no_folder(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    create_app(library, ServerSettings(cache=tmp_path / "cache")).openapi()
    assert list(tmp_path.glob("soundloom-*")) == []


def test_an_upload_that_trickles_in_is_given_up(library: Library, tmp_path: Path) -> None:
    """Asked of the application itself: a test client cannot be slow."""
    told: list[dict[str, Any]] = []
    chunks = [b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n']

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.05)
        return {"type": "http.request", "body": chunks.pop() if chunks else b"a", "more_body": True}

    async def take(message: dict[str, Any]) -> None:
        told.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": f"{API}/uploads", "raw_path": f"{API}/uploads".encode(), "query_string": b"", "root_path": "",
        "headers": [(b"host", b"127.0.0.1"), (b"content-type", b"multipart/form-data; boundary=x")],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8765),
    }  # fmt: skip
    with served(library, tmp_path, upload_wait=0.3) as client:
        assert client.portal is not None
        # In the loop that the application was started in; a server has no other.
        client.portal.call(asyncio.wait_for, client.app(scope, trickle, take), 20)
    assert told[0]["status"] == 408
    # A server would go on taking, and throwing away, what comes after the answer.
    assert (b"connection", b"close") in told[0]["headers"]
    assert b"too_slow" in told[1]["body"]


def test_a_child_that_overruns_or_dies_is_replaced(tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", 300)
    pool = DecodePool(1)
    try:
        assert pool.do("codec", sound, timeout=30) == {"codec": "WAV PCM_16", "sample_rate": 16_000, "channels": 1}
        (before,) = pool.pids()
        with pytest.raises(DecodeTimeout, match=r"could not be decoded within 0\.001 s"):
            pool.do(
                "transcode",
                big_sound(tmp_path),
                timeout=0.001,
                out=str(tmp_path / "o"),
                start=0,
                end=None,
                container="FLAC",
            )
        assert not Path(f"/proc/{before}").exists()
        assert pool.do("codec", sound, timeout=30) == {"codec": "WAV PCM_16", "sample_rate": 16_000, "channels": 1}
        (after,) = pool.pids()
        os.kill(after, 9)
        with pytest.raises(AudioError, match="decoded it crashed"):
            pool.do("codec", sound, timeout=30)
        assert pool.do("codec", sound, timeout=30) == {"codec": "WAV PCM_16", "sample_rate": 16_000, "channels": 1}
    finally:
        pool.close()
    assert pool.pids() == []
    with pytest.raises(AudioError, match="the server is stopping"):
        pool.do("codec", sound, timeout=30)


def test_a_child_has_little_memory_to_waste(tmp_path: Path) -> None:
    pool = DecodePool(1, memory=2**29)
    path = big_sound(tmp_path)
    try:
        with pytest.raises(AudioError, match=r"more memory than there is|decoded it crashed"):
            pool.do(
                "picture",
                path,
                timeout=60,
                out=str(tmp_path / "o"),
                start=0,
                end=299,
                sample_rate=768_000,
                width=16,
                height=16,
                theme="dark",
            )
    finally:
        pool.close()


def big_sound(folder: Path) -> Path:
    """Five minutes of silence."""
    path = folder / "big.flac"
    path.write_bytes(silence("FLAC", 300))
    return path


def test_the_outline_of_a_long_segment_is_sampled(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    path.write_bytes(silence("FLAC", 1200))
    pool = DecodePool(1)
    try:
        pool.do(
            "picture",
            path,
            timeout=60,
            out=str(tmp_path / "o"),
            start=0,
            end=1200,
            sample_rate=RATE,
            width=64,
            height=32,
            theme="dark",
        )
    finally:
        pool.close()
    assert (tmp_path / "o").read_bytes()[8:12] == b"WEBP"


def test_ranges_agree_with_slices() -> None:
    content = bytes(range(20))
    for first in range(25):
        for last in range(first, 25):
            if first < 20:
                assert parse_range(f"bytes={first}-{last}", 20) == (first, min(20, last + 1))
            else:
                with pytest.raises(HTTPException, match="416"):
                    parse_range(f"bytes={first}-{last}", 20)
    for suffix in range(1, 25):
        begin, end = parse_range(f"bytes=-{suffix}", 20) or (0, 0)
        assert content[begin:end] == content[-suffix:]
    assert parse_range(None, 20) is None


def test_only_what_every_browser_plays_is_sent_as_it_is() -> None:
    assert playable("WAV PCM_16") == "audio/wav"
    assert playable("MP3 MPEG_LAYER_III") == "audio/mpeg"
    for other in ("WAV PCM_32", "WAV ALAW", "AIFF PCM_16", "mov,mp4,m4a,3gp,3g2,mj2 aac", "matroska,webm opus", ""):
        assert playable(other) is None
