"""SVG plots of the report: intervals, bars, confusion matrices, layer curves, scatter.

Written without matplotlib, which draws SVG with fixed colours and turns text into outlines. Colours here come from the
page's style sheet (classes ``c0`` to ``c7``, ``ink``, ``faint``), so that a plot follows the page into the dark; text
stays text, which scales, is found and is read aloud. Each plot has a title that says what it shows. Lengths are in
pixels of a view box that the page scales to its width.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from itertools import pairwise

import numpy as np
from jaxtyping import Float, Int

from soundloom.evaluation.analysis.layers import Choice
from soundloom.evaluation.report.tables import percent, written
from soundloom.evaluation.results import Projection
from soundloom.evaluation.scores import Score

__all__ = ["COLOURS", "bars", "confusion", "hue", "intervals", "layer_curves", "scatter"]

COLOURS = 8
"""How many series the style sheet has colours for; further ones begin again."""

TASK_COLOURS = (1, 3, 4, 5, 6, 7)
"""Those of single tasks among the layers: 0 and 2 are the colours of the late and the middle layer."""

LABELLED = 60
"""Classes whose names fit beside a confusion matrix."""


def intervals(groups: Mapping[str, Sequence[tuple[str, float, float | None, float | None]]], title: str) -> str:
    """Scores as dots with their intervals; what was published as a diamond.

    Args:
        groups: heading -> rows of a name, a mean, half an interval and a published value, shares of 1.
        title: what the picture shows.
    """
    left, right, step, width = 220, 70, 20, 900
    span = width - left - right
    parts: list[str] = []
    y = 10.0
    names = list(dict.fromkeys(row[0] for rows in groups.values() for row in rows))
    for heading, rows in groups.items():
        y += 20
        parts.append(_text(0, y, heading, "strong"))
        y += 4
        for name, mean, half, known in rows:
            y += step
            x, series = left + span * mean, f"c{names.index(name) % COLOURS}"
            parts.append(_text(left - 12, y + 4, name, end=True))
            parts.append(_line(left, y, left + span, y, "grid"))
            if half is not None:
                ends = (left + span * max(0.0, mean - half), left + span * min(1.0, mean + half))
                parts.append(_line(ends[0], y, ends[1], y, f"whisker {series}"))
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" class="fill {series}"/>')
            if known is not None:
                at = left + span * known
                parts.append(
                    f'<path d="M{at:.1f} {y - 6:.1f}l6 6l-6 6l-6-6z" class="outline"><title>published: '
                    f"{percent(known)}</title></path>"
                )
            parts.append(_text(width - right + 8, y + 4, percent(mean)))
        y += 10
    ticks = [_text(left + span * share / 4, y + 16, f"{25 * share}", "faint", middle=True) for share in range(5)]
    return _svg(width, y + 24, title, [*parts, *ticks])


def bars(rows: Mapping[str, tuple[float, float | None]], title: str, *, mark: float | None = None) -> str:
    """Horizontal bars from zero, in percent; ``mark`` is a line to compare with, such as chance."""
    left, right, step, width = 330, 110, 26, 900
    span = width - left - right
    low = min(0.0, *(value for value, _ in rows.values()))
    high = max(1e-9, mark or 0.0, *(value + (half or 0.0) for value, half in rows.values()))
    scale = span / (high - low)
    zero = left - low * scale
    parts = []
    for number, (name, (value, half)) in enumerate(rows.items()):
        y = number * step
        first, last = sorted((zero, zero + value * scale))
        parts.append(_text(left - 12, y + 17, name, end=True))
        size = f'x="{first:.1f}" y="{y + 5}" width="{last - first:.1f}" height="{step - 8}"'
        parts.append(f'<rect {size} rx="2" class="fill c0"/>')
        if half is not None:
            middle = y + 5 + (step - 8) / 2
            ends = (zero + (value - half) * scale, zero + (value + half) * scale)
            parts.append(_line(ends[0], middle, ends[1], middle, "whisker ink"))
        parts.append(_text(zero + (max(value, 0) + (half or 0.0)) * scale + 8, y + 17, written(value, half)))
    height = len(rows) * step
    parts.append(_line(zero, 0, zero, height, "axis"))
    if mark is not None:
        at = zero + mark * scale
        parts.append(_line(at, 0, at, height, "mark"))
    return _svg(width, height + 6, title, parts)


def confusion(matrix: Int[np.ndarray, "classes classes"], classes: Sequence[str], title: str) -> str:
    """How often each class (row) was taken for each (column), as a share of the row; deeper is more."""
    count = len(classes)
    labelled = count <= LABELLED
    cell = max(3.0, min(26.0, 660 / count))
    longest = max(map(len, classes))
    edge = 14 + 6.2 * min(longest, 24) if labelled else 8.0
    size = edge + cell * count
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    parts = [
        f'<rect x="{edge:.1f}" y="{edge:.1f}" width="{cell * count:.1f}" height="{cell * count:.1f}" class="well"/>'
    ]
    for row, column in zip(*np.nonzero(matrix), strict=True):
        place = f'x="{edge + column * cell:.1f}" y="{edge + row * cell:.1f}" width="{cell:.1f}" height="{cell:.1f}"'
        kind = "right" if row == column else "wrong"
        shown = f"{classes[row]} taken for {classes[column]}: {percent(shares[row, column])} %"
        # A square root, so that rare confusions can be seen at all.
        depth = math.sqrt(shares[row, column])
        parts.append(f'<rect {place} class="{kind}" fill-opacity="{depth:.2f}"><title>{escape(shown)}</title></rect>')
    for number, name in enumerate(classes if labelled else ()):
        middle = edge + (number + 0.5) * cell
        short, small = _short(name), f"font-size:{min(12.0, max(8.0, cell * 0.8)):.0f}px"
        parts.append(
            f'<text x="{edge - 6:.1f}" y="{middle + 3.5:.1f}" class="end" style="{small}">{escape(short)}</text>'
        )
        parts.append(
            f'<text transform="translate({middle + 3.5:.1f} {edge - 6:.1f}) rotate(-90)" style="{small}">'
            f"{escape(short)}</text>"
        )
    return _svg(size + 4, size + 4, title, parts)


def scatter(projection: Projection, classes: Sequence[str], title: str) -> str:
    """Clips in the plane, coloured by class; classes that lie close together are named, where there is room."""
    width, edge = 720, 30
    points, labels = np.asarray(projection.points), np.asarray(projection.labels)
    extent = np.ptp(points, axis=0)
    # One scale for both axes.
    scale = (width - 2 * edge) / max(float(extent.max()), 1e-12)
    placed = edge + (points - points.min(axis=0)) * scale
    height = 2 * edge + float(extent[1]) * scale
    radius = 4.5 if len(points) <= 500 else 3.0
    parts = [
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{hue(label)}" class="dot">'
        f"<title>{escape(classes[label])}</title></circle>"
        for (x, y), label in zip(placed, labels.tolist(), strict=True)
    ]
    return _svg(2 * edge + float(extent[0]) * scale, height, title, [*parts, *_names(placed, labels, classes)])


def _names(
    placed: Float[np.ndarray, "clips 2"], labels: Int[np.ndarray, " clips"], classes: Sequence[str]
) -> Iterator[str]:
    """Names of classes at their medians, from the closest class to the most scattered, none over another."""
    medians = {label: np.median(placed[labels == label], axis=0) for label in set(labels.tolist())}
    spread = {
        label: float(np.median(np.linalg.norm(placed[labels == label] - median, axis=1)))
        for label, median in medians.items()
    }
    taken: list[tuple[float, float, float]] = []
    for label in sorted(medians, key=lambda label: spread[label]):
        (x, y), half = medians[label], 4 * len(_short(classes[label])) + 4
        if all(abs(x - left) > half + other or abs(y - top) > 18 for left, top, other in taken):
            taken.append((float(x), float(y), half))
            yield _text(float(x), float(y), _short(classes[label]), "halo", middle=True)


def layer_curves(tasks: Mapping[str, Mapping[int, Score]], choice: Choice, title: str) -> str:
    """Scores by layer: a line a task, a broad line for the mean of each group, M and L marked."""
    layers = list(next(iter(tasks.values())))
    left, top, width, height, names = 50, 24, 640, 360, 210
    means = [score.mean for curve in tasks.values() for score in curve.values()]
    low, high = max(0.0, math.floor(min(means) * 10) / 10), min(1.0, math.ceil(max(means) * 10) / 10)
    high = max(high, low + 0.1)

    def at(layer: int, value: float) -> tuple[float, float]:
        step = width / max(1, len(layers) - 1)
        return left + layers.index(layer) * step, top + height * (1 - (value - low) / (high - low))

    parts = []
    for tenth in range(round(low * 10), round(high * 10) + 1):
        _, y = at(layers[0], tenth / 10)
        parts += [_line(left, y, left + width, y, "grid"), _text(left - 8, y + 4, f"{10 * tenth}", "faint", end=True)]
    for layer in layers:
        x, _ = at(layer, low)
        parts.append(_text(x, top + height + 20, f"{layer}", middle=True))
    parts.append(_text(left + width / 2, top + height + 42, "layer", "faint", middle=True))

    series: list[tuple[str, str, Mapping[int, float]]] = []
    for number, (task, curve) in enumerate(tasks.items()):
        series.append(
            (
                task,
                f"c{TASK_COLOURS[number % len(TASK_COLOURS)]}",
                {layer: score.mean for layer, score in curve.items()},
            )
        )
    for name, kind, group in (("late", "late", choice.late_means), ("middle", "middle", choice.middle_means)):
        if group and len(tasks) > 1:
            series.append((f"mean of {name} tasks", f"mean {kind}", group))
    places = _spread([at(layers[-1], values[layers[-1]])[1] for *_, values in series], 18)
    for (name, kind, values), place in zip(series, places, strict=True):
        dots = {layer: at(layer, values[layer]) for layer in layers}
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots.values())
        parts.append(f'<polyline points="{path}" class="curve {kind}"><title>{escape(name)}</title></polyline>')
        for layer, (x, y) in dots.items():
            shown = escape(f"{name}, layer {layer}: {percent(values[layer])} %")
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" class="fill {kind}"><title>{shown}</title></circle>')
        parts.append(_text(left + width + 14, place + 4, name, f"label {kind}"))
    for letter, chosen, kind in (("M", choice.middle, "middle"), ("L", choice.late, "late")):
        if chosen is not None:
            x, _ = at(chosen, low)
            # Side by side where both are the same layer.
            shift = {"M": -7, "L": 7}[letter] if choice.middle == choice.late else 0
            parts.append(_line(x, top, x, top + height, f"choice {kind}"))
            parts.append(_text(x + shift, top - 8, letter, f"label {kind}", middle=True))
    return _svg(left + width + names, top + height + 50, title, parts)


def hue(label: int) -> str:
    """A colour for a class: hues a golden angle apart, in three depths."""
    return f"hsl({label * 137.508 % 360:.0f} 62% {(52, 42, 62)[label % 3]}%)"


def _spread(places: Sequence[float], room: float) -> list[float]:
    """The places, pushed apart where they are closer than the room, in their order."""
    order = sorted(range(len(places)), key=lambda number: places[number])
    moved = list(places)
    for before, after in pairwise(order):
        moved[after] = max(moved[after], moved[before] + room)
    return moved


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    box = f'viewBox="0 0 {width:.0f} {height:.0f}" style="max-width:{width:.0f}px"'
    return f'<svg {box} role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>{"".join(parts)}</svg>'


def _text(x: float, y: float, text: str, kind: str = "", *, end: bool = False, middle: bool = False) -> str:
    anchor = " end" if end else " middle-anchor" if middle else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{(kind + anchor).strip()}">{escape(text)}</text>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{kind}"/>'


def _short(name: str) -> str:
    return name if len(name) <= 24 else name[:23] + "…"
