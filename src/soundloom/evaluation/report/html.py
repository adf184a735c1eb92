"""HTML report of an evaluation: one self-contained page that reads well on paper and in the dark.

From the whole to the parts: layers and the choice among them; all scores in a table and as intervals; what others
published by the same protocol on the same corpus; then corpus by corpus what lies behind the scores (`sections`);
last, what is needed to repeat it all.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from importlib import resources

from soundloom.evaluation.analysis.layers import Choice, choose, curves
from soundloom.evaluation.reference_scores import elsewhere
from soundloom.evaluation.report import svg
from soundloom.evaluation.report.sections import Labelled, corpus_section, repeat_section
from soundloom.evaluation.report.tables import Table, cautions, labels_of, percent, table_of, written
from soundloom.evaluation.results import EvaluationError, Result, write_whole

__all__ = ["page", "write_page"]

NAMED = 6
"""Models that the title names; more are counted."""

ABREAST = 7
"""Columns of scores that fit the page."""


def write_page(path: str | os.PathLike[str], results: Sequence[Result]) -> None:
    """Write the report of some results, whole or not at all.

    Raises:
        EvaluationError: the file cannot be written.
    """
    write_whole(path, page(results))


def page(results: Sequence[Result]) -> str:
    """The report as HTML.

    Raises:
        EvaluationError: no results.
    """
    if not results:
        raise EvaluationError("there are no results to report")
    table = table_of(results)
    models, corpora = labels_of(results)
    by_corpus: dict[str, list[Labelled]] = {}
    for model, corpus, result in zip(models, corpora, results, strict=True):
        by_corpus.setdefault(corpus, []).append((model, result))
    names = [row.model for row in table.rows]
    subject = ", ".join(names) if len(names) <= NAMED else f"{len(names)} models"
    title = f"{subject} on {', '.join(by_corpus)}"
    body = [
        f"<h1>How well do these embeddings serve?</h1><p class=faint>{escape(title)}</p>",
        _notices(by_corpus),
        *(f"<p class=notice>{escape(caution)}</p>" for caution in cautions(results)),
        *_layers(results),
        "<h2>Scores</h2>" if curves(results) else "",
        _summary(table),
        _intervals(table),
        _refused(by_corpus),
        _published(table),
        *(corpus_section(name, several) for name, several in by_corpus.items()),
        repeat_section(models, corpora, results),
    ]
    style = resources.files(__package__).joinpath("report.css").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style}</style></head>\n<body>\n<main>{''.join(body)}</main>\n"
        "</body></html>\n"
    )


def _notices(by_corpus: Mapping[str, Sequence[Labelled]]) -> str:
    lines = []
    for corpus, several in by_corpus.items():
        for model, result in several:
            if result.left_out:
                items = "".join(f"<li><code>{escape(e.path)}</code>: {escape(e.reason)}</li>" for e in result.left_out)
                lines.append(
                    f"<details class=notice><summary>{escape(model)} on {escape(corpus)}: {len(result.left_out)} of "
                    f"{result.clips} clips could not be decoded and are left out of its numbers</summary>"
                    f"<ul>{items}</ul></details>"
                )
        if several[0][1].split_origin == "none":
            lines.append(
                f"<p class=notice>{escape(corpus)} has no splits of its own: they were drawn by group from seed "
                f"{several[0][1].seed}, so scores compare among these models only.</p>"
            )
    return "".join(lines)


def _refused(by_corpus: Mapping[str, Sequence[Labelled]]) -> str:
    items = [
        f"<li>{escape(model)}, {escape(reason)}</li>"
        for several in by_corpus.values()
        for model, result in several
        for reason in result.refused.values()
    ]
    return f"<details><summary>Not measured: {len(items)}</summary><ul>{''.join(items)}</ul></details>" if items else ""


def _summary(table: Table) -> str:
    note = (
        "Percent, mean ± half the 95 % interval over runs, folds or draws; the best of a column in bold; in brackets "
        "what was published of the same model by the same protocol."
    )
    tables = "".join(_scores_of(table, numbers) for numbers in _packed(table))
    return f"<p class=faint>{note}</p>{tables}"


def _packed(table: Table) -> list[list[int]]:
    """The columns in as many tables as fit the page's width, corpora kept whole."""
    packs: list[list[int]] = []
    for corpus in dict.fromkeys(column.corpus for column in table.columns):
        numbers = [number for number, column in enumerate(table.columns) if column.corpus == corpus]
        if packs and len(packs[-1]) + len(numbers) <= ABREAST:
            packs[-1] += numbers
        else:
            packs.append(numbers)
    return packs


def _scores_of(table: Table, numbers: Sequence[int]) -> str:
    columns = [table.columns[number] for number in numbers]
    groups = Counter(column.corpus for column in columns)
    head = "".join(f'<th scope="colgroup" colspan="{count}">{escape(name)}</th>' for name, count in groups.items())
    names = "".join(
        f'<th scope="col">{escape(column.protocol)}<br><span class=faint>{escape(column.metric)}</span></th>'
        for column in columns
    )
    best = {number: table.best(number) for number in numbers}
    rows = []
    for row in table.rows:
        cells = []
        for number in numbers:
            cell = row.cells[number]
            if cell is None:
                cells.append("<td>&ndash;</td>")
                continue
            score = cell.measurement.score
            kind = " class=best" if score.mean == best[number] else ""
            known = f" <span class=known>({percent(cell.published.value)})</span>" if cell.published else ""
            cells.append(f"<td{kind}>{written(score.mean, score.interval)}{known}</td>")
        rows.append(f'<tr><th scope="row">{escape(row.model)}</th>{"".join(cells)}</tr>')
    counted = "".join(f"<td>{'<br>'.join(table.counts(number))}</td>" for number in numbers)
    return (
        f'<div class=wide><table><thead><tr><th rowspan="2" scope="col" class=name>model</th>{head}</tr>'
        f"<tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody>"
        f'<tfoot class=faint><tr><th scope="row">rests on</th>{counted}</tr></tfoot></table></div>'
    )


def _intervals(table: Table) -> str:
    charts = {
        f"{column.corpus} · {column.protocol} ({column.metric})": [
            (row.model, score.mean, score.interval, cell.published.value if cell.published else None)
            for row in table.rows
            if (cell := row.cells[number]) is not None and (score := cell.measurement.score)
        ]
        for number, column in enumerate(table.columns)
    }
    return (
        f"<figure>{svg.intervals(charts, 'Scores with their 95 % intervals, in percent')}<figcaption>Dots: scores, "
        "with their intervals where there are several values. Diamonds: published.</figcaption></figure>"
    )


def _published(table: Table) -> str:
    parts = []
    for column in table.columns:
        rows = elsewhere(column.corpus, column.protocol, column.metric)
        if rows:
            lines = "".join(
                f'<tr><th scope="row">{escape(row.model)}</th><td>{percent(row.value)}</td>'
                f"<td class=text>{escape(row.source)}</td></tr>"
                for row in rows
            )
            parts.append(
                f"<details><summary>Published on {escape(column.corpus)} by the {escape(column.protocol)} protocol"
                "</summary><table><thead><tr><th scope=col class=name>model</th>"
                f"<th scope=col>{escape(column.metric)}</th><th scope=col class=name>source</th></tr></thead>"
                f"<tbody>{lines}</tbody></table></details>"
            )
    return "".join(parts)


def _layers(results: Sequence[Result]) -> Iterator[str]:
    for (model, protocol), tasks in curves(results).items():
        choice = choose({task: {layer: score.mean for layer, score in curve.items()} for task, curve in tasks.items()})
        title = f"{model}, {protocol}: score by layer"
        yield (
            f"<h2>Layers of {escape(model)}, {escape(protocol)}</h2><p>{escape(_chosen(model, choice))}</p>"
            f"<figure>{svg.layer_curves(tasks, choice, title)}<figcaption>Percent. A task is "
            "late if its best layer lies in the later half.</figcaption></figure>"
        )


def _chosen(model: str, choice: Choice) -> str:
    lines = []
    for name, letter, layer, tasks in (
        ("Middle", "M", choice.middle, choice.middle_tasks),
        ("Late", "L", choice.late, choice.late_tasks),
    ):
        if layer is not None:
            lines.append(f"{name} tasks ({', '.join(tasks)}) are served best by {letter} = {layer}.")
    if choice.middle is not None and choice.late is not None and choice.middle != choice.late:
        lines.append(f"Fused: {model}#{choice.middle}#{choice.late}.")
    return " ".join(lines)
