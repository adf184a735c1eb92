"""HTML tables of libraries, hits, corpora, results and embedders, for notebooks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

__all__ = ["facts_table", "html_table"]


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """An HTML table of cells that are HTML already."""
    top = f"<thead><tr>{''.join(f'<th>{cell}</th>' for cell in head)}</tr></thead>" if head else ""
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table>{top}<tbody>{body}</tbody></table>"


def facts_table(facts: Mapping[str, object]) -> str:
    """An HTML table of names and values, which are text and are escaped."""
    return html_table((), ([escape(name), escape(str(value))] for name, value in facts.items()))
