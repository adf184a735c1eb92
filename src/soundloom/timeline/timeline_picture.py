"""Timeline of a recording as a PNG: spectrogram, false colours, regions by label, similarity to a sound."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from os import PathLike
from typing import Any

import numpy as np
from jaxtyping import Float

from soundloom.annotations import Annotation
from soundloom.pictures.typography import DPI, FAINT, fitted, font, text
from soundloom.timeline.long_spectrum import LongSpectrum

__all__ = ["timeline_picture"]

_WIDTH, _LEFT, _RIGHT = 14.0, 1.5, 1.3
_SPECTRUM, _TRACK, _CURVE, _GAP = 2.4, 0.28, 1.0, 0.3
_TOP, _BOTTOM = 0.55, 0.6
_MOST = 20
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5d3a9b", "#8c510a")


def timeline_picture(
    spectrum: LongSpectrum,
    out: str | PathLike[str],
    *,
    title: str,
    regions: Sequence[Annotation] = (),
    similarity: tuple[Float[np.ndarray, " windows"], Float[np.ndarray, " windows"]] | None = None,
    recorded: datetime | None = None,
) -> None:
    """Draw a timeline and write it as a PNG.

    Args:
        spectrum: of the recording.
        out: the PNG to write; a file of that name is replaced. It is 1680 pixels wide.
        title: the recording's name.
        regions: detections, tags, annotations: a track for each of the twenty most frequent labels.
        similarity: seconds, and the similarity to a sound at each.
        recorded: when the recording began; the axis shows times of the day then.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels = sorted({one.label for one in regions}, key=lambda label: (-_seconds(regions, label), label))[:_MOST]
    heights = [_SPECTRUM, _SPECTRUM]
    heights += [max(_TRACK * len(labels), 0.4)] if labels else []
    heights += [_CURVE] if similarity is not None else []
    height = _TOP + _BOTTOM + sum(heights) + _GAP * (len(heights) - 1)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    panels, top = [], height - _TOP
    for each in heights:
        box = (_LEFT / _WIDTH, (top - each) / height, 1 - (_LEFT + _RIGHT) / _WIDTH, each / height)
        panels.append(figure.add_axes(box))
        top -= each + _GAP
    panels[0].set_title(fitted(title, font(12, "bold"), _WIDTH - 3), loc="left", **text(12, weight="bold"))
    _draw_spectra(figure, panels[0], panels[1], spectrum)
    if labels:
        _draw_regions(panels[2], labels, regions)
    if similarity is not None:
        panels[-1].plot(*similarity, color=_COLOURS[0], linewidth=0.7)
        panels[-1].set_ylabel("similarity", color=FAINT, fontsize=8)
    for panel in panels:
        panel.set_xlim(0, spectrum.duration)
        panel.tick_params(labelsize=8)
        panel.set_xticks([])
    _draw_time(panels[-1], spectrum.duration, recorded)
    figure.savefig(out, format="png", dpi=DPI, facecolor="white")


def _seconds(regions: Sequence[Annotation], label: str) -> float:
    return sum(one.end - one.start for one in regions if one.label == label)


def _draw_spectra(figure: Any, upper: Any, lower: Any, spectrum: LongSpectrum) -> None:
    """The average spectrogram with the long-term average spectrum on its right, and the false-colour one below."""
    extent = (0, len(spectrum.average) * spectrum.seconds, 0, spectrum.sample_rate / 2)
    unit, scale = ("kHz", 1000.0) if spectrum.sample_rate >= 4000 else ("Hz", 1.0)
    low, high = np.quantile(spectrum.average, [0.05, 0.995])
    # Columns that are wider than a pixel keep their edges.
    sharp = "nearest" if len(spectrum.average) <= DPI * (_WIDTH - _LEFT - _RIGHT) else None
    shape: dict[str, Any] = {"origin": "lower", "aspect": "auto", "extent": extent, "interpolation": sharp}
    upper.imshow(spectrum.average.T, cmap="magma", vmin=low, vmax=high, **shape)
    lower.imshow(spectrum.false_colours().transpose(1, 0, 2), **shape)
    for panel in (upper, lower):
        ticks = [tick for tick in panel.get_yticks() if tick <= spectrum.sample_rate / 2]
        panel.set_yticks(ticks, [f"{tick / scale:g}" for tick in ticks])
        panel.set_ylabel(unit, color=FAINT, fontsize=8)
    lower.set_title("red complexity, green entropy, blue events", loc="right", fontsize=7, color=FAINT, pad=3)
    box = upper.get_position()
    side = figure.add_axes((box.x1 + 0.008, box.y0, (_RIGHT - 0.3) / _WIDTH, box.height))
    side.plot(spectrum.mean_spectrum(), spectrum.frequencies, color=_COLOURS[0], linewidth=0.8)
    side.set_ylim(0, spectrum.sample_rate / 2)
    side.set_yticks([])
    side.tick_params(labelsize=7)
    side.set_xlabel("dB", color=FAINT, fontsize=7)


def _draw_regions(panel: Any, labels: Sequence[str], regions: Sequence[Annotation]) -> None:
    for row, label in enumerate(labels):
        some = [one for one in regions if one.label == label]
        shares = [(one.start, max(one.end - one.start, 1e-3)) for one in some]
        # At least two pixels wide, however long the recording is; fainter where the score is lower.
        alphas = [1.0 if one.score is None or not 0 <= one.score <= 1 else 0.25 + 0.75 * one.score for one in some]
        colour = _COLOURS[row % len(_COLOURS)]
        panel.broken_barh(shares, (row - 0.35, 0.7), facecolors=colour, edgecolors=colour, linewidth=1.2, alpha=alphas)
    panel.set_ylim(len(labels) - 0.5, -0.5)
    panel.set_yticks(range(len(labels)), [fitted(label or "?", font(8), _LEFT - 0.2) for label in labels], **text(8))


def _draw_time(panel: Any, duration: float, recorded: datetime | None) -> None:
    """Some ten marks at round times: of the day where that is known, else from the beginning."""
    steps = (0.1, 0.5, 1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
    step = next((step for step in steps if duration / step <= 12), steps[-1])
    offset = 0.0
    if recorded is not None:
        midnight = recorded.replace(hour=0, minute=0, second=0, microsecond=0)
        offset = -((recorded - midnight).total_seconds() % step) % step
    marks = np.arange(offset, duration, step)
    panel.set_xticks(marks, [_clock(float(mark), step, recorded) for mark in marks], fontsize=8)
    panel.set_xlabel("time of the recorder's clock" if recorded else "time", color=FAINT, fontsize=8)


def _clock(seconds: float, step: float, recorded: datetime | None) -> str:
    if recorded is not None and step >= 1:
        return (recorded + timedelta(seconds=round(seconds))).strftime("%H:%M" if step >= 60 else "%H:%M:%S")
    if step < 1:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
