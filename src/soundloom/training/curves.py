"""Plot of a run's metrics over its steps with matplotlib: a panel each, training beside validation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.atomic_file import replacing
from soundloom.pictures.typography import DPI, FAINT, fitted, font, text
from soundloom.training.metrics_log import Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["VALIDATION", "plot_curves"]

VALIDATION = "validation "
"""What the columns of a validation's means begin with."""

_COLUMNS = 2
_WIDTH, _HEIGHT = 12.0, 2.6
_TRAINING, _VALIDATED = "#0072b2", "#d55e00"
_BESIDE = ("step", "seconds", "examples/s")


def plot_curves(rows: Sequence[Row], title: str, path: Path) -> None:
    """Draw every metric over the steps, and write a PNG; a file of that name is replaced.

    Args:
        rows: as `MetricsLog` has them; nothing is drawn of none.
        title: the run's name.
        path: the PNG.
    """
    names = list(dict.fromkeys(name.removeprefix(VALIDATION) for row in rows for name in row if name not in _BESIDE))
    if not names:
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    panels = -(-len(names) // _COLUMNS)
    layout = ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.08)
    figure = Figure(figsize=(_WIDTH, 0.5 + _HEIGHT * panels), dpi=DPI, facecolor="white", layout=layout)
    FigureCanvasAgg(figure)
    figure.suptitle(fitted(title, font(13, "bold"), _WIDTH - 1), **text(13, weight="bold"))
    axes = figure.subplots(panels, _COLUMNS, squeeze=False, sharex=True).ravel()
    for name, panel in zip(names, axes, strict=False):
        _draw(panel, rows, name)
    for panel in axes[len(names) :]:
        panel.set_visible(False)
    with replacing(path, shared=True) as fresh:
        figure.savefig(fresh, format="png", dpi=DPI, facecolor="white")


def _draw(panel: Axes, rows: Sequence[Row], name: str) -> None:
    """One metric: training as a line, validation as a line with dots."""
    for column, colour, label, marker in (
        (name, _TRAINING, "training", ""),
        (VALIDATION + name, _VALIDATED, "validation", "."),
    ):
        points = [(row["step"], row[column]) for row in rows if column in row]
        if points:
            panel.plot(*zip(*points, strict=True), color=colour, linewidth=1.2, marker=marker, label=label)
    panel.set_title(name, loc="left", **text(10, weight="bold"))
    panel.set_xlabel("step", **text(8, color=FAINT))
    panel.spines[["top", "right"]].set_visible(False)
    panel.grid(alpha=0.25, linewidth=0.6)
    panel.tick_params(labelsize=8)
    if any(VALIDATION + name in row for row in rows):
        # Finding the best place takes a second on a busy machine.
        panel.legend(frameon=False, prop=font(8), loc="upper right")
