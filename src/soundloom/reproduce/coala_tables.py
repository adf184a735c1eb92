"""Tables of Favory 2020 in Markdown: published beside measured.

Tasks differ from the paper's unless the same are measured (urbansound8k, gtzan, nsynth-20k), so the paper's numbers
stand beside and not instead: what can be compared is which case is ahead, and by how much.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

__all__ = ["PAPER_CORRELATIONS", "PAPER_TASKS", "TITLES", "markdown"]

TITLES: Mapping[str, str] = MappingProxyType({"ae-c": "AE-C", "e-c": "E-C", "cnn": "CNN", "mfcc": "MFCCs"})
"""Row -> its name in the paper."""

PAPER_TASKS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "urbansound8k": {"ae-c": 0.727, "e-c": 0.725, "cnn": 0.484, "mfcc": 0.658},
        "gtzan": {"ae-c": 0.607, "e-c": 0.589, "cnn": 0.470, "mfcc": 0.498},
        "nsynth-20k": {"ae-c": 0.731, "e-c": 0.695, "cnn": 0.564, "mfcc": 0.626},
    }
)
"""Table 1: task, by the name of its corpus here -> row -> accuracy."""

_STATISTICS = ("mean", "variance", "skewness")
_FEATURES = ("mfcc", "chroma", "spectral centroid", "spectral bandwidth")
_PAPER_ROWS = {
    "ae-c": (0.84, 0.51, 0.42, 0.48, 0.37, 0.40, 0.97, 0.87, 0.80, 0.96, 0.86, 0.84),
    "e-c": (0.58, 0.49, 0.39, 0.38, 0.36, 0.32, 0.93, 0.82, 0.76, 0.92, 0.82, 0.81),
    "cnn": (0.73, 0.43, 0.32, 0.59, 0.33, 0.48, 0.95, 0.76, 0.74, 0.91, 0.72, 0.80),
}
CELLS = tuple((feature, statistic) for feature in _FEATURES for statistic in _STATISTICS)
"""The columns of table 2."""

PAPER_CORRELATIONS: Mapping[str, Mapping[tuple[str, str], float]] = MappingProxyType(
    {row: dict(zip(CELLS, values, strict=True)) for row, values in _PAPER_ROWS.items()}
)
"""Table 2: row -> (feature, statistic) -> mean canonical correlation."""


def markdown(
    tasks: Mapping[str, Mapping[str, float]],
    correlations: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]],
    retrieval: Mapping[str, float],
    suggestions: Mapping[str, float],
    about: str,
) -> str:
    """The tables, the paper's numbers in brackets.

    Args:
        tasks: corpus -> row -> accuracy.
        correlations: corpus -> row -> feature -> statistic -> mean canonical correlation.
        retrieval: what ranked sounds for a tag -> mAP over tags.
        suggestions: what ranked tags for a sound -> mAP over sounds.
        about: what was done, in a line.
    """
    paper = {name: values for name, values in PAPER_TASKS.items() if name not in tasks}
    heading = [*tasks, *(f"paper: {name}" for name in paper)]
    rows = [
        [
            TITLES[row],
            *(_beside(tasks[name], name, row) for name in tasks),
            *(f"{100 * paper[name][row]:.1f}" for name in paper),
        ]
        for row in TITLES
    ]
    pages = [about, "## Accuracy (table 1)", _table(["", *heading], rows)]
    for corpus, found in correlations.items():
        rows = [
            [
                TITLES[row],
                *(
                    f"{values[feature][statistic]:.2f} ({PAPER_CORRELATIONS[row][feature, statistic]:.2f})"
                    for feature, statistic in CELLS
                ),
            ]
            for row, values in found.items()
        ]
        names = ["", *(f"{feature} {statistic}" for feature, statistic in CELLS)]
        pages += [f"## Canonical correlations with acoustic features on {corpus} (table 2)", _table(names, rows)]
    for title, over, values in (
        ("From tags to sounds that were not learned from", "mAP over tags", retrieval),
        ("From sounds that were not learned from to tags", "mAP over sounds", suggestions),
    ):
        if values:
            rows = [[name, f"{value:.4f}"] for name, value in values.items()]
            pages += [f"## {title}", _table(["", over], rows)]
    return "\n\n".join(pages) + "\n"


def _beside(found: Mapping[str, float], corpus: str, row: str) -> str:
    if row not in found:
        return "-"
    measured = f"{100 * found[row]:.1f}"
    return f"{measured} ({100 * PAPER_TASKS[corpus][row]:.1f})" if corpus in PAPER_TASKS else measured


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *("---:" for _ in heading[1:])], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
