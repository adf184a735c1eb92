"""A small library and the application that serves it, for the tests of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from starlette.testclient import TestClient

from soundloom.library import Library
from soundloom.server import ServerSettings, create_app

RATE = 16000
API = "/api/v1"
HOME = "http://127.0.0.1:8765"


def write_sound(
    path: Path, hertz: float, seconds: float = 0.6, *, container: str = "WAV", subtype: str = "PCM_16"
) -> Path:
    """A tone with harmonics that dies away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * RATE)) / RATE
    samples = sum(np.sin(2 * np.pi * hertz * n * times) / n for n in range(1, 5)) * np.exp(-2 * times)
    soundfile.write(path, 0.3 * samples, RATE, subtype, format=container)
    return path


def write_sounds(folder: Path) -> Path:
    """Twelve tones in two folders, one of them longer than a segment, one that browsers do not play, one broken."""
    for number in range(6):
        write_sound(folder / "low" / f"low-{number}.wav", 110 * 2 ** (number / 12))
        write_sound(folder / "high" / f"high-{number}.flac", 1760 * 2 ** (number / 12), container="FLAC")
    write_sound(folder / "low" / "long.wav", 200, seconds=4.5)
    write_sound(folder / "high" / "odd.aiff", 900, container="AIFF")
    (folder / "broken.wav").write_bytes(b"RIFF nothing")
    return folder


def made_library(folder: Path) -> Library:
    """The library of `write_sounds`, in windows of two seconds."""
    library = Library.create(folder / "sounds.loom", "logmel+mfcc", window=2.0, hop=2.0)
    library.add(write_sounds(folder / "sounds"))
    return library


@contextmanager
def served(library: Library, cache: Path, **settings: Any) -> Iterator[TestClient]:
    """A client of the application, as a program on the same machine."""
    told = ServerSettings(cache=cache, **settings)
    with TestClient(
        create_app(library, told), base_url=HOME, client=("127.0.0.1", 50000), raise_server_exceptions=False
    ) as client:
        yield client


def by_name(client: TestClient, name: str) -> dict[str, Any]:
    """The first segment of the file of that name."""
    hits = client.get(f"{API}/search", params={"k": 100}).json()["hits"]
    return next(hit for hit in hits if hit["name"] == name)


def refused(answer: Any, status: int, code: str) -> str:
    """Check that a request was refused in this way; the message."""
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    message = answer.json()["error"]["message"]
    assert isinstance(message, str)
    assert message
    return message


def search(client: TestClient, **asked: Any) -> list[str]:
    """The names of what a search finds."""
    answer = client.get(f"{API}/search", params=asked)
    assert answer.status_code == 200, answer.text
    return [hit["name"] for hit in answer.json()["hits"]]
