"""Tables 1 and 2 of Jansen 2017 in Markdown: published, measured, and the share of the gap recovered.

"The recovery listed is the percentage of the baseline-to-topline performance gap recovered using each given
unsupervised triplet embedding":

    recovery = (mAP - mAP of log-mel) / (mAP of the topline - mAP of log-mel)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soundloom.errors import SoundloomError
from soundloom.pictures.typography import DPI, FAINT, fitted, font, text
from soundloom.system_errors import reason_of

__all__ = [
    "BASELINE",
    "COLUMNS",
    "PAPER",
    "PAPER_FEW",
    "TITLES",
    "TOPLINE",
    "RecoveryCell",
    "draw_bars",
    "markdown",
    "recovery",
]

TOPLINE, BASELINE = "topline", "log-mel"

COLUMNS: Mapping[str, str] = {
    "retrieval": "query by example",
    "1 layer": "classifier, 1 x 512",
    "2 layers": "classifier, 2 x 512",
}

TITLES: Mapping[str, str] = {
    TOPLINE: "supervised triplets (topline)",
    BASELINE: "log-mel spectrogram (baseline)",
    "noise": "Gaussian noise",
    "translation": "time/frequency translation",
    "mixing": "mixed example",
    "proximity": "temporal proximity",
    "joint": "joint unsupervised",
    "few log-mel": "log-mel, fully connected 4 x 512",
    "few scratch": "network from scratch",
    "few joint": "joint unsupervised triplet, fully connected 1 x 512",
}
"""Row -> what the paper calls it, in its order; the last three are table 2."""

PAPER: Mapping[str, Mapping[str, float]] = {
    TOPLINE: {"retrieval": 0.790, "1 layer": 0.288, "2 layers": 0.289},
    BASELINE: {"retrieval": 0.423, "1 layer": 0.065, "2 layers": 0.102},
    "noise": {"retrieval": 0.478, "1 layer": 0.096, "2 layers": 0.114},
    "translation": {"retrieval": 0.508, "1 layer": 0.108, "2 layers": 0.125},
    "mixing": {"retrieval": 0.489, "1 layer": 0.103, "2 layers": 0.122},
    "proximity": {"retrieval": 0.562, "1 layer": 0.226, "2 layers": 0.241},
    "joint": {"retrieval": 0.575, "1 layer": 0.244, "2 layers": 0.259},
}
"""Table 1: row -> column -> mAP, on AudioSet."""

PAPER_FEW: Mapping[str, float] = {"few log-mel": 0.032, "few scratch": 0.072, "few joint": 0.143}
"""Table 2: row -> mAP, of 20 clips a class."""

Table = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class RecoveryCell:
    """A measured mAP beside the paper's, and both recoveries; None where there is no gap to recover."""

    value: float
    paper: float
    recovery: float | None
    paper_recovery: float | None

    def __str__(self) -> str:
        shares = (self.recovery, self.paper_recovery)
        mine, theirs = ("" if share is None else f" {100 * share:.0f} %" for share in shares)
        return f"{self.value:.3f}{mine} ({self.paper:.3f}{theirs})"


def recovery(table: Table, row: str, column: str) -> float | None:
    """The share of the gap between baseline and topline that a row recovers.

    >>> round(recovery(PAPER, "joint", "retrieval"), 2)
    0.41
    """
    if not {TOPLINE, BASELINE} <= table.keys():
        return None
    low, high = table[BASELINE][column], table[TOPLINE][column]
    return None if high == low else (table[row][column] - low) / (high - low)


def cells(table: Table) -> dict[str, dict[str, RecoveryCell]]:
    """Table 1 as measured, beside the paper's."""
    return {
        row: {
            column: RecoveryCell(value, PAPER[row][column], recovery(table, row, column), recovery(PAPER, row, column))
            for column, value in values.items()
        }
        for row, values in table.items()
    }


def markdown(corpus: str, table: Table, everything: Mapping[str, float], few: Mapping[str, float]) -> str:
    """Both tables in Markdown, mAP as measured and in brackets the paper's.

    Args:
        corpus: what was measured on.
        table: row -> column -> mAP, table 1.
        everything: row -> retrieval mAP among all clips of the corpus.
        few: row -> mAP, table 2.
    """
    head = ["mAP, recovery (paper's)", *COLUMNS.values(), "query by example, all clips"]
    lines = [f"## {corpus}: table 1", "", _line(head), _line(["---"] * len(head))]
    for row, found in cells(table).items():
        whole = f"{everything[row]:.3f}" if row in everything else "-"
        lines.append(_line([TITLES[row], *(str(found[column]) for column in COLUMNS), whole]))
    if few:
        lines += ["", f"## {corpus}: table 2, a few clips a class", ""]
        lines += [_line(["", "mAP (paper's)"]), _line(["---", "---"])]
        lines += [_line([TITLES[row], f"{value:.3f} ({PAPER_FEW[row]:.3f})"]) for row, value in few.items()]
    return "\n".join([*lines, ""])


def _line(items: list[str]) -> str:
    return f"| {' | '.join(items)} |"


def draw_bars(corpus: str, table: Table, few: Mapping[str, float], path: Path) -> None:
    """The same as bars, those of the paper beside ours, in a PNG.

    Raises:
        SoundloomError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {title: {row: values[column] for row, values in table.items()} for column, title in COLUMNS.items()}
    paper = [{row: PAPER[row][column] for row in table} for column in COLUMNS]
    if few:
        rows, paper = {**rows, "a few clips a class": dict(few)}, [*paper, dict(PAPER_FEW)]
    figure = Figure(figsize=(13, 1.2 + 0.42 * len(table) * ((len(rows) + 1) // 2)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    title = fitted(f"Jansen 2017 on {corpus}: mean average precision", font(13, "bold"), 12)
    figure.suptitle(title, **text(13, "bold"))
    axes = figure.subplots((len(rows) + 1) // 2, 2, squeeze=False).ravel()
    for panel, (title, values), theirs in zip(axes, rows.items(), paper, strict=False):
        places = range(len(values))
        panel.barh([place - 0.2 for place in places], list(values.values()), 0.38, color="#0072b2", label="measured")
        panel.barh(
            [place + 0.2 for place in places], [theirs[row] for row in values], 0.38, color="#c9ced6", label="paper"
        )
        for place, value in zip(places, values.values(), strict=True):
            panel.text(value, place - 0.2, f" {value:.3f}", va="center", **text(8))
        panel.set_yticks(list(places), [TITLES[row] for row in values], **text(8))
        panel.invert_yaxis()
        panel.set_xlim(0, 1)
        panel.set_title(title, loc="left", **text(10, color=FAINT, weight="bold"))
        panel.spines[["top", "right"]].set_visible(False)
    for panel in axes[len(rows) :]:
        panel.set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, prop=font(8), loc="outside upper right")
    try:
        figure.savefig(path, format="png", dpi=DPI, facecolor="white")
    except OSError as error:
        raise SoundloomError(f"cannot draw {path}: {reason_of(error)}") from None
