"""Resumable HTTP download of one file, with range requests and retries.

Bytes are appended to ``FILE.part``; beside it ``FILE.part.json`` notes the address and the server's validator (ETag)
they came with. A later connection asks for the rest only. Rules: RFC 9110, sections 14.2 (Range) and 13.1.5 (If-Range).

This module knows nothing of hashes: whether the bytes are the right ones is for ``download`` to say. Not for servers
that ask for a password.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from soundloom.errors import ModelError

__all__ = ["ELSEWHERE", "PartialFile", "Patience", "RefusedError", "TransferProgress"]

ELSEWHERE = "Choose another folder with the environment variable SOUNDLOOM_HOME"

_CHUNK = 1 << 18
_REPORT_SECONDS = 0.1


@dataclass(frozen=True, kw_only=True)
class TransferProgress:
    """How far a download is.

    Attributes:
        done: bytes on disk.
        total: bytes in all, where the server says.
        rate: bytes a second since this connection opened.
    """

    done: int
    total: int | None
    rate: float


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long to bear with a server.

    Attributes:
        timeout: seconds without a byte after which a connection counts as broken.
        attempts: tries in a row that bring nothing new before an address is given up.
        pause: seconds before the second try; doubled for each one after it.
    """

    timeout: float = 30.0
    attempts: int = 4
    pause: float = 1.0


class RefusedError(Exception):
    """This address does not give the file; another may."""


class _BrokenError(Exception):
    """This connection failed; the next one may not."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PartialFile:
    """A file that is being downloaded, in one run or several.

    Attributes:
        path: where the bytes go; what it holds already is not fetched again.
        size: the published size in bytes; an address that offers another is refused at once.
        verifiable: a hash will be checked at the end, so pieces may be joined without the server's word for it.
        progress: called with the progress, at most ten times a second.
        patience: how long to try.
    """

    path: Path
    size: int | None
    verifiable: bool
    progress: Callable[[TransferProgress], None] | None
    patience: Patience

    @property
    def held(self) -> int:
        """How many bytes are here."""
        return self.path.stat().st_size if self.path.exists() else 0

    def discard(self) -> None:
        """Remove what is here, and its notes."""
        self.path.unlink(missing_ok=True)
        self._notes.unlink(missing_ok=True)

    def complete(self, address: str) -> None:
        """Fetch what is missing, connecting again after every break.

        Raises:
            RefusedError: the address does not give the file.
            ModelError: the disk does not take it.
        """
        in_vain = 0
        while True:
            before = self.held
            try:
                return self._connect(address)
            except _BrokenError as broken:
                in_vain = 0 if self.held > before else in_vain + 1
                if in_vain >= self.patience.attempts:
                    raise RefusedError(f"{broken} ({in_vain} tries in a row brought nothing new)") from broken
                time.sleep(self.patience.pause * 2 ** max(in_vain - 1, 0))

    def _connect(self, address: str) -> None:
        """One connection: ask for what is missing and append it."""
        have, notes = self.held, self._read_notes()
        if have and have == (self.size if self.size is not None else notes.get("total")):
            return
        validator = notes.get("validator") if notes.get("address") == address else None
        headers = {"User-Agent": "soundloom", "Accept-Encoding": "identity"}
        # If-Range makes a server whose file has changed since send all of it. Without a validator only a hash
        # can show whether the pieces belong together; without that either, the file is fetched from its start.
        if have and (validator or self.verifiable):
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = str(validator)
        with self._open(urllib.request.Request(address, headers=headers)) as response:
            start = have if response.status == 206 else 0
            if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
                self.discard()
                sent = response.headers["Content-Range"]
                raise _BrokenError(f"asked for the bytes from {start} on, was sent {sent!r}")
            length = response.headers.get("Content-Length", "")
            total = start + int(length) if length.isdecimal() else None
            if self.size is not None and total is not None and total != self.size:
                raise RefusedError(f"has {total:,} bytes where {self.size:,} are published: not the same file")
            # A weak ETag (W/) promises the same meaning, not the same bytes.
            etag = response.headers.get("ETag", "")
            strong = etag if etag and not etag.startswith("W/") else None
            try:
                self._check_space((total or start) - start)
                notes = {"address": address, "validator": strong, "total": total}
                self._notes.write_text(json.dumps(notes), encoding="utf-8")
                with self.path.open("ab" if start else "wb") as file:
                    done = self._pour(response, file, start, total)
                    os.fsync(file.fileno())
            except OSError as error:
                raise ModelError(
                    f"cannot write {self.path}: {error}. The next try goes on from what is there. {ELSEWHERE}"
                ) from error
        if total is not None and done < total:
            raise _BrokenError(f"the connection broke after {done:,} of {total:,} bytes")

    def _check_space(self, missing: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < missing:
            raise ModelError(f"{self.path.parent} has {free:,} bytes free where {missing:,} are needed. {ELSEWHERE}")

    def _open(self, request: urllib.request.Request) -> http.client.HTTPResponse:
        try:
            response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=self.patience.timeout)
            return response
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 416:  # the part is longer than the file
                    self.discard()
                passing = error.code in (408, 416, 425, 429) or error.code >= 500
                raise (_BrokenError if passing else RefusedError)(f"HTTP {error.code} {error.reason}") from error
        except (OSError, http.client.HTTPException) as error:
            raise _BrokenError(_cause(error)) from error

    def _pour(self, response: http.client.HTTPResponse, file: BinaryIO, start: int, total: int | None) -> int:
        """Pass the response on until it ends; returns how many bytes are then on disk."""
        done, opened, reported = start, time.monotonic(), float("-inf")
        while True:
            try:
                # read1 hands over whatever has come; read would wait for a full chunk and lose it on a break.
                chunk = response.read1(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _BrokenError(f"the connection broke after {done:,} bytes: {_cause(error)}") from error
            # Flushed, so that a killed process leaves behind what it received.
            file.write(chunk)
            file.flush()
            done += len(chunk)
            now = time.monotonic()
            if self.progress is not None and (now - reported >= _REPORT_SECONDS or not chunk):
                self.progress(TransferProgress(done=done, total=total, rate=(done - start) / max(now - opened, 1e-9)))
                reported = now
            if not chunk:
                return done

    @property
    def _notes(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    def _read_notes(self) -> dict[str, object]:
        with contextlib.suppress(OSError, ValueError):
            notes = json.loads(self._notes.read_text(encoding="utf-8"))
            if isinstance(notes, dict):
                return notes
        return {}


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return "the server is silent" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__
