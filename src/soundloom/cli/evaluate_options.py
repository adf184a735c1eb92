"""Shared by ``evaluate`` and ``layers``: options, corpora by name, progress, printing and writing results."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from soundloom.cli import common_options
from soundloom.cli.console import Styled, cell, echo, print_failures, table_console
from soundloom.cli.option_types import Integer
from soundloom.cli.progress_bars import progress_bar
from soundloom.local_path import local_path

if TYPE_CHECKING:
    from soundloom.corpora import Corpus
    from soundloom.evaluation.extraction import ExtractionProgress
    from soundloom.evaluation.results import Result
    from soundloom.library import Failure

__all__ = [
    "PARTIAL",
    "cache",
    "embedding_bar",
    "load_corpora",
    "on",
    "out",
    "print_table",
    "report",
    "report_refused",
    "seed",
    "weights_for",
    "write_report",
]

_PARTIAL = "soundloom.partial"
"""Where a command's context keeps whether copies of corpora may lack files."""


def _keep(context: click.Context, _option: click.Parameter, value: bool) -> None:
    context.meta[_PARTIAL] = value


PARTIAL: dict[str, Any] = {
    "is_flag": True,
    "expose_value": False,
    "callback": _keep,
    "help": "Take a copy that is not the whole set: what is missing, empty or cannot be decoded is left out.",
}
"""The option ``--partial``, which `load_corpora` reads."""

_on = click.option(
    "--on",
    "where",
    multiple=True,
    metavar="CORPUS[=ROOT]",
    help="A corpus and its folder, such as esc50=/data/ESC-50-master; or a folder of folders, a CSV, a parquet file. "
    "Give it several times for several.",
)


def on(command: common_options.Command) -> common_options.Command:
    """Options of what is measured on: corpora, and whether they may lack files."""
    return _on(click.option("--partial", **PARTIAL)(command))


out = click.option(
    "-o", "--out", type=common_options.LocalPath(), metavar="FOLDER", help="Write results.json and report.html here."
)

seed = click.option("--seed", type=Integer(min=0), default=0, show_default=True, help="What chance is drawn from.")

cache = click.option(
    "--cache",
    type=common_options.LocalPath(),
    metavar="FOLDER",
    help="Where embeddings are kept between runs.  [default: in soundloom's cache]",
)


def load_corpora(where: Sequence[str], *, check: str = "sample") -> list[Corpus]:
    """The corpora that ``--on`` names; ``check``: as for `soundloom.corpora.load`.

    Raises:
        CorpusError: one cannot be read.
        click.UsageError: none is named.
    """
    from soundloom import corpora

    if not where:
        raise click.UsageError("say what to measure on: --on CORPUS=ROOT, such as --on esc50=/data/ESC-50-master")
    loaded = []
    for text in where:
        name, separator, root = text.partition("=")
        # A folder may have an equals sign in its name; a corpus has none.
        source = (name, root) if separator and corpora.is_name(name) else (text, None)
        local_path(source[1] or source[0])
        loaded.append(corpora.load(*source, check=check, partial=_is_partial()))
    return loaded


def _is_partial() -> bool:
    """Whether ``--partial`` was given to the command that runs."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_PARTIAL, False))


def weights_for(models: Sequence[str], texts: Sequence[str]) -> dict[str, str | Mapping[str, str]]:
    """What ``--weights`` says of each model, where several share a command.

    >>> weights_for(["cnn14#3#6+logmel", "ast"], ["cnn14=a.pth"])
    {'cnn14#3#6+logmel': {'cnn14': 'a.pth'}, 'ast': 'published'}

    Raises:
        click.UsageError: weights for a part that no model has.
        ModelError: not written as ``--weights`` is.
    """
    files = common_options.parse_files(texts)
    if not isinstance(files, Mapping):
        return dict.fromkeys(models, files or "published")
    words = {model: {part.partition("#")[0].strip() for part in model.split("+")} for model in models}
    unused = sorted(set(files) - set().union(*words.values()))
    if unused:
        raise click.UsageError(f"--weights for {', '.join(unused)}, which is no part of {', '.join(models)}")
    own = {model: {word: file for word, file in files.items() if word in words[model]} for model in models}
    return {model: mine or "published" for model, mine in own.items()}


@contextmanager
def embedding_bar(what: str, *, quiet: bool) -> Iterator[Callable[[ExtractionProgress], None] | None]:
    """A progress bar that is there while clips are embedded, unless quiet is wanted."""
    with ExitStack() as bar:
        advance: Callable[[Any], None] | None = None

        def show(reached: ExtractionProgress) -> None:
            nonlocal advance
            if advance is None:
                advance = cast("Callable[[Any], None]", bar.enter_context(progress_bar(what)))
            # The bar reads the same four fields of any room's progress.
            advance(reached)
            if reached.done == reached.total:
                bar.close()
                advance = None

        yield None if quiet else show


def write_report(folder: Path, results: Sequence[Result]) -> None:
    """Write results.json, per-class.csv and report.html into a folder, and say so."""
    from soundloom.evaluation.report.html import write_page
    from soundloom.evaluation.report.tables import write_per_class
    from soundloom.evaluation.results import write

    write(folder / "results.json", results)
    write_per_class(folder / "per-class.csv", results)
    write_page(folder / "report.html", results)
    echo(f"results.json, per-class.csv and report.html are in {folder}", err=True)


def print_table(results: Sequence[Result]) -> None:
    """Print scores, models down, corpora and protocols across."""
    from rich.table import Table

    from soundloom.evaluation.report.tables import cautions, table_of

    scores = table_of(results)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("model", no_wrap=True)
    for column in scores.columns:
        table.add_column(cell(f"{column.corpus}\n{column.protocol}\n{column.metric}"), justify="right", no_wrap=True)
    for row in scores.rows:
        table.add_row(cell(row.model), *(score.text if score else "-" for score in row.cells))
    counts = ("\n".join(scores.counts(number)) for number in range(len(scores.columns)))
    table.add_row("", *counts, style="dim")
    table_console(400).print(table)
    for caution in cautions(results):
        echo(caution)
    echo("percent ± half the 95 % interval over runs, folds or draws; in brackets: published", err=True)


def report_refused(results: Sequence[Result]) -> bool:
    """Print the clips that were left out and the protocols refused, on standard error.

    Returns:
        Whether something was not measured that was asked for: clips are not where ``--partial`` leaves them out.
    """
    for result in results:
        for reason in result.refused.values():
            echo("  ", Styled("not measured", "red"), f" {result.model}, {reason}", err=True)
        if result.left_out:
            echo(
                f"{result.model} on {result.corpus}: {len(result.left_out)} of {result.clips} clips could not be "
                "decoded, and are left out of its numbers:",
                err=True,
            )
            print_failures(cast("Sequence[Failure]", result.left_out))
    return any(result.refused or (result.left_out and not _is_partial()) for result in results)


def report(text: str, *, quiet: bool) -> None:
    """Say how far the work is, on standard error, unless quiet is wanted."""
    if not quiet:
        echo(text, err=True)
