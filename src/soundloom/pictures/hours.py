"""Counts by hour of the day and by site, as a PNG: a row for each site, a cell for each hour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike

import numpy as np

from soundloom.pictures.typography import DPI, FAINT, fitted, font, text

__all__ = ["hours_picture"]

_WIDTH, _ROW, _LEFT = 10.0, 0.34, 1.9
_MOST = 60


def hours_picture(counts: Mapping[str, Sequence[int]], path: str | PathLike[str], *, title: str) -> None:
    """Draw counts and write them as a PNG.

    Args:
        counts: site -> 24 counts, from midnight on; of more than sixty sites those with most are drawn.
        path: the PNG to write; a file of that name is replaced. It is 1200 pixels wide.
        title: what is counted.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    most = sorted(counts, key=lambda site: (-sum(counts[site]), site))[:_MOST]
    sites = [site for site in counts if site in set(most)]
    values = np.array([counts[site] for site in sites] or [[0] * 24], np.float64)
    sites = sites or ["none"]
    height = 1.25 + _ROW * len(sites)
    figure = Figure(figsize=(_WIDTH, height), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((_LEFT / _WIDTH, 0.6 / height, 0.96 - _LEFT / _WIDTH, _ROW * len(sites) / height))
    axes.set_title(fitted(title, font(12, "bold"), _WIDTH - _LEFT - 0.5), loc="left", **text(12, weight="bold"))
    axes.imshow(values, cmap="YlGnBu", aspect="auto", vmin=0, vmax=max(1.0, values.max(initial=0)))
    axes.set_xticks(np.arange(25) - 0.5, [f"{hour:02d}" for hour in range(25)])
    axes.set_yticks(range(len(sites)), [fitted(site, font(9), _LEFT - 0.2) for site in sites], **text(9))
    axes.set_xlabel("hour of the recorder's clock", color=FAINT, fontsize=9)
    axes.tick_params(labelsize=8, length=0)
    dark = 0.6 * values.max(initial=1)
    for row, column in zip(*np.nonzero(values), strict=True):
        value = values[row, column]
        axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=8,
                  color="white" if value > dark else "black")  # fmt: skip
    for spine in axes.spines.values():
        spine.set_visible(False)
    figure.savefig(path, format="png", dpi=DPI, facecolor="white")
