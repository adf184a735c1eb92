"""Sounds that a person brings as a query: received, decoded in a process of its own, kept for a while, forgotten.

An upload is two files in a temporary folder: what came, which is only ever read by a child process and by the person's
own browser, and its samples as a float WAV that the child wrote, which is all that the model and libsndfile see here.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from soundloom.errors import AudioError
from soundloom.option_hints import hints_for_page
from soundloom.server.http.error_responses import ApiError
from soundloom.server.media.decode_pool import DecodePool, DecodeTimeout
from soundloom.server.settings import ServerSettings

__all__ = ["Upload", "UploadStore"]

_POINTS = 200
_NAME = 200


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A sound that was uploaded.

    Attributes:
        id: its name here, not to be guessed.
        name: the name it came with.
        duration: seconds.
        peaks: its outline, in [0, 1].
        notices: what was noticed of it, such as silence.
        speed: seconds of it for each second of `samples`.
        folder: where its files lie.
        size: bytes they take.
    """

    id: str
    name: str
    duration: float
    peaks: list[float]
    notices: list[str]
    speed: float
    folder: Path
    size: int

    @property
    def original(self) -> Path:
        """What was sent."""
        return self.folder / "original"

    @property
    def samples(self) -> Path:
        """The decoded sound: float samples at the model's rate, at the speed of the library."""
        return self.folder / "samples.wav"


class UploadStore:
    """The uploads of a server. Safe to share between threads.

    Args:
        pool: the processes that decode.
        settings: how large, how long, how many.
    """

    def __init__(self, pool: DecodePool, settings: ServerSettings) -> None:
        self._pool = pool
        self._settings = settings
        self._folder: Path | None = None  # made for the first upload: an application may only be described
        self._kept: OrderedDict[str, Upload] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def longest(self) -> float:
        """Seconds of the longest sound that is taken; a sound that is slowed down costs as many times more."""
        return self._settings.upload_seconds * min(1.0, self._pool.options.speed)

    def add(self, file: BinaryIO, name: str, sample_rate: int) -> Upload:
        """Take a file.

        Args:
            file: its bytes.
            name: how the person calls it.
            sample_rate: the model's.

        Raises:
            ApiError: it is too large, too long, too slow to decode, or not a sound.
        """
        identity = "u_" + secrets.token_urlsafe(16)
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="soundloom-uploads-"))
            folder = self._folder / identity
        folder.mkdir()
        try:
            upload = self._decoded(file, name[-_NAME:], sample_rate, identity, folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        with self._lock:
            self._kept[identity] = upload
            surplus = []
            while len(self._kept) > self._settings.uploads_kept or (
                len(self._kept) > 1 and sum(kept.size for kept in self._kept.values()) > self._settings.uploads_bytes
            ):
                surplus.append(self._kept.popitem(last=False)[1])
        for old in surplus:
            shutil.rmtree(old.folder, ignore_errors=True)
        return upload

    def get(self, identity: str) -> Upload:
        """An upload by its id.

        Raises:
            ApiError: there is none.
        """
        with self._lock:
            if identity in self._kept:
                self._kept.move_to_end(identity)
                return self._kept[identity]
        raise ApiError(404, "no_upload", f"there is no upload {identity!r} (any more): upload the sound again")

    def forget(self, identity: str) -> None:
        """Throw an upload away.

        Raises:
            ApiError: there is none.
        """
        upload = self.get(identity)
        with self._lock:
            self._kept.pop(identity, None)
        shutil.rmtree(upload.folder, ignore_errors=True)

    def close(self) -> None:
        """Throw all away."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _decoded(self, file: BinaryIO, name: str, sample_rate: int, identity: str, folder: Path) -> Upload:
        longest, patience = self.longest, self._settings.decode_wait
        original, samples = folder / "original", folder / "samples.wav"
        with open(original, "wb") as out:
            shutil.copyfileobj(file, out, 2**20)
        if original.stat().st_size > self._settings.upload_bytes:
            raise ApiError(413, "too_large", f"at most {self._settings.upload_bytes / 2**20:g} MiB are taken")
        try:
            decoded = self._pool.do(
                "decode_upload",
                original,
                timeout=patience,
                out=str(samples),
                sample_rate=sample_rate,
                longest=longest,
                points=_POINTS,
            )
        except DecodeTimeout:
            raise ApiError(
                408, "too_slow", f"{name!r} could not be decoded within {patience:g} s: upload a shorter part of it"
            ) from None
        except AudioError as error:
            raise ApiError(415, "not_audio", f"{name!r} cannot be decoded: {hints_for_page(error.reason)}") from None
        if decoded.get("too_long"):
            raise ApiError(
                413, "too_long", f"{name!r} is longer than {longest:g} s: upload the part of it to search by"
            )
        size = original.stat().st_size + samples.stat().st_size
        return Upload(
            id=identity,
            name=name,
            duration=float(decoded["duration"]),
            peaks=[float(value) for value in decoded["peaks"]],
            notices=[hints_for_page(notice) for notice in decoded["notices"]],
            speed=self._pool.options.speed,
            folder=folder,
            size=size,
        )
