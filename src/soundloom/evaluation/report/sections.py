"""Sections of the HTML report: what lies behind the scores on one corpus, and what it takes to repeat them.

Of a corpus: the embedding in the plane, correlations with plain acoustics, the parts of woven models, confusions,
and scores by class; each only where it was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from jaxtyping import Int

from soundloom.evaluation.acoustic_features import STATISTICS
from soundloom.evaluation.analysis.ablation import AblationDetails
from soundloom.evaluation.analysis.correlation import CorrelationDetails
from soundloom.evaluation.probes.common import ProbeDetails
from soundloom.evaluation.protocols import PROTOCOLS
from soundloom.evaluation.report import svg
from soundloom.evaluation.report.tables import percent
from soundloom.evaluation.results import Result
from soundloom.evaluation.scores import Score

__all__ = ["Labelled", "corpus_section", "repeat_section"]

CONFUSIONS = 8
"""The number of most frequent confusions that are listed in words."""

Labelled = tuple[str, Result]
"""A result and what its model is called in the report."""


def corpus_section(name: str, several: Sequence[Labelled]) -> str:
    """The section of a corpus: each model's name with its result."""
    parts = [f"<h2>{escape(name)}</h2>", *_maps(name, several), *_correlations(several), *_ablations(several)]
    parts += _confusions(name, several)
    protocols = dict.fromkeys(protocol for _, result in several for protocol in result.scores)
    tables = [table for protocol in protocols if (table := _classes(protocol, several))]
    if tables:
        parts.append("<h3>Class by class</h3>")
        parts += tables
    return "".join(parts)


def repeat_section(models: Sequence[str], corpora: Sequence[str], results: Sequence[Result]) -> str:
    """The section of all that the numbers depend on: each result, with what its model and corpus are called."""
    rows = []
    for model, corpus, result in zip(models, corpora, results, strict=True):
        for protocol, measured in result.measurements.items():
            paper = PROTOCOLS[protocol].paper if protocol in PROTOCOLS else ""
            cells = (
                f"{protocol}{f' ({paper})' if paper else ''}",
                f"{result.dim}",
                f"{measured.clips}",
                f"{result.seed}",
                f"{result.seconds:.1f}",
                f"{measured.seconds:.1f}",
            )
            hashes = (result.fingerprint[:12], result.corpus_digest[:12], measured.config)
            rows.append(
                f'<tr><th scope="row">{escape(model)}</th><td class=text>{escape(corpus)}</td>'
                f"<td class=text>{escape(cells[0])}</td>{''.join(f'<td>{each}</td>' for each in cells[1:])}"
                f"{''.join(f'<td><code>{each}</code></td>' for each in hashes)}</tr>"
            )
    names = ("model", "corpus", "protocol", "numbers", "clips", "seed", "s to embed", "s to measure")
    head = "".join(f"<th scope=col>{name}</th>" for name in (*names, "model is", "corpus is", "all is"))
    machines = dict.fromkeys(_machine(result.environment) for result in results)
    settings = {protocol: measured.settings for result in results for protocol, measured in result.measurements.items()}
    items = "".join(
        f"<li>{escape(name)}: <code>{escape(repr(dict(each)))}</code></li>" for name, each in settings.items() if each
    )
    return (
        "<h2>To repeat it</h2><p>Equal hashes are equal weights, equal clips with equal labels and splits, and equal "
        "settings of everything; such numbers should come out equal.</p>"
        f"<div class=wide><table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"<details><summary>Settings of the protocols</summary><ul>{items}</ul></details>"
        f"<p class=faint>{'<br>'.join(escape(machine) for machine in machines)}</p>"
    )


def _machine(environment: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in environment.items())


def _maps(corpus: str, several: Sequence[Labelled]) -> Iterator[str]:
    figures = [
        f"<figure>{svg.scatter(result.projection, result.classes, f'{model} on {corpus}: clips in the plane')}"
        f"<figcaption>{escape(model)}: {len(result.projection.points)} clips by {result.projection.method}, a colour "
        "a class</figcaption></figure>"
        for model, result in several
        if result.projection
    ]
    if figures:
        yield f"<h3>The embedding in the plane</h3><div class=pair>{''.join(figures)}</div>"


def _correlations(several: Sequence[Labelled]) -> Iterator[str]:
    tables = []
    for model, score in _scores(several, "correlation"):
        if not isinstance(score.details, CorrelationDetails):
            continue
        table = score.details.table
        head = "".join(f"<th scope=col>{statistic}</th>" for statistic in STATISTICS)
        rows = "".join(
            f'<tr><th scope="row">{escape(feature)}</th>{"".join(_shade(by[key]) for key in STATISTICS)}</tr>'
            for feature, by in table.items()
        )
        tables.append(
            f"<table class=heat><caption>{escape(model)}</caption><thead><tr><th scope=col class=name>feature</th>"
            f"{head}</tr></thead><tbody>{rows}</tbody></table>"
        )
    if tables:
        yield (
            "<h3>What of plain acoustics can be read off the embedding</h3><p class=faint>Mean canonical correlation "
            "with each statistic over time of each acoustic feature (Favory 2020, 3.3).</p>"
            f"<div class=pair>{''.join(tables)}</div>"
        )


def _shade(value: float) -> str:
    style = f"background:color-mix(in srgb, var(--c0) {80 * value:.0f}%, transparent)"
    return f'<td style="{style}">{value:.2f}</td>'


def _ablations(several: Sequence[Labelled]) -> Iterator[str]:
    for model, score in _scores(several, "ablation"):
        details = score.details
        if not isinstance(details, AblationDetails):
            continue
        shares = {name: (each.shapley, None) for name, each in details.contributions.items()}
        yield (
            f"<h3>The parts of {escape(model)}</h3><figure>"
            f"{svg.bars(details.subsets, f'{model}: score of every subset of its parts', mark=details.chance)}"
            f"<figcaption>{escape(details.protocol)}, {escape(score.metric)} of every subset of the parts; dashed: "
            "chance.</figcaption></figure><figure>"
            f"{svg.bars(shares, f'{model}: share of each part')}<figcaption>Each part's fair share of the score over "
            "chance (Shapley value): what it adds, averaged over all orders of joining.</figcaption></figure>"
        )


def _confusions(corpus: str, several: Sequence[Labelled]) -> Iterator[str]:
    opened = " open"
    for model, result in several:
        for protocol, score in result.scores.items():
            if isinstance(score.details, ProbeDetails) and score.details.confusion:
                matrix = np.asarray(score.details.confusion)
                # A model may know fewer classes than the corpus names: the last ones have no clips.
                classes = result.classes[: len(matrix)]
                title = f"{model} on {corpus}, {protocol}: classes (rows) and what they were taken for (columns)"
                yield (
                    f"<details{opened}><summary>What {escape(model)} takes for what ({escape(protocol)})</summary>"
                    f"<figure>{svg.confusion(matrix, classes, title)}</figure>{_confused(matrix, classes)}</details>"
                )
                opened = ""
                break


def _confused(matrix: Int[np.ndarray, "classes classes"], classes: Sequence[str]) -> str:
    """The most frequent confusions, in words."""
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    np.fill_diagonal(shares, 0.0)
    places = np.argsort(-shares, axis=None, kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(place), len(classes)) for place in places]
    items = "".join(
        f"<li>{escape(classes[row])} for {escape(classes[column])}: {percent(shares[row, column])} %</li>"
        for row, column in pairs
        if shares[row, column] > 0
    )
    return f"<p>Most often taken for another:</p><ol>{items}</ol>" if items else ""


def _classes(protocol: str, several: Sequence[Labelled]) -> str:
    held = [(model, result, result.scores[protocol]) for model, result in several if protocol in result.scores]
    held = [(model, result, score) for model, result, score in held if score.per_class]
    if not held:
        return ""
    _, result, _ = held[0]
    present = sorted({label for *_, score in held for label in score.per_class})
    # From the best understood class down, by the mean of the models.
    present.sort(key=lambda label: -np.mean([score.per_class.get(label, 0.0) for *_, score in held]))
    head = "".join(f"<th scope=col>{escape(model)}</th>" for model, *_ in held)
    rows = "".join(
        f'<tr><th scope="row">{escape(result.classes[label])}</th>'
        + "".join(_bar(score.per_class.get(label), number) for number, (*_, score) in enumerate(held))
        + "</tr>"
        for label in present
    )
    return (
        f"<details><summary>{escape(protocol)}, {len(present)} classes</summary><div class=wide>"
        f"<table class=classes><thead><tr><th scope=col class=name>class</th>{head}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div></details>"
    )


def _bar(value: float | None, series: int) -> str:
    if value is None:
        return "<td>&ndash;</td>"
    style = f"width:{100 * value:.1f}%;background:var(--c{series % svg.COLOURS})"
    return f'<td><span class=bar aria-hidden="true"><i style="{style}"></i></span>{percent(value)}</td>'


def _scores(several: Sequence[Labelled], protocol: str) -> Iterator[tuple[str, Score]]:
    return ((model, result.scores[protocol]) for model, result in several if protocol in result.scores)
