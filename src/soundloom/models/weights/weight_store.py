"""Cache of published weights: downloaded once, converted to safetensors once.

    CACHE/checkpoints/NAME/FILE                     as published, with a receipt of its hash
    CACHE/checkpoints/NAME/HASH.safetensors         its weights alone, under our key names

HASH is the published file's sha256, so that another file can never be taken for it. The converted file's header says
where the weights come from, and under which licence; it also holds a checksum of the tensors, because safetensors
itself notices a file cut short but not a flipped bit. A converted file that does not agree with its header, or with
the keys expected today, is made again.

Files in safetensors as published are read where they lie: a copy would gain nothing.
"""

from __future__ import annotations

import json
import logging
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from soundloom.atomic_file import replacing
from soundloom.cache_folder import cache_home
from soundloom.errors import ModelError
from soundloom.models.weights.download import Announcement, converted_path, known, obtain, sha256_of
from soundloom.models.weights.http_transfer import Patience, TransferProgress
from soundloom.models.weights.published_checkpoints import CHECKPOINTS, Checkpoint, State, extract
from soundloom.models.weights.unpickle import GET_AGAIN, load_scaler, load_torch

__all__ = ["fetch", "fetch_vocabulary"]

_log = logging.getLogger(__name__)


def fetch(
    checkpoint: str | Checkpoint,
    weights: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    progress: Callable[[TransferProgress], None] | None = None,
    patience: Patience | None = None,
) -> State:
    """The weights of a published checkpoint, from the cache, a file of one's own or the web.

    Args:
        checkpoint: a name in ``CHECKPOINTS``, or a row of one's own.
        weights: a file to use instead of the published one (a torch pickle or safetensors), or the folder it
            lies in. Its hash is free, its keys and shapes are not.
        offline: never touch the network.
        announce: called with the address, size and hash before a download.
        progress: called with the progress of a download.
        patience: how long to bear with a slow or failing server.

    Returns:
        Tensors by key, under our key names: floats as float32, counters as integers.

    Raises:
        UnknownModelError: no checkpoint of that name.
        ModelError: the file cannot be had or read, or holds other weights; says what to do.
    """
    row = CHECKPOINTS.find(checkpoint) if isinstance(checkpoint, str) else checkpoint
    if row.format == "vocabulary":
        raise ModelError(f"{row.name} holds tags, not weights: read it with fetch_vocabulary")
    folder = cache_home() / "checkpoints" / row.name
    if weights is not None:
        path = _own_file(row, Path(weights))
        if row.format == "scaler" or _is_safetensors(path):
            return _read(row, path)
        return _converted(row, path, folder, sha256_of(path), str(path.absolute()))
    # A receipt and the converted file are enough: the published one may have been removed to save space.
    if (seen := known(row.source, folder)) and (state := _load(row, folder, seen.sha256)) is not None:
        return state
    file = obtain(row.source, folder, offline=offline, announce=announce, progress=progress, patience=patience)
    if row.format not in ("torch", "other"):
        return _read(row, file.path)
    return _converted(row, file.path, folder, file.sha256, file.address or row.source.address)


def fetch_vocabulary(
    checkpoint: str | Checkpoint = "coala-vocabulary",
    path: str | os.PathLike[str] | None = None,
    *,
    offline: bool = False,
    announce: Callable[[Announcement], None] | None = None,
    patience: Patience | None = None,
) -> tuple[str, ...]:
    """The tags of a tag encoder, in the order of its input.

    Args:
        checkpoint: a name in ``CHECKPOINTS``, or a row of one's own, of the format "vocabulary".
        path: a file to use instead of the published one.
        offline: never touch the network.
        announce: called with the address, size and hash before a download.
        patience: how long to bear with a slow or failing server.

    Raises:
        UnknownModelError: no checkpoint of that name.
        ModelError: the file cannot be had, or is not a vocabulary.
    """
    row = CHECKPOINTS.find(checkpoint) if isinstance(checkpoint, str) else checkpoint
    if path is None:
        folder = cache_home() / "checkpoints" / row.name
        file = obtain(row.source, folder, offline=offline, announce=announce, patience=patience).path
    else:
        file = _own_file(row, Path(path))
    try:
        tags = json.loads(file.read_text(encoding="utf-8"))
        return tuple(tags[str(index)] for index in range(len(tags)))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f'{file} is not a vocabulary: expected JSON as {{"0": "tag", "1": "tag", ...}}') from error


def _own_file(row: Checkpoint, given: Path) -> Path:
    path = given.expanduser()
    if path.is_dir():
        inside = [path / name for name in (row.source.filename, "model.safetensors") if (path / name).is_file()]
        if not inside:
            raise ModelError(f"the folder {given} holds neither {row.source.filename} nor model.safetensors")
        path = inside[0]
    if not path.is_file():
        raise ModelError(f"no file {given}: expected the weights of {row.name}, such as {row.source.filename}")
    return path


def _read(row: Checkpoint, path: Path) -> State:
    """Read a file in whatever format it has, and check it against the row."""
    loaded: object
    if _is_safetensors(path):
        loaded = _tensors(path)
    elif row.read is not None:
        loaded = row.read(path)
    else:
        loaded = load_scaler(path) if row.format == "scaler" else load_torch(path)
    try:
        return extract(row, loaded)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error


def _is_safetensors(path: Path) -> bool:
    # Eight bytes of header length, then the header, a JSON object. Neither a pickle nor a zip has a brace there.
    try:
        with path.open("rb") as file:
            return file.read(9)[8:] == b"{"
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error}") from error


def _tensors(path: Path) -> State:
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path} is not a whole safetensors file ({error}). {GET_AGAIN}") from error


def _converted(row: Checkpoint, path: Path, folder: Path, sha256: str, origin: str) -> State:
    """The weights of that pickle, by way of the converted file, which is made if need be."""
    if (state := _load(row, folder, sha256)) is not None:
        return state
    state = _read(row, path)
    target = converted_path(folder, sha256)
    header = {
        "format": "pt",
        "checkpoint": row.name,
        "source": origin,
        "source_sha256": sha256,
        "licence": row.licence,
        "citation": row.citation,
        "crc32": _checksum(state),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(target, shared=True) as fresh:
            save_file(state, fresh, metadata=header)
    except (OSError, SafetensorError) as error:
        _log.warning("cannot keep the converted weights of %s at %s: %s", row.name, target, error)
    return state


def _load(row: Checkpoint, folder: Path, sha256: str) -> State | None:
    """The converted weights; None if there are none to trust."""
    target = converted_path(folder, sha256)
    if not target.exists():
        return None
    try:
        with safe_open(target, framework="pt") as file:
            header = file.metadata() or {}
        state = extract(row, _tensors(target))
        if header.get("source_sha256") != sha256 or header.get("crc32") != _checksum(state):
            raise ModelError("its tensors are not those that were written")
        return state
    except (OSError, SafetensorError, ModelError) as error:
        _log.warning("%s is damaged or out of date and will be made again: %s", target, error)
        return None


def _checksum(state: State) -> str:
    """CRC-32 over keys and tensors in the order of their keys: 0.08 s for the 327 MB of CNN14."""
    crc = 0
    for key in sorted(state):
        crc = zlib.crc32(_bytes(state[key]), zlib.crc32(key.encode(), crc))
    return f"{crc:08x}"


def _bytes(tensor: Tensor) -> memoryview:
    return tensor.reshape(-1).view(torch.uint8).numpy().data
