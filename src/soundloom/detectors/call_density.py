"""Call density: the share of windows that hold a call, from few checked ones (Navine 2024, arXiv 2402.15360).

Windows are divided into bins by their score, each of half as many windows as the one before, so that the last ones hold
the few that are probable. As many windows of every bin are drawn at random and checked. The share of calls in a bin has
a beta distribution, and the density is the sum of the bins' shares, weighted by their sizes; its interval is that of
draws from these distributions. No threshold is needed, and probabilities may be badly calibrated. When not: for a
detector that hardly ranks calls before the rest; then a few windows of a large bin miss the calls in it.

A sample is a table of regions: ``label`` is ``?`` until somebody has checked it, and then the call's name or nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from soundloom.annotations import UNMARKED, Annotation
from soundloom.detectors.calibration import Interval
from soundloom.detectors.events import ScoredWindows
from soundloom.errors import InvalidArgumentError
from soundloom.letter_case import folded

__all__ = ["call_density", "checked", "density_sample"]

_BINS = 5
_DRAWS = 10_000
_LEAST, _WEIGHT = 0.05, 0.5
"""The prior of a bin's share is the detector's mean probability in it, at least so much; it counts as half a window."""


def density_sample(
    windows: Sequence[ScoredWindows], column: int, seconds: float, count: int, *, seed: int = 0
) -> list[Annotation]:
    """Windows to check, of every score.

    Args:
        windows: of the recordings.
        column: the number of the label whose density is asked for.
        seconds: of the label's windows.
        count: how many windows, of all bins together.
        seed: of the drawing.

    Returns:
        Regions by file and start, not checked yet; columns ``bin``, ``share`` (of all windows that are in the bin) and
        ``expected`` (the mean probability in it).

    Raises:
        InvalidArgumentError: fewer windows than bins are asked for, or there are.
    """
    probabilities = np.concatenate([one.probabilities[:, column] for one in windows] or [np.zeros(0)])
    if count < _BINS or len(probabilities) < _BINS:
        raise InvalidArgumentError(
            f"a density needs {_BINS} windows or more to check, of as many or more, got {count} of {len(probabilities)}"
        )
    places = [(recording, number) for recording, one in enumerate(windows) for number in range(len(one.starts))]
    rng = np.random.default_rng(seed)
    found = []
    for bin_, members in enumerate(_bins(probabilities, rng)):
        wanted = count // _BINS + (bin_ >= _BINS - count % _BINS)
        facts = {"bin": bin_, "share": len(members) / len(probabilities), "expected": _mean(probabilities[members])}
        for member in rng.permutation(members)[:wanted]:
            recording, number = places[member]
            one = windows[recording]
            score = round(float(probabilities[member]), 6)
            start, end = one.around(number, seconds)
            found.append(Annotation(one.path, start, end, UNMARKED, score, one.duration, facts))
    return sorted(found, key=lambda one: (one.path, one.start))


def call_density(sample: Sequence[Annotation], label: str) -> Interval:
    """The share of windows that hold a call, with its 95 % interval.

    Args:
        sample: of `density_sample`, checked; regions that are not are left out.
        label: the call.

    Raises:
        InvalidArgumentError: the regions are of no such sample, or none of a bin is checked.
    """
    bins: dict[int, list[bool]] = defaultdict(list)
    facts: dict[int, tuple[float, float]] = {}
    try:
        for one in sample:
            bin_, share, expected = (_number(one.columns[name]) for name in ("bin", "share", "expected"))
            facts[bin_ := int(bin_)] = share, expected
            if one.label != UNMARKED:
                bins[bin_].append(folded(one.label) == folded(label))
    except (KeyError, ValueError, TypeError):
        raise InvalidArgumentError(
            "a density is of a table that soundloom detector sample --by density wrote: its columns bin, share and "
            "expected are needed"
        ) from None
    missing = [bin_ for bin_ in facts if not bins[bin_]]
    if missing or not facts:
        raise InvalidArgumentError(
            f"of the bins {sorted(missing)} no region is checked: write {label!r} as the label where the call is, and "
            "nothing where it is not"
        )
    rng = np.random.default_rng(0)
    value, draws = 0.0, np.zeros(_DRAWS)
    for bin_, (share, expected) in sorted(facts.items()):
        yes, every = sum(bins[bin_]), len(bins[bin_])
        prior = min(1 - _LEAST, max(_LEAST, expected)) * _WEIGHT
        posterior = yes + prior, every - yes + _WEIGHT - prior
        value += share * posterior[0] / sum(posterior)
        draws += share * rng.beta(*posterior, _DRAWS)
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(value, min(value, float(low)), max(value, float(high)))


def checked(regions: Sequence[Annotation]) -> list[Annotation]:
    """The regions that somebody has checked, or that were never asked about."""
    return [replace(one, score=None) for one in regions if one.label != UNMARKED]


def _bins(probabilities: Float[np.ndarray, " windows"], rng: np.random.Generator) -> list[Int[np.ndarray, " _members"]]:
    """Numbers of windows, of each bin, by rank: a half of all, a quarter, and so on; none is empty."""
    order = np.lexsort((rng.random(len(probabilities)), probabilities))
    edges = [0, *(round(len(order) * (1 - 0.5**bin_)) for bin_ in range(1, _BINS)), len(order)]
    for bin_ in range(_BINS - 1, 0, -1):
        edges[bin_] = min(edges[bin_], edges[bin_ + 1] - 1)
    return [order[first:last] for first, last in pairwise(edges)]


def _number(cell: object) -> float:
    """The number of a cell, also with the decimal comma of a spreadsheet."""
    return float(str(cell).replace(",", "."))


def _mean(values: Float[np.ndarray, " members"]) -> float:
    return round(float(values.mean()), 6)
