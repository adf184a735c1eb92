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

__all__ = ["ELSEWHERE", "Patience", "RefusedError", "TransferProgress", "complete", "discard", "held"]

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


def complete(
    address: str,
    part: Path,
    *,
    size: int | None = None,
    verifiable: bool = False,
    progress: Callable[[TransferProgress], None] | None = None,
    patience: Patience,
) -> None:
    """Bring the part to its full length, connecting again after every break.

    Args:
        address: what to fetch.
        part: where the bytes go; what it holds already is not fetched again.
        size: the published size in bytes; an address that offers another is refused at once.
        verifiable: a hash will be checked at the end, so pieces may be joined without the server's word for it.
        progress: called with the progress, at most ten times a second.
        patience: how long to try.

    Raises:
        RefusedError: the address does not give the file.
        ModelError: the disk does not take it.
    """
    in_vain = 0
    while True:
        before = held(part)
        try:
            return _connect(address, part, size, verifiable, progress, patience.timeout)
        except _BrokenError as broken:
            in_vain = 0 if held(part) > before else in_vain + 1
            if in_vain >= patience.attempts:
                raise RefusedError(f"{broken} ({in_vain} tries in a row brought nothing new)") from broken
            time.sleep(patience.pause * 2 ** max(in_vain - 1, 0))


def held(part: Path) -> int:
    """How many bytes the part holds."""
    return part.stat().st_size if part.exists() else 0


def discard(part: Path) -> None:
    """Remove the part and its notes."""
    part.unlink(missing_ok=True)
    _notes(part).unlink(missing_ok=True)


def _connect(
    address: str,
    part: Path,
    size: int | None,
    verifiable: bool,
    progress: Callable[[TransferProgress], None] | None,
    timeout: float,
) -> None:
    """One connection: ask for what is missing and append it."""
    have, notes = held(part), _read_notes(part)
    if have and have == (size if size is not None else notes.get("total")):
        return
    validator = notes.get("validator") if notes.get("address") == address else None
    headers = {"User-Agent": "soundloom", "Accept-Encoding": "identity"}
    # If-Range makes a server whose file has changed since send all of it. Without a validator only a hash
    # can show whether the pieces belong together; without that either, the file is fetched from its start.
    if have and (validator or verifiable):
        headers["Range"] = f"bytes={have}-"
        if validator:
            headers["If-Range"] = str(validator)
    with _open(urllib.request.Request(address, headers=headers), part, timeout) as response:
        start = have if response.status == 206 else 0
        if start and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            discard(part)
            raise _BrokenError(f"asked for the bytes from {start} on, was sent {response.headers['Content-Range']!r}")
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdecimal() else None
        if size is not None and total is not None and total != size:
            raise RefusedError(f"has {total:,} bytes where {size:,} are published: not the same file")
        # A weak ETag (W/) promises the same meaning, not the same bytes.
        etag = response.headers.get("ETag", "")
        strong = etag if etag and not etag.startswith("W/") else None
        try:
            missing, free = (total or start) - start, shutil.disk_usage(part.parent).free
            if free < missing:
                raise ModelError(f"{part.parent} has {free:,} bytes free where {missing:,} are needed. {ELSEWHERE}")
            notes = {"address": address, "validator": strong, "total": total}
            _notes(part).write_text(json.dumps(notes), encoding="utf-8")
            with part.open("ab" if start else "wb") as file:
                done = _pour(response, file, start, total, progress)
                os.fsync(file.fileno())
        except OSError as error:
            raise ModelError(
                f"cannot write {part}: {error}. The next try goes on from what is there. {ELSEWHERE}"
            ) from error
    if total is not None and done < total:
        raise _BrokenError(f"the connection broke after {done:,} of {total:,} bytes")


def _open(request: urllib.request.Request, part: Path, timeout: float) -> http.client.HTTPResponse:
    try:
        response: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout)
        return response
    except urllib.error.HTTPError as error:
        with error:
            if error.code == 416:  # the part is longer than the file
                discard(part)
            passing = error.code in (408, 416, 425, 429) or error.code >= 500
            raise (_BrokenError if passing else RefusedError)(f"HTTP {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _BrokenError(_cause(error)) from error


def _pour(
    response: http.client.HTTPResponse,
    file: BinaryIO,
    start: int,
    total: int | None,
    progress: Callable[[TransferProgress], None] | None,
) -> int:
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
        if progress is not None and (now - reported >= _REPORT_SECONDS or not chunk):
            progress(TransferProgress(done=done, total=total, rate=(done - start) / max(now - opened, 1e-9)))
            reported = now
        if not chunk:
            return done


def _cause(error: BaseException) -> str:
    reason = getattr(error, "reason", error)
    return "the server is silent" if isinstance(reason, TimeoutError) else str(reason) or type(reason).__name__


def _notes(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _read_notes(part: Path) -> dict[str, object]:
    with contextlib.suppress(OSError, ValueError):
        notes = json.loads(_notes(part).read_text(encoding="utf-8"))
        if isinstance(notes, dict):
            return notes
    return {}
