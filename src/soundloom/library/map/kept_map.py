"""A map of a library as a file holds it, with a checksum."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int, UInt64

from soundloom.errors import CacheDamagedError
from soundloom.system_errors import first_line

__all__ = ["KeptMap", "check_maps", "read_map", "spelled"]

_FORMAT = 1


@dataclass(frozen=True, eq=False)
class KeptMap:
    """A map as a file holds it: a point, a cluster and a segment number for every segment, and the weights."""

    coordinates: Float32[np.ndarray, "rows 2"]
    clusters: Int[np.ndarray, " rows"]
    numbers: UInt64[np.ndarray, " rows"]
    weights: str

    def arrays(self) -> dict[str, Any]:
        """The arrays as they are written."""
        return {
            "coordinates": self.coordinates,
            "clusters": self.clusters.astype(np.uint16),
            "numbers": self.numbers,
        }

    def about(self) -> dict[str, Any]:
        """Format, weights and checksum."""
        digest = blake2b(self.weights.encode(), digest_size=16)
        for array in self.arrays().values():
            digest.update(np.ascontiguousarray(array).tobytes())
        return {"format": _FORMAT, "weights": self.weights, "checksum": digest.hexdigest()}


def check_maps(folder: Path) -> Iterator[tuple[Path, CacheDamagedError]]:
    """The damaged ones among the maps kept in a folder, and what is wrong with each."""
    for file in sorted(folder.glob("*.npz")):
        try:
            read_map(file)
        except CacheDamagedError as damage:
            yield file, damage


def read_map(file: Path) -> KeptMap:
    """Read a kept map.

    Raises:
        FileNotFoundError: there is none.
        CacheDamagedError: it cannot be read, or is not as it was written.
    """
    try:
        with open(file, "rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            about = json.loads(str(arrays["about"]))
            kept = KeptMap(
                arrays["coordinates"], arrays["clusters"].astype(np.int64), arrays["numbers"], str(about["weights"])
            )
        if about["format"] != _FORMAT or ("checksum" in about and about != kept.about()):
            raise CacheDamagedError("it is not as it was written")
        count = len(kept.numbers)
        if kept.coordinates.shape != (count, 2) or kept.clusters.shape != (count,) or kept.numbers.dtype != np.uint64:
            raise CacheDamagedError("its arrays are of different lengths")
        if kept.coordinates.dtype != np.float32 or not np.isfinite(kept.coordinates).all():
            raise CacheDamagedError("its points are not finite")
        return kept
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:
        raise CacheDamagedError(f"{str(file)!r} is damaged ({first_line(error)})") from error


def spelled(weights: dict[str, float]) -> str:
    """Weights that steer alike, spelled alike: shares of the whole to a thousandth."""
    total = sum(weights.values())
    return json.dumps({name: round(weight / total, 3) for name, weight in sorted(weights.items())})
