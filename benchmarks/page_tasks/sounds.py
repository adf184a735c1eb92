"""The libraries over which the tasks are done: synthetic sounds with a long recording and copies, or a folder's."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile
import uvicorn

from soundloom.library import Library
from soundloom.server import ServerSettings, create_app
from soundloom.synth import render, write_set

RATE = 16_000
SECONDS = 150
RECORDING = "AM12_20240521_053000.flac"
"""Named as field recorders name their files: its date is read from that."""


def write_sounds(folder: Path, families: int = 3) -> Path:
    """Short sounds in folders of their kinds, a recording with a call every five seconds, two copies, a broken file."""
    write_set(folder, count=families)
    noise = np.random.default_rng(0).standard_normal(SECONDS * RATE).astype(np.float32) * 0.003
    call = render("bird", 0, sample_rate=RATE).samples[: 2 * RATE]
    for second in range(1, SECONDS - 5, 10):
        noise[second * RATE : second * RATE + len(call)] += call
    (folder / "field" / "2024-05").mkdir(parents=True)
    soundfile.write(folder / "field" / "2024-05" / RECORDING, noise, RATE)
    (folder / "backup").mkdir()
    shutil.copy(folder / "bell" / "bell-00.wav", folder / "backup" / "bell-of-old.wav")
    samples, rate = soundfile.read(folder / "siren" / "siren-00.wav")
    soundfile.write(folder / "backup" / "siren-of-old.flac", samples * 0.5, rate)
    (folder / "backup" / "broken.wav").write_bytes(b"RIFF nothing")
    soundfile.write(folder / "backup" / "silence.wav", np.zeros(RATE), RATE)
    return folder


@contextmanager
def served_libraries(folder: Path, base: Path | None = None) -> Iterator[str]:
    """The address of a server of two libraries: one of synthetic sounds or a copy, and a small one.

    Args:
        folder: empty, to be written into.
        base: a library whose copy is served.
    """
    if base is None:
        library = Library.create(folder / "collection.loom")
        library.add(write_sounds(folder / "sounds"))
    else:
        shutil.copytree(base, folder / "collection.loom")
        library = Library.open(folder / "collection.loom")
    (folder / "other").mkdir()
    for name in ("bell", "rain"):
        sound = render(name, 9)
        soundfile.write(folder / "other" / f"{name}.wav", sound.samples, sound.sample_rate)
    other = Library.create(folder / "loan.loom")
    other.add(folder / "other")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        application = create_app(library, ServerSettings(port=port, cache=folder / "cache"), beside=[other])
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.02)
        yield f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join()
