"""Download of a published file into the cache: once, whole, and verified by its hash.

The address, size and hash are announced before anything moves. A broken download goes on at the byte where it
stopped, in this run or a later one (`http_transfer`); the file takes its name only when its hash is the published
one, and a receipt beside it says so, so that nobody need read it again to know. A lock makes a second process wait for
the first and then use its file.

Built on the standard library, because what the field offers lacks one half each. pooch (1.9) verifies hashes, but
writes to a temporary file that it deletes when the connection breaks, so that 300 MB start over. huggingface_hub (2.4)
resumes, but only from its own kind of server, which holds one of our checkpoints.

Not for files that change under one address.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from uuid import uuid4

from filelock import FileLock

from soundloom.errors import InvalidArgumentError, ModelError
from soundloom.models.weights.http_transfer import ELSEWHERE, PartialFile, Patience, RefusedError, TransferProgress

__all__ = [
    "Announcement",
    "Obtained",
    "PublishedFile",
    "cached_weights",
    "converted_path",
    "file_hashes",
    "is_offline",
    "known",
    "obtain",
    "sha256_of",
]

_SWITCHES = ("SOUNDLOOM_OFFLINE", "HF_HUB_OFFLINE")


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """Where a file is published and how to know it again.

    Attributes:
        address: where its authors publish it.
        filename: its name in the cache.
        mirrors: other addresses of the same bytes, tried in order.
        bytes: its size, where known.
        sha256: its hash, or the leading digits of it that are published (eight or more).
        md5: its hash where no sha256 is published.
        other_forms: sha256 -> what it is, of files in which the same weights are published too.
    """

    address: str
    filename: str
    mirrors: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    other_forms: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for address in (self.address, *self.mirrors):
            if not address.startswith(("https://", "http://")):
                raise InvalidArgumentError(f"{address!r} is not a web address: it should begin with https://")
        if self.sha256 is not None and not 8 <= len(self.sha256) <= 64:
            raise InvalidArgumentError(f"sha256 {self.sha256!r} has {len(self.sha256)} digits: give 8 to 64 of them")

    @property
    def size(self) -> str:
        """The size, for people."""
        return "size unknown" if self.bytes is None else f"{self.bytes / 1e6:,.1f} MB"

    @property
    def digest(self) -> str:
        """The published hash, for people."""
        if self.sha256 is not None:
            return f"sha256 {self.sha256}"
        return f"md5 {self.md5}" if self.md5 is not None else "no published hash"

    def accepts(self, sha256: str, md5: str) -> bool:
        """Whether a file of these hashes is the published one, as far as its publishers let us know."""
        if self.sha256 is not None:
            return sha256.startswith(self.sha256.lower())
        return self.md5 is None or md5 == self.md5.lower()


@dataclass(frozen=True, kw_only=True)
class Announcement:
    """What is about to be fetched: said before the first byte is asked for.

    Attributes:
        source: the file.
        address: the one of its addresses that is tried now.
        path: where it will lie.
        held: bytes kept from an earlier try.
        licence: of the file, as its publisher spells it; empty where it is reported elsewhere.
    """

    source: PublishedFile
    address: str
    path: Path
    held: int
    licence: str = ""

    def __str__(self) -> str:
        kept = f", {self.held / 1e6:,.1f} MB of it already here" if self.held else ""
        licence = f", licence {self.licence}" if self.licence else ""
        return f"fetching {self.address} ({self.source.size}, {self.source.digest}{kept}{licence}) to {self.path}"


@dataclass(frozen=True, kw_only=True)
class Obtained:
    """A verified file.

    Attributes:
        path: where it lies.
        sha256: its full hash.
        address: where it was fetched from; None if it was put there by hand.
    """

    path: Path
    sha256: str
    address: str | None


def is_offline() -> bool:
    """Whether SOUNDLOOM_OFFLINE or HF_HUB_OFFLINE forbids the network."""
    return any(os.environ.get(switch, "").lower() in ("1", "on", "yes", "true") for switch in _SWITCHES)


def known(source: PublishedFile, folder: Path) -> Obtained | None:
    """What an earlier call verified, without reading the file; None if nothing was, or the file has changed since.

    The file itself may be deleted: its receipt still records the result.
    """
    path = folder / source.filename
    try:
        receipt = json.loads(_receipt(path).read_text(encoding="utf-8"))
        unchanged = not path.exists() or _stamp(path) == receipt["stamp"]
        obtained = Obtained(path=path, sha256=receipt["sha256"], address=receipt["address"])
        return obtained if unchanged and source.accepts(receipt["sha256"], receipt["md5"]) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def cached_weights(source: PublishedFile, folder: Path) -> Literal["published", "own", "none"]:
    """Which weights of a checkpoint lie in its folder of the cache, without reading them.

    Returns:
        "published": those of the published file, as it is or converted. "own": only conversions of files of one's own,
        which loading by the name alone does not use. "none": nothing.
    """
    seen = known(source, folder)
    if (folder / source.filename).exists() or (seen is not None and converted_path(folder, seen.sha256).exists()):
        return "published"
    return "own" if any(folder.glob("*.safetensors")) else "none"


def converted_path(folder: Path, sha256: str) -> Path:
    """Where the weights of a published file of this hash lie once they are converted."""
    return folder / f"{sha256[:16]}.safetensors"


def obtain(
    source: PublishedFile,
    folder: Path,
    *,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
    patience: Patience | None = None,
) -> Obtained:
    """The verified file in that folder, fetched if it is not there yet.

    Args:
        source: the file.
        folder: where it lies or will lie.
        offline: never touch the network (the environment may say so as well, see ``is_offline``).
        announce: called with each address before the request.
        progress: called with the progress of the download, at most ten times a second.
        patience: how long to bear with a slow or failing server.

    Raises:
        ModelError: the file cannot be had, or is not the published one; says what to do.
    """
    path = folder / source.filename
    # A file takes its name only when it is whole, so that one that is there can be read without the lock.
    if path.exists():
        return known(source, folder) or _accept(source, path)
    if offline or is_offline():
        raise ModelError(
            f"offline, and {path} is not there. Fetch {source.address} ({source.size}, {source.digest}) on another "
            f"machine, then put the file at that path or name it with --weights FILE"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(f"{path}.lock")
        lock.acquire()
    except OSError as error:
        raise ModelError(f"cannot write to the cache {folder}: {error}. {ELSEWHERE}") from error
    try:
        # Whoever held the lock may just have brought the file.
        if path.exists():
            return known(source, folder) or _accept(source, path)
        part = PartialFile(
            path=path.with_name(f"{path.name}.part"),
            size=source.bytes,
            verifiable=source.sha256 is not None or source.md5 is not None,
            progress=progress,
            patience=patience or Patience(),
        )
        return _download(source, path, part, announce)
    except OSError as error:
        raise ModelError(f"cannot use the cache {folder}: {error}. {ELSEWHERE}") from error
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hexadecimal digits.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def file_hashes(source: PublishedFile, path: Path) -> tuple[str, str]:
    """The sha256 of a file, and its md5 where only that is published (else nothing: it costs twice as much)."""
    md5 = ""
    if source.sha256 is None and source.md5 is not None:
        with path.open("rb") as file:
            md5 = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    return sha256_of(path), md5


def _download(
    source: PublishedFile, path: Path, part: PartialFile, announce: Callable[[Announcement], None] | None
) -> Obtained:
    failures = []
    for address in (source.address, *source.mirrors):
        if announce is not None:
            announce(Announcement(source=source, address=address, path=path, held=part.held))
        try:
            sha256, md5 = _fetch_verified(address, source, part)
        except RefusedError as refused:
            failures.append(f"  {address}: {refused}")
            continue
        os.replace(part.path, path)
        part.discard()
        _write_receipt(path, sha256, md5, address)
        return Obtained(path=path, sha256=sha256, address=address)
    kept = f"{part.held:,} bytes are kept in {part.path}: the next try goes on from there.\n" if part.held else ""
    raise ModelError(
        f"cannot fetch {source.filename}:\n" + "\n".join(failures) + f"\n{kept}Try again later; or get the file by "
        f"other means ({source.size}, {source.digest}) and put it at {path} or name it with --weights FILE"
    )


def _fetch_verified(address: str, source: PublishedFile, part: PartialFile) -> tuple[str, str]:
    """Complete the part from one address; returns its sha256 and md5."""
    # What an earlier run or another address left may not fit its continuation: should the hash disagree,
    # those bytes are suspected before the server is, and one download from scratch decides.
    pieced = part.held > 0
    while True:
        part.complete(address)
        hashes = file_hashes(source, part.path)
        if source.accepts(*hashes):
            return hashes
        with part.path.open("rb") as file:
            page = file.read(512).lstrip().startswith(b"<")
        size = part.held
        part.discard()
        if not pieced:
            break
        pieced = False
    hint = "the server sent a web page" if page else "it has changed there, or was damaged on the way"
    raise RefusedError(f"{_mismatch(source, hashes)}, {size:,} bytes: {hint}; they are deleted")


def _accept(source: PublishedFile, path: Path) -> Obtained:
    """Verify a file that somebody put in its place by hand."""
    hashes = file_hashes(source, path)
    if not source.accepts(*hashes):
        raise ModelError(
            f"{path} is not the published file: {_mismatch(source, hashes)}, {path.stat().st_size:,} bytes. "
            "Delete it to have it fetched, or use it all the same with --weights FILE"
        )
    # Where the cache is read-only, each call verifies anew.
    with contextlib.suppress(OSError):
        _write_receipt(path, *hashes, None)
    return Obtained(path=path, sha256=hashes[0], address=None)


def _mismatch(source: PublishedFile, hashes: tuple[str, str]) -> str:
    got = f"sha256 {hashes[0]}" if source.sha256 is not None else f"md5 {hashes[1]}"
    return f"expected {source.digest}, got {got}"


def _receipt(path: Path) -> Path:
    return path.with_name(f"{path.name}.receipt.json")


def _stamp(path: Path) -> list[int]:
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]


def _write_receipt(path: Path, sha256: str, md5: str, address: str | None) -> None:
    receipt = {"sha256": sha256, "md5": md5, "address": address, "stamp": _stamp(path)}
    # Two threads may find the file just brought, and write the same receipt.
    fresh = path.with_name(f"{path.name}.{uuid4().hex}.receipt.new")
    fresh.write_text(json.dumps(receipt, indent=1), encoding="utf-8")
    os.replace(fresh, _receipt(path))
