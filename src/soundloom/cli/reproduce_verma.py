"""``soundloom reproduce verma``: diverse embeddings, tables 1 and 2."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import evaluate_options, reproduce_options
from soundloom.cli.console import echo

__all__ = ["command"]


def fold_range(text: str) -> slice:
    """The folds that a text means, their places counted from zero.

    >>> fold_range("3"), fold_range("3-5")
    (slice(0, 3, None), slice(2, 5, None))

    Raises:
        click.BadParameter: it is neither a number nor a range of numbers.
    """
    first, dash, last = text.rpartition("-")
    places = [int(place) for place in ([first, last] if dash else ["1", last]) if place.isdecimal()]
    if len(places) < 2 or not 1 <= places[0] <= places[1]:
        raise click.BadParameter(f"'{text}' are no folds: give 3 for the first three, or 3-5 for those from 3 to 5")
    return slice(places[0] - 1, places[1])


@click.command("verma")
@evaluate_options.on
@reproduce_options.out("verma", "Runs, results.json, tables.md and subsets.png.")
@click.option(
    "--folds",
    metavar="N|A-B",
    callback=lambda _context, _parameter, text: slice(None) if text is None else fold_range(text),
    help="Test the first N folds, or those from A to B, as where several machines share them.  [default: all]",
)
@reproduce_options.preset("diverse")
@reproduce_options.config("diverse")
def command(where: tuple[str, ...], out: Path, folds: slice, preset: str, config: Path | None) -> None:
    """Train four streams and every linear model over them, and print the paper's tables beside.

    Streams are trained on all but the clips that are tested: fold by fold, or on the official split. What was stopped
    goes on when the same command is given again. results.json, tables.md and subsets.png are written to the folder.

    \b
    Examples:
      soundloom reproduce verma --on esc50=/data/ESC-50-master --preset small --folds 1 --out runs/verma
      soundloom reproduce verma --on esc50=/data/ESC-50-master --folds 3-5 --out runs/verma-rest
      soundloom reproduce verma --on fsd50k=/data/FSD50K --out runs/verma-fsd50k
    """
    from soundloom.recipes.diverse import PRESETS
    from soundloom.reproduce.verma import reproduce, write

    if len(where) > 1:
        raise click.UsageError(f"one corpus at a time, got {len(where)}: give each a folder of its own")
    recipe = reproduce_options.configured(PRESETS[preset], config)
    (corpus,) = evaluate_options.load_corpora(where)
    with reproduce_options.reporting() as reporter:
        found = reproduce(corpus, recipe, out, reporter, folds=folds)
    echo(write(found, out))
    echo(f"results.json, tables.md and subsets.png are in {out}", err=True)
