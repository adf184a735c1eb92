"""Pairs of fingerprints that are of one sound: candidates by locality-sensitive hashing, then their bit error rate.

Two frames of unrelated sounds agree in half of their bits, in noise as well as in music; those of a copy in 75 % or
more. Every active frame, together with the one 16 frames later, gives a few keys of randomly chosen bits (Indyk &
Motwani 1998, "Approximate nearest neighbors"); sounds that share a few keys at one shift are candidates, and compared
at this shift. The keys are sorted, so that the cost grows with the frames and not with the pairs.

Bits of overlapping frames and neighbouring bands depend on each other: `_INDEPENDENT` of them carry as much as one.
A copy must have an error rate below `_ERROR_RATE`, and below what so many bits of unrelated sounds reach by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, UInt32, UInt64

from soundloom.library.duplicates.fingerprint import BITS, is_active

__all__ = ["FingerprintMatch", "candidate_pairs", "compare_fingerprints", "matching_pairs"]

_TABLES = 6
_SECOND = 16
"""Frames from the first to the second of a key: no sample is in both windows."""
_NEIGHBOURS = 12
"""Of sounds with the same key, each is compared with so many that follow it: more copies are found by one another."""
_LEAST_KEYS = 3
_SHIFTS = 2
"""Frames by which the shift of a candidate may be off."""
_ERROR_RATE = 0.32
_INDEPENDENT, _DEVIATIONS = 16, 4.5
_DIFFERENCES = np.uint32((1 << BITS) - 1)
_BITS_OF_BYTE = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1).sum(axis=1, dtype=np.int64)


@dataclass(frozen=True)
class FingerprintMatch:
    """Two sounds of which one is a copy of the other.

    Attributes:
        first: the number of a sound.
        second: the number of the other, which is larger.
        agreement: share of the bits in which they agree, in (0.5, 1].
        coverage: share of the active frames of the longer one that both have.
    """

    first: int
    second: int
    agreement: float
    coverage: float


def matching_pairs(
    prints: Sequence[UInt32[np.ndarray, " _frames"]], *, coverage: float = 0.5
) -> list[FingerprintMatch]:
    """The pairs of sounds that are copies, by their numbers.

    Args:
        prints: a fingerprint for every sound.
        coverage: least share of the longer one that both must have.
    """
    best: dict[tuple[int, int], FingerprintMatch] = {}
    active = [int(is_active(print_).sum()) for print_ in prints]
    for first, second, shift in candidate_pairs(prints).tolist():
        agreement, shared = compare_fingerprints(prints[first], prints[second], shift)
        longest = max(active[first], active[second])
        chance = 0.5 - _DEVIATIONS * 0.5 / math.sqrt(max(shared * BITS, 1) / _INDEPENDENT)
        if 1 - agreement <= min(_ERROR_RATE, chance) and shared >= coverage * longest:
            found = FingerprintMatch(first, second, agreement, min(1.0, shared / longest))
            known = best.get((first, second))
            if known is None or known.agreement < agreement:
                best[first, second] = found
    return [best[pair] for pair in sorted(best)]


def candidate_pairs(prints: Sequence[UInt32[np.ndarray, " _frames"]]) -> Int64[np.ndarray, "candidates 3"]:
    """Pairs of sounds that share keys, and the shift at which they do: frames of the second less those of the first."""
    keyed = [_keyed_frames(print_) for print_ in prints]
    total = sum(len(words) for words, _ in keyed)
    if not total:
        return np.zeros((0, 3), np.int64)
    words = np.concatenate([words for words, _ in keyed])
    frames = np.concatenate([frames for _, frames in keyed])
    sounds = np.repeat(np.arange(len(keyed), dtype=np.int64), [len(words) for words, _ in keyed])
    # Two keys of unrelated frames are equal once in so many: about as many buckets as frames.
    length = int(np.clip(np.ceil(np.log2(total)) + 1, 16, 2 * BITS))
    generator = np.random.default_rng(0)
    found = []
    for _ in range(_TABLES):
        chosen = generator.choice(2 * BITS, length, replace=False)
        mask = np.uint64(sum(1 << int(bit) for bit in chosen))
        found.append(_shifts_by_key(words & mask, sounds, frames))
    return _frequent_rows(np.concatenate(found), _LEAST_KEYS)


def compare_fingerprints(
    one: UInt32[np.ndarray, " _one"], other: UInt32[np.ndarray, " _other"], shift: int
) -> tuple[float, int]:
    """The share of bits in which two fingerprints agree, and in how many frames that are active in one of them.

    Args:
        one: a fingerprint.
        other: another.
        shift: about how many frames the other is behind; the shift near it where most bits agree counts.
    """
    best = 0.5, 0
    for near in range(shift - _SHIFTS, shift + _SHIFTS + 1):
        first, last = max(0, -near), min(len(one), len(other) - near)
        if first >= last:
            continue
        mine, theirs = one[first:last], other[first + near : last + near]
        active = is_active(mine | theirs)
        shared = int(active.sum())
        if shared:
            differing = int(_BITS_OF_BYTE[((mine ^ theirs)[active] & _DIFFERENCES).view(np.uint8)].sum())
            best = max(best, (1 - differing / (shared * BITS), shared))
    return best


def _keyed_frames(
    print_: UInt32[np.ndarray, " frames"],
) -> tuple[UInt64[np.ndarray, " active"], Int64[np.ndarray, " active"]]:
    """Of every active frame its bits, above them those of the frame that follows some way behind; and its number."""
    bits = (print_ & _DIFFERENCES).astype(np.uint64)
    later = np.zeros_like(bits)
    later[:-_SECOND] = bits[_SECOND:]
    frames = np.flatnonzero(is_active(print_))
    return (bits | later << np.uint64(BITS))[frames], frames


def _shifts_by_key(
    keys: UInt64[np.ndarray, " frames"], sounds: Int64[np.ndarray, " frames"], frames: Int64[np.ndarray, " frames"]
) -> Int64[np.ndarray, "n 3"]:
    """Pairs of sounds with a key in common, and the shift from one to the other, once for each key."""
    order = np.argsort(keys, kind="stable")  # within a key by sound and frame, as they come
    keys, sounds, frames = keys[order], sounds[order], frames[order]
    first = np.ones(len(keys), np.bool_)
    first[1:] = (keys[1:] != keys[:-1]) | (sounds[1:] != sounds[:-1])
    keys, sounds, frames = keys[first], sounds[first], frames[first]
    pairs = [np.zeros((0, 3), np.int64)]
    for step in range(1, min(_NEIGHBOURS, len(keys) - 1) + 1):
        same = keys[step:] == keys[:-step]
        shifts = (frames[step:] - frames[:-step])[same]
        pairs.append(np.stack([sounds[:-step][same], sounds[step:][same], shifts], axis=1))
    return np.concatenate(pairs)


def _frequent_rows(rows: Int64[np.ndarray, "n 3"], least: int) -> Int64[np.ndarray, "_n 3"]:
    """The rows that occur so often, each once, ascending."""
    rows = rows[np.lexsort(rows.T[::-1])]
    first = np.flatnonzero(np.concatenate([[True], (rows[1:] != rows[:-1]).any(axis=1)])[: len(rows)])
    counts = np.diff(np.append(first, len(rows)))
    return np.asarray(rows[first[counts >= least]])
