"""The page: what was asked for on top, what was found below, and which part of the embedding liked each hit.

Every spectrogram shares one colour scale, one mel axis and one set of colours for the parts, so that
cells can be compared at a glance.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from soundloom.errors import InvalidArgumentError
from soundloom.pictures.excerpt import RANGE, Excerpt, mel, mel_decibels, outline
from soundloom.pictures.typography import DPI, FAINT, INK, fitted, font, text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

__all__ = ["hits_picture", "part_colours"]

_COLUMNS = 4
_WIDTH = 14.0
_TOP = 16_000.0
_WAVE, _FRAME = "#47505f", "#dfe2e8"
# White where a sound is silent, through the hues of magma to nearly black where it is loudest; noise floors stay pale.
_SHADES = ((0.0, "#ffffff"), (0.3, "#fff1e0"), (0.5, "#fdbd8b"), (0.66, "#ee6a67"), (0.82, "#8f2c80"), (1.0, "#0a0626"))
# Okabe and Ito's colours, which the colour-blind can distinguish, less yellow and black, and four darker companions.
_PALETTE = (
    *("#0072b2", "#cc79a7", "#56b4e9", "#d55e00", "#5d3a9b"),
    *("#e69f00", "#666666", "#009e73", "#8c510a", "#9e2a3c"),
)


def part_colours(names: Iterable[str]) -> dict[str, str]:
    """A colour for every part, as ``#rrggbb``: the same for the same names in any order.

    A part keeps its colour from model to model unless two parts of a model want the same one; past ten parts the
    colours repeat.
    """
    taken: dict[str, int] = {}
    for name in sorted(set(names)):
        slot = crc32(name.encode(errors="surrogatepass")) % len(_PALETTE)
        while slot in taken.values() and len(taken) < len(_PALETTE):
            slot = (slot + 1) % len(_PALETTE)
        taken[name] = slot
    return {name: _PALETTE[slot] for name, slot in taken.items()}


def hits_picture(query: Excerpt, hits: Sequence[Excerpt], path: str | PathLike[str]) -> None:
    """Draw the query on top and the hits below it, best first, and write them as a PNG.

    Args:
        query: what was searched for.
        hits: what was found, in order of rank; four a row.
        path: the PNG to write; a file of that name is replaced. It is 1680 pixels wide.

    Raises:
        InvalidArgumentError: there are no hits.
    """
    if not hits:
        raise InvalidArgumentError("there are no hits to draw: search with a larger k or fewer conditions")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    names = list(dict.fromkeys(name for hit in hits for name in hit.parts))
    rows = -(-len(hits) // _COLUMNS)
    tallest = 2.15 + 0.2 * len(names)
    query_height = 3.6
    figure = Figure(
        figsize=(_WIDTH, query_height + rows * tallest),
        dpi=DPI,
        facecolor="white",
        layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06),
    )
    FigureCanvasAgg(figure)
    halves = figure.subfigures(2, 1, squeeze=False, height_ratios=(query_height, rows * tallest))
    above, below = halves[:, 0]

    top = min(_TOP, max(excerpt.sample_rate / 2 for excerpt in (query, *hits)))
    chosen = part_colours(names)
    colours = {name: chosen[name] for name in names}
    _draw_query(above, query, top, colours)
    cells = np.ravel(below.subfigures(rows, _COLUMNS, squeeze=False))
    low = min([0.0, *(value for hit in hits for value in hit.parts.values() if np.isfinite(value))])
    for rank, (cell, hit) in enumerate(zip(cells, hits, strict=False), start=1):
        _draw_hit(cell, rank, hit, top, colours, low)
    figure.savefig(path, format="png", dpi=DPI, facecolor="white")


def _draw_query(figure: SubFigure, query: Excerpt, top: float, colours: Mapping[str, str]) -> None:
    """Waveform over spectrogram, the colour scale beside them and the parts' legend above."""
    wave, image = figure.subplots(2, 1, sharex=True, height_ratios=(1, 2))
    name = fitted(query.title, font(13, "bold"), 6.5)
    wave.set_title(name, loc="left", pad=19, **text(13, weight="bold"))
    wave.annotate(_stretch(query), (0, 1), (0, 6), "axes fraction", textcoords="offset points", **text(9, color=FAINT))
    times, lowest, highest = outline(query, 1600)
    if len(times) == len(query.samples):
        wave.plot(times, np.nan_to_num(query.samples), color=_WAVE, linewidth=1.0)
    else:
        wave.fill_between(times, lowest, highest, color=_WAVE, linewidth=0.6)
    loudest = float(np.abs(np.nan_to_num(query.samples)).max()) or 1.0
    wave.set_ylim(-1.05 * loudest, 1.05 * loudest)
    wave.set_ylabel("amplitude", **text(9))
    wave.spines[["top", "right"]].set_visible(False)

    mesh = _draw_spectrogram(image, query, top, 1200)
    image.set_ylabel("kHz", **text(9))
    image.set_xlabel("seconds", **text(9))
    _plain_ticks(wave, 8)
    _plain_ticks(image, 8)
    bar = figure.colorbar(mesh, ax=[wave, image], pad=0.01, aspect=30, ticks=np.arange(-RANGE, 1, 20))
    bar.set_label("dB below the loudest of each sound", **text(9))
    bar.outline.set_visible(False)
    _plain_ticks(bar.ax, 8)

    if colours:
        from matplotlib.patches import Patch

        patches = [Patch(color=colour, label=fitted(name, font(9), 1.5)) for name, colour in colours.items()]
        legend = wave.legend(
            handles=patches, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=5, frameon=False,
            prop=font(9), handlelength=1.0, columnspacing=1.4, borderaxespad=0.2,
        )  # fmt: skip
        for label in legend.get_texts():
            label.set(color=INK, parse_math=False)


def _draw_hit(
    figure: SubFigure,
    rank: int,
    hit: Excerpt,
    top: float,
    colours: Mapping[str, str],
    low: float,
) -> None:
    """A thumbnail spectrogram under rank, name, time and similarity; under it a bar for each part."""
    names = list(colours)
    axes = figure.subplots(
        2 if names else 1, 1, squeeze=False, height_ratios=(1.45, 0.2 * len(names)) if names else None
    )
    image = axes[0, 0]
    # Rank and name are two texts: in one, a name in Arabic would turn the order of both around.
    beside = {"xycoords": "axes fraction", "textcoords": "offset points"}
    image.set_title(str(rank), loc="left", pad=18, **text(10, weight="bold"))
    name = fitted(hit.title, font(10, "bold"), _WIDTH / _COLUMNS - 0.85)
    image.annotate(name, (0, 1), (20, 18), **beside, **text(10, weight="bold"))
    image.annotate(_stretch(hit), (0, 1), (0, 5), **beside, **text(8.5, color=FAINT))
    if hit.similarity is not None:
        image.annotate(f"similarity {hit.similarity:.3f}", (1, 1), (0, 5), ha="right", **beside, **text(8.5))
    _draw_spectrogram(image, hit, top, 400)
    image.locator_params(axis="x", nbins=5)
    _plain_ticks(image, 7)
    if not names:
        return

    bars = axes[1, 0]
    places = np.arange(len(names))
    values = [float(np.clip(np.nan_to_num(hit.parts.get(name, 0.0)), low, 1.0)) for name in names]
    bars.barh(places, 1 - low, left=low, color=_FRAME, alpha=0.6, height=0.62)
    bars.barh(places, values, color=[colours[name] for name in names], height=0.62)
    for place, name in zip(places, names, strict=True):
        shown = f"{hit.parts[name]:.2f}" if name in hit.parts else "\N{EN DASH}"
        bars.annotate(shown, (1, place), (4, 0), textcoords="offset points", va="center", **text(8))
    bars.set_xlim(low, 1.0)
    bars.set_ylim(len(names) - 0.5, -0.5)
    bars.set_axis_off()
    if low < 0:
        bars.axvline(0.0, color=FAINT, linewidth=0.8)


def _draw_spectrogram(axes: Axes, excerpt: Excerpt, top: float, columns: int) -> Any:
    """The picture itself, on a mel axis marked in kilohertz; what lies above a sound's Nyquist stays empty."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("soundloom", _SHADES)
    decibels = mel_decibels(excerpt, top, columns)
    mesh = axes.imshow(
        decibels, origin="lower", aspect="auto", cmap=shades, vmin=-RANGE, vmax=0.0, interpolation="nearest",
        extent=(excerpt.start, excerpt.end, 0.0, mel(top)),
    )  # fmt: skip
    marks = [f for f in (0, 500, 1000, 2000, 4000, 8000, 16_000) if f <= top]
    axes.set_yticks(mel(np.array(marks)), [f"{mark / 1000:g}" for mark in marks])
    axes.spines[:].set(color=_FRAME, linewidth=0.8)
    return mesh


def _stretch(excerpt: Excerpt) -> str:
    """The stretch in words, with milliseconds where it is short."""
    digits = 3 if excerpt.end - excerpt.start < 0.1 else 2
    return f"{excerpt.start:.{digits}f} \N{EN DASH} {excerpt.end:.{digits}f} s"


def _plain_ticks(axes: Axes, size: float) -> None:
    """Small faint labels, no ink for the marks."""
    axes.tick_params(labelsize=size, labelcolor=FAINT, labelfontfamily="DejaVu Sans", length=0)
