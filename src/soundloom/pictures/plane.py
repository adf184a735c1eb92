"""A library in the plane, as a PNG: a point for every segment, coloured by cluster, the largest clusters named.

When not: to identify every cluster by its colour; there are ten colours, and neighbours may share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike

import numpy as np
from jaxtyping import Float32, Int

from soundloom.counted import counted
from soundloom.pictures.typography import DPI, INK, fitted, font, text

__all__ = ["plane_picture"]

_SIDE = 10.0
_NAMED = 20
# Okabe and Ito's colours, which the colour-blind can distinguish, and companions; grey is for what is in no cluster.
_COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"),
    *("#56b4e9", "#5d3a9b", "#8c510a", "#9e2a3c", "#4b6f44"),
)


def plane_picture(
    points: Float32[np.ndarray, "rows 2"],
    clusters: Int[np.ndarray, " rows"],
    names: Sequence[str],
    path: str | PathLike[str],
    *,
    title: str,
) -> None:
    """Draw points and the names of their clusters, and write them as a PNG.

    Args:
        points: where each segment lies.
        clusters: each segment's cluster, the largest numbered 0.
        names: what each cluster is called.
        path: the PNG to write; a file of that name is replaced. It is 1200 by 1200 pixels.
        title: what is shown.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(_SIDE, _SIDE), dpi=DPI, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.02, 0.02, 0.96, 0.92))
    axes.set_axis_off()
    shown = fitted(f"{title}: {counted(len(points), 'segment')}", font(13, "bold"), _SIDE - 1)
    axes.set_title(shown, loc="left", **text(13, weight="bold"))
    # Dots cover about a tenth of the page, however many there are, and let each other show through.
    size = float(np.clip(30_000 / max(1, len(points)), 0.3, 40.0))
    colours = np.array(_COLOURS)[clusters % len(_COLOURS)]
    # Drawn in an order of chance, so that no cluster lies on top of another wholly.
    order = np.random.default_rng(0).permutation(len(points))
    across, up = points[order].T
    axes.scatter(across, up, s=size, c=colours[order], alpha=0.6, linewidths=0, rasterized=True)
    axes.set_aspect("equal", adjustable="datalim")
    for cluster, name in enumerate(names[:_NAMED]):
        # The middle one of the cluster, which lies in it even where its mean would not.
        members = points[clusters == cluster]
        middle = members[np.abs(members - np.median(members, axis=0)).sum(axis=1).argmin()]
        axes.annotate(
            fitted(name, font(9, "bold"), 2.0), middle, ha="center", va="center", **text(9, weight="bold"),
            bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": INK, "alpha": 0.75, "linewidth": 0.4},
        )  # fmt: skip
    figure.savefig(path, format="png", dpi=DPI, facecolor="white")
