"""Active learning of a tag: from a few segments marked yes or no, how probably the tag fits every other one.

A logistic regression (`soundloom.library.tags.logistic_regression`) on the vectors that searches compare. The segments
that somebody marks are near neighbours of each other, and a classifier of them alone does not generalise to the rest of
the library. So at most `PRESUMED` segments drawn from files without a yes are presumed to be no as well; where some are
marked no, all the presumed ones together count as much as these. Where the tag fits much of the library some of the
presumptions are wrong, which costs some accuracy. Yes and no count a half each.

The examples are divided by file, because segments of one file are nearly the same sound, into folds with a share of yes
and no each. Classifiers of all folds but one score the held-out one: by these scores the penalty is chosen (least log
loss), the scores become probabilities (Platt), and `TaggingQuality` estimates the accuracy. A probability is as among
examples of which half are yes; where the tag is rare, expect fewer of the probable ones to be right.

The best segments to mark next are those nearest to even odds, without several alike: each next one has the largest
product of uncertainty and distance from those chosen before (after Brinker 2003).

When not: for thousands of examples, or for tags that depend on more than the embedding holds; train a model then.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from soundloom.errors import QueryError
from soundloom.library.segments import Segment, SegmentRef, Segments
from soundloom.library.tags.logistic_regression import (
    Logistic,
    average_precision,
    balanced,
    fit,
    platt,
    span,
    wilson_interval,
)

if TYPE_CHECKING:
    from soundloom.library.search.search_index import SearchIndex

__all__ = ["PRESUMED", "ExampleTagging", "SuggestedSegment", "TaggingQuality", "tagged_by_example"]

PRESUMED = 200
"""Segments presumed to be no, at most."""

MOST_DOUBTFUL = 100
"""Segments to mark next, at most: each costs a comparison with all candidates, and after a few the others change."""

_FOLDS = 5
_PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)
_UNSURE_PENALTY = 1e-2
"""Used where there are too few examples for cross-validation."""
_FEW = 5
"""Files of either kind below which the message asks for more examples."""


@dataclass(frozen=True)
class SuggestedSegment(Segment):
    """A segment that the tag may fit.

    Attributes:
        probability: that it does, as among examples of which half are yes.
    """

    probability: float


@dataclass(frozen=True)
class TaggingQuality:
    """Accuracy of a tagging, measured on examples that the classifiers had not seen.

    Attributes:
        accuracy: the share that is right, mean of yes and no: 0.5 is chance. None where too few files are marked.
        low: the accuracy's 95 % interval (Wilson's, a file counting once) begins here.
        high: and ends here.
        average_precision: mean precision at every yes. None where too few files are marked.
        yes: segments marked yes.
        no: segments marked no.
        presumed: segments presumed to be no.
        message: the same in words, and what to do about it.
    """

    accuracy: float | None
    low: float | None
    high: float | None
    average_precision: float | None
    yes: int
    no: int
    presumed: int
    message: str


@dataclass(frozen=True, eq=False)
class ExampleTagging:
    """A library ranked by examples of a tag.

    Attributes:
        tag: the tag.
        ranked: the segments it most probably fits, best first; neither marked nor tagged so already.
        doubtful: the segments to mark next, the most informative first; a hundred at most.
        quality: how accurate this is.
        probabilities: of every segment of the library, in the order of its index.
    """

    tag: str
    ranked: tuple[SuggestedSegment, ...]
    doubtful: tuple[SuggestedSegment, ...]
    quality: TaggingQuality
    probabilities: Float[np.ndarray, " rows"]


@dataclass(frozen=True, eq=False)
class _Examples:
    """The segments to learn from: their rows, labels, importance and files."""

    rows: Int[np.ndarray, " examples"]
    yes: Bool[np.ndarray, " examples"]
    presumed: Bool[np.ndarray, " examples"]
    importance: Float[np.ndarray, " examples"]
    files: Int[np.ndarray, " examples"]


def tagged_by_example(
    index: SearchIndex,
    tag: str,
    yes: Iterable[SegmentRef],
    no: Iterable[SegmentRef],
    k: int,
    above: float,
) -> ExampleTagging:
    """Rank a library by examples; see `LibraryTags.by_example`."""
    if k < 1:
        raise QueryError(f"k must be at least 1, got {k}")
    segments = index.segments
    tagged = segments.with_tag(tag)
    examples = _gather(index, segments.rows_of(yes), segments.rows_of(no), tagged)
    vectors = index.vectors
    learned, directions = span(vectors[examples.rows])
    penalty, held_out = _cross_validated(learned, examples)
    inner = fit(learned, examples.yes, balanced(examples.yes, examples.importance), penalty)
    scores = Logistic(inner.weights @ directions, inner.bias).scores(vectors).astype(np.float64)
    slope, offset = 1.0, 0.0
    if held_out is not None:
        # A presumed no must not be scored by a classifier that was trained on the presumption.
        scores[examples.rows[examples.presumed]] = held_out[examples.presumed]
        slope, offset = platt(held_out, examples.yes, balanced(examples.yes, examples.importance))
    probabilities = _sigmoid(slope * scores + offset)

    open_rows = np.flatnonzero(~tagged)
    open_rows = open_rows[~np.isin(open_rows, examples.rows[~examples.presumed])]
    probable = open_rows[probabilities[open_rows] >= above]
    ranked = _best(scores[probable], probable, k)
    doubtful = _most_informative(vectors, probabilities, open_rows, min(k, MOST_DOUBTFUL))
    held_out_probabilities = None if held_out is None else _sigmoid(slope * held_out + offset)
    return ExampleTagging(
        tag=tag,
        ranked=_suggestions(segments, ranked, probabilities),
        doubtful=_suggestions(segments, doubtful, probabilities),
        quality=_quality(examples, held_out_probabilities),
        probabilities=probabilities,
    )


def _gather(
    index: SearchIndex, yes: Int[np.ndarray, " yes"], no: Int[np.ndarray, " no"], tagged: Bool[np.ndarray, " rows"]
) -> _Examples:
    """The marked segments, and a drawn sample of those presumed to be no."""
    import pyarrow.compute as pc

    if not len(yes):
        raise QueryError("no segment is marked yes: mark one that the tag fits")
    both = np.intersect1d(yes, no)
    if len(both):
        row = index.rows.slice(int(both[0]), 1).to_pylist()[0]
        raise QueryError(f"{row['path']!r} at {row['start']:g} s is marked both yes and no")
    files = pc.dictionary_encode(index.rows["path"]).combine_chunks().indices.to_numpy()
    free = ~tagged & ~np.isin(files, files[yes])
    free[no] = False
    presumed = np.random.default_rng(0).permutation(np.flatnonzero(free))[:PRESUMED]
    rows = np.concatenate([yes, no, presumed])
    kind = np.repeat([0, 1, 2], [len(yes), len(no), len(presumed)])
    weight = min(1.0, len(no) / max(1, len(presumed))) if len(no) else 1.0
    if not len(no) and not len(presumed):
        raise QueryError("every segment is marked yes, tagged or of a marked file: mark one that the tag does not fit")
    return _Examples(
        rows=rows,
        yes=kind == 0,
        presumed=kind == 2,
        importance=np.where(kind == 2, weight, 1.0),
        files=np.unique(files[rows], return_inverse=True)[1].astype(np.int64),
    )


def _cross_validated(
    vectors: Float[np.ndarray, "examples dim"], examples: _Examples
) -> tuple[float, Float[np.ndarray, " examples"] | None]:
    """The penalty with the least held-out loss and the scores held out at it; None where there is nothing to divide."""
    folds = _folds(examples)
    if folds is None:
        return _UNSURE_PENALTY, None
    weights = balanced(examples.yes, examples.importance)
    signs = np.where(examples.yes, 1.0, -1.0)
    tried = []
    for penalty in _PENALTIES:
        scores = np.empty(len(vectors))
        for fold in range(int(folds.max()) + 1):
            seen, held = folds != fold, folds == fold
            importance = balanced(examples.yes[seen], examples.importance[seen])
            scores[held] = fit(vectors[seen], examples.yes[seen], importance, penalty).scores(vectors[held])
        tried.append((float(weights @ np.logaddexp(0, -signs * scores)), penalty, scores))
    _, penalty, scores = min(tried, key=lambda one: one[0])
    return penalty, scores


def _folds(examples: _Examples) -> Int[np.ndarray, " examples"] | None:
    """A fold for every example: each file in one, yes and no spread over all. None without two files of each."""
    count = int(examples.files.max()) + 1
    yes = np.bincount(examples.files, examples.yes, count)
    no = np.bincount(examples.files, ~examples.yes, count)
    folds = min(_FOLDS, int((yes > 0).sum()), int((no > 0).sum()))
    if folds < 2:
        return None
    held = np.zeros((folds, 2))
    of_file = np.empty(count, np.int64)
    shuffled = np.random.default_rng(0).permutation(count)
    # The largest first, each to the fold that has least of its kind so far: what comes last evens out.
    for file in shuffled[np.lexsort((-no[shuffled], -yes[shuffled]))]:
        fold = np.lexsort((held[:, 1], held[:, 0]) if yes[file] else (held[:, 0], held[:, 1]))[0]
        of_file[file] = fold
        held[fold] += yes[file], no[file]
    chosen: Int[np.ndarray, " examples"] = of_file[examples.files]
    return chosen


def _quality(examples: _Examples, held_out: Float[np.ndarray, " examples"] | None) -> TaggingQuality:
    yes, no, presumed = int(examples.yes.sum()), int((~examples.yes & ~examples.presumed).sum()), examples.presumed
    counts = {"yes": yes, "no": no, "presumed": int(presumed.sum())}
    marked_files = [len(np.unique(examples.files[kind & ~presumed])) for kind in (examples.yes, ~examples.yes)]
    if held_out is None:
        message = "too few examples to say how sure this is: mark segments of two files yes, and of two others no"
        return TaggingQuality(accuracy=None, low=None, high=None, average_precision=None, message=message, **counts)
    # Where no's of several files are marked, they are harder than the presumed ones and a better test.
    judged = ~presumed if marked_files[1] >= 2 else np.ones(len(presumed), np.bool_)
    right = (held_out >= 0.5) == examples.yes
    shares = []
    for kind in (examples.yes, ~examples.yes):
        rows = kind & judged
        shares.append(wilson_interval(float(right[rows].mean()), len(np.unique(examples.files[rows]))))
    low, accuracy, high = (sum(pair) / 2 for pair in zip(*shares, strict=True))
    message = f"{accuracy:.0%} right on examples held out ({low:.0%} to {high:.0%})"
    if marked_files[1] < 2:
        message += ", with segments drawn from the library taken for no"
    if min(marked_files[0], marked_files[1] if marked_files[1] >= 2 else _FEW) < _FEW:
        message += "; few files are marked: mark more, the doubtful ones first"
    precision = average_precision(held_out[judged], examples.yes[judged])
    return TaggingQuality(accuracy=accuracy, low=low, high=high, average_precision=precision, message=message, **counts)


def _best(scores: Float[np.ndarray, " rows"], rows: Int[np.ndarray, " rows"], k: int) -> Int[np.ndarray, " _best"]:
    """The rows with the k largest scores, largest first, the earlier of two equals first."""
    return rows[np.lexsort((rows, -scores))[:k]]


def _most_informative(
    vectors: Float[np.ndarray, "rows dim"],
    probabilities: Float[np.ndarray, " rows"],
    rows: Int[np.ndarray, " open"],
    k: int,
) -> Int[np.ndarray, " _chosen"]:
    """Uncertain rows that differ from each other, the most uncertain first."""
    doubt = 1 - np.abs(2 * probabilities[rows] - 1)
    # Equal doubts, as where nothing is known yet, are drawn from all over the library.
    drawn = np.random.default_rng(0).permutation(len(rows))
    candidates = drawn[np.argsort(-doubt[drawn], kind="stable")[: max(200, 10 * k)]]
    rows, doubt = rows[candidates], doubt[candidates]
    points = np.asarray(vectors[rows], np.float32)
    points = points / np.maximum(np.linalg.norm(points, axis=1, keepdims=True), 1e-12)
    distance = np.ones(len(rows))
    chosen: list[int] = []
    for _ in range(min(k, len(rows))):
        gain = doubt * distance
        gain[chosen] = -1
        chosen.append(int(gain.argmax()))
        distance = np.minimum(distance, np.maximum(1 - points @ points[chosen[-1]], 1e-6))
    return rows[chosen]


def _suggestions(
    segments: Segments, rows: Int[np.ndarray, " n"], probabilities: Float[np.ndarray, " rows"]
) -> tuple[SuggestedSegment, ...]:
    found: Sequence[Segment] = segments.at(rows)
    return tuple(
        SuggestedSegment(one.path, one.start, one.end, one.duration, one.tags, probability, absent=one.absent)
        for one, probability in zip(found, probabilities[rows].tolist(), strict=True)
    )


def _sigmoid(scores: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    return np.asarray(np.exp(-np.logaddexp(0, -scores)))
