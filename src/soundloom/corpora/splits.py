"""Train, validation and test splits that keep groups together.

Clips of one speaker, one recording or one instrument resemble each other more than their labels say; a
classifier that has met the speaker in training scores what it will not score outside. So whole groups are
dealt out. Among the ways of dealing whole groups, the greedy one here keeps every class near its share,
in the manner of iterative stratification (Sechidis, Tsoumakas & Vlahavas 2011, ECML), with groups for
examples: the largest group first, each to the split that most needs what the group holds.

Not for sets published with splits or folds of their own.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64

from soundloom.counted import counted
from soundloom.errors import InvalidArgumentError

__all__ = ["SPLITS", "Fractions", "canonical_split", "draw_splits"]

SPLITS = ("train", "valid", "test")
Fractions = tuple[float, float, float]

_SPELLINGS = {
    "train": ("train", "training", "tr"),
    "valid": ("valid", "val", "validation", "dev"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_CANONICAL = {spelling: split for split, spellings in _SPELLINGS.items() for spelling in spellings}


def canonical_split(spelling: str) -> str | None:
    """The split that a list of a data set means, or None when it is no name of a split.

    >>> canonical_split("val"), canonical_split("Testing"), canonical_split("dog")
    ('valid', 'test', None)
    """
    return _CANONICAL.get(spelling.strip().lower())


def draw_splits(
    groups: Int64[np.ndarray, " clips"],
    clips: Int64[np.ndarray, " labels"],
    classes: Int64[np.ndarray, " labels"],
    fractions: Fractions,
    *,
    seed: int,
) -> Int64[np.ndarray, " clips"]:
    """Deal whole groups to train, valid and test.

    Args:
        groups: each clip's group, numbered from zero without gaps.
        clips: the clip of every (clip, label) pair.
        classes: the class number of every (clip, label) pair.
        fractions: the shares of train, valid and test, summing to one.
        seed: of the order among groups of equal size.

    Returns:
        Each clip's split, 0 train, 1 valid, 2 test; none with a share above zero stays empty.

    Raises:
        InvalidArgumentError: the fractions are no shares of a whole, or there are fewer groups than splits.
    """
    shares = np.asarray(fractions, dtype=np.float64)
    _check(shares, groups)

    # Being a clip counts as one more class, the last, so that sizes are kept and clips without labels are dealt too.
    everything = classes.max(initial=-1) + 1
    owner = np.concatenate([groups[clips], groups])
    held = np.concatenate([classes, np.full(len(groups), everything)])
    pairs, counts = np.unique(owner * (everything + 1) + held, return_counts=True)
    owner, held = np.divmod(pairs, everything + 1)
    sizes = np.bincount(groups)
    bounds = np.searchsorted(owner, np.arange(len(sizes) + 1))

    # Split s is due share[s] total[c] clips of class c; need[s, c] is the fraction of them it still lacks. Needs are
    # relative, so that the small splits fill at the pace of the large one; absolute lacks would let the large one
    # take every class that only few groups hold. A group goes where the mean need of its labels is the largest,
    # among the splits that it brings nearer to their size: |lack - size| < |lack|, which is size < 2 lack.
    wanted = np.flatnonzero(shares)
    due = shares[wanted, None] * np.bincount(held, weights=counts)
    lacking = due.copy()
    shuffled = np.random.default_rng(seed).permutation(len(sizes))
    order = shuffled[np.argsort(-sizes[shuffled], kind="stable")]
    chosen = np.empty(len(sizes), dtype=np.int64)
    empty = np.ones(len(wanted), dtype=bool)
    for dealt, group in enumerate(order):
        part = slice(bounds[group], bounds[group + 1])
        need = (lacking[:, held[part]] / due[:, held[part]]) @ counts[part]
        # The last groups are kept for the splits that would otherwise have none.
        fits = empty if len(order) - dealt <= empty.sum() else sizes[group] < 2 * lacking[:, everything]
        best = int(np.argmax(np.where(fits, need, -np.inf) if fits.any() else lacking[:, everything]))
        chosen[group] = wanted[best]
        empty[best] = False
        lacking[best, held[part]] -= counts[part]
    splits: Int64[np.ndarray, " clips"] = chosen[groups]
    return splits


def _check(shares: Float64[np.ndarray, " splits"], groups: Int64[np.ndarray, " clips"]) -> None:
    if (shares < 0).any() or abs(shares.sum() - 1) > 1e-6:
        raise InvalidArgumentError(
            f"the shares of train, valid and test must sum to one and not be negative, got {shares.tolist()}"
        )
    count, wanted = len(np.unique(groups)), np.count_nonzero(shares)
    if count < wanted:
        raise InvalidArgumentError(
            f"{counted(count, 'group')} of sounds (recordings, speakers) cannot be divided into {wanted} splits "
            "without cutting one"
        )
