"""Seeded generators of damage: to the files of a library, and to the files of a saved model."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["damage_file", "library_files", "odd_model"]


def library_files(folder: Path) -> list[Path]:
    """The files of a library that can be damaged: all but locks."""
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".lock")


def _flip(data: bytearray, rng: random.Random) -> None:
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def _zero(data: bytearray, rng: random.Random) -> None:
    first = rng.randrange(len(data))
    stop = min(len(data), first + rng.choice((1, 16, 512, 4096)))
    data[first:stop] = bytes(stop - first)


def _swap(data: bytearray, rng: random.Random) -> None:
    size = min(len(data) // 2, rng.choice((1, 8, 64, 512)))
    first, second = rng.randrange(len(data) - size + 1), rng.randrange(len(data) - size + 1)
    data[first : first + size], data[second : second + size] = (
        data[second : second + size],
        data[first : first + size],
    )


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data)) :]


def _remove(data: bytearray, rng: random.Random) -> None:
    first = rng.randrange(len(data))
    del data[first : first + rng.choice((1, 7, 512))]


def _append(data: bytearray, rng: random.Random) -> None:
    data += rng.randbytes(rng.choice((1, 9, 4096)))


_KINDS: dict[str, Callable[[bytearray, random.Random], None]] = {
    "flip": _flip, "zero": _zero, "swap": _swap, "cut": _cut, "remove": _remove, "append": _append,
}  # fmt: skip


def damage_file(folder: Path, rng: random.Random) -> str:
    """Damage one random file of a library, so that its bytes are others than before; says what was done.

    One time in two the file's time of modification stays as it was, as when a disk loses bits.
    """
    files = [file for file in library_files(folder) if file.stat().st_size]
    while True:
        file = rng.choice(files)
        kind = rng.choice(("flip", "zero", "swap", "cut", "remove", "append", "delete", "exchange"))
        status, before = file.stat(), file.read_bytes()
        name = file.relative_to(folder).as_posix()
        if kind == "delete":
            file.unlink()
            return f"deleted {name}"
        if kind == "exchange":
            other = rng.choice(files)
            data = other.read_bytes()
            done = f"replaced {name} by {other.relative_to(folder).as_posix()}"
        else:
            changed = bytearray(before)
            _KINDS[kind](changed, rng)
            data, done = bytes(changed), f"{kind} in {name}"
        if data == before:
            continue
        file.write_bytes(data)
        if rng.random() < 0.5:
            os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
            done += ", same time"
        return done


_ODD_VALUES: tuple[Any, ...] = (
    None, True, "", "x" * 10_000, "\0", "../../etc", [], {}, [[]], {"a": {"b": []}}, -1, 0, 1, 2**31, 2**63, 2**64,
    10**30, -(2**63), 0.5, 1e308, -0.0, float("nan"), float("inf"), "NaN", 999_999_999, 65_537, [1] * 1000,
)  # fmt: skip


def odd_model(saved: Path, rng: random.Random) -> str:
    """Make the files of a saved model odd in one random way; says how."""
    return rng.choice((_odd_value, _odd_value, _odd_value, _odd_text, _odd_header, _odd_header, _odd_weights))(
        saved, rng
    )


def _odd_value(saved: Path, rng: random.Random) -> str:
    config = json.loads((saved / "config.json").read_text())
    path = rng.choice(list(_paths(config)))
    value = rng.choice(_ODD_VALUES)
    place = config
    for step in path[:-1]:
        place = place[step]
    what = rng.choice(("set", "set", "set", "drop", "add"))
    if what == "drop":
        del place[path[-1]]
    elif what == "add" and isinstance(place, dict):
        place["odd" * rng.randrange(1, 50)] = value
    else:
        place[path[-1]] = value
    (saved / "config.json").write_text(json.dumps(config))
    return f"{what} {'.'.join(map(str, path))} = {str(value)[:40]}"


def _paths(data: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*above, key)
        yield from _paths(value, (*above, key))


def _odd_text(saved: Path, rng: random.Random) -> str:
    file = saved / "config.json"
    text = file.read_bytes()
    deep = rng.choice((500, 100_000))
    texts: dict[str, bytes] = {
        "empty": b"",
        "deep list": b"[" * deep,
        "deep object": b'{"format":' * deep + b"1" + b"}" * deep,
        "deep settings": text.replace(b'"settings": {', b'"settings": ' + b"[" * deep + b"]" * deep + b', "x": {', 1),
        "digits": text.replace(b'"dim": ', b'"dim": ' + b"9" * 5000, 1),
        "doubled key": text.replace(b'"format": 1', b'"format": 1, "format": 1', 1),
        "not UTF-8": text.replace(b'"name": "', b'"name": "\xff\xfe', 1),
        "UTF-16": text.decode().encode("utf-16"),
        "byte order mark": b"\xef\xbb\xbf" + text,
        "surrogate": text.replace(b'"name": "', b'"name": "\\ud800', 1),
        "cut": text[: rng.randrange(len(text))],
        "garbage": rng.randbytes(1000),
        "array": b"[1, 2]",
        "string": b'"model"',
        "trailing": text + b"}",
    }
    if rng.random() < 0.1:
        with open(file, "wb") as stream:
            stream.truncate(100 * 2**20)
        return "100 MB of zeros"
    name = rng.choice(list(texts))
    file.write_bytes(texts[name])
    return f"{name} ({deep})"


def _odd_weights(saved: Path, rng: random.Random) -> str:
    file = saved / "model.safetensors"
    kind = rng.choice(("flip", "cut", "remove", "append", "zeros", "pickle"))
    if kind == "zeros":
        with open(file, "wb") as stream:
            stream.truncate(100 * 2**20)
    elif kind == "pickle":
        file.write_bytes(b"\x80\x04\x95" + rng.randbytes(100))
    else:
        data = bytearray(file.read_bytes())
        _KINDS[kind](data, rng)
        file.write_bytes(data)
    if rng.random() < 0.8 and kind != "flip":
        _vouch(saved)
    return f"weights: {kind}"


def _odd_header(saved: Path, rng: random.Random) -> str:
    """A header of safetensors that lies; the hash in the configuration fits."""
    file = saved / "model.safetensors"
    data = file.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    names = [name for name in header if name != "__metadata__"]
    if not names:  # a model without weights
        return _odd_weights(saved, rng)
    what = rng.choice(("length", "dtype", "shape", "offsets", "text", "names", "metadata"))
    text: bytes | None = None
    if what == "length":
        length = rng.choice((0, 1, 2**63, 2**64 - 1, len(data), len(data) - 8, length + 1, length - 1, 10**9))
        text = data[8 : 8 + len(json.dumps(header))]
        file.write_bytes(struct.pack("<Q", length) + data[8:])
    elif what == "text":
        deep = rng.choice((300, 100_000))
        text = rng.choice(
            (b"{" * deep, b'{"a":' * deep, b"\xff" * 64, b"[]", b"null", b"{}", rng.randbytes(200),
             json.dumps(header).encode()[:-1] + b', "' + names[0].encode() + b'": 1}')
        )  # fmt: skip
    elif what == "names":
        header[rng.choice(("", "x" * 100_000, "parts.0", "parts.999.encoder.weight", "\0"))] = header.pop(names[0])
    elif what == "metadata":
        header["__metadata__"] = rng.choice((1, None, [], {"format": 1}, {"format": {}}, {"x": "y" * 10**6}))
    else:
        entry = copy.deepcopy(header[rng.choice(names)])
        first, last = entry["data_offsets"]
        if what == "dtype":
            entry["dtype"] = rng.choice(("F64", "F16", "BF16", "BOOL", "I8", "U64", "F8_E4M3", "C64", "X", "", 5, None))
        elif what == "shape":
            entry["shape"] = rng.choice(
                ([], [0], [2**32, 2**32], [2**63], [-1], [1.5], ["4"], None, "x", [1] * 100_000, [10**30], [1, None])
            )
        else:
            entry["data_offsets"] = rng.choice(
                ([first, last + 4], [first + 4, last], [last, first], [0, 4], [-4, last], [first, 2**63], [first],
                 [first, last, 1], None, [0.5, 4], [first, len(body) + 8])
            )  # fmt: skip
        header[rng.choice(names)] = entry
    if what != "length":
        text = json.dumps(header).encode() if text is None else text
        file.write_bytes(struct.pack("<Q", len(text)) + text + body)
    _vouch(saved)
    return f"header: {what}"


def _vouch(saved: Path) -> None:
    """Write the hash of the weights as they are into the configuration."""
    file = saved / "config.json"
    digest = hashlib.sha256((saved / "model.safetensors").read_bytes()).hexdigest()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"weights_sha256": digest}))
