"""``soundloom reproduce verma``: diverse embeddings, tables 1 and 2."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import evaluate_options, reproduce_options
from soundloom.cli.console import echo

__all__ = ["command"]


@click.command("verma")
@evaluate_options.on
@reproduce_options.out("verma", "Runs, results.json, tables.md and subsets.png.")
@click.option("--folds", type=click.IntRange(min=1), metavar="N", help="Test the first N folds.  [default: all]")
@reproduce_options.preset("diverse")
@reproduce_options.config("diverse")
def command(where: tuple[str, ...], out: Path, folds: int | None, preset: str, config: Path | None) -> None:
    """Train four streams and every linear model over them, and print the paper's tables beside.

    Streams are trained on all but the clips that are tested: fold by fold, or on the official split. What was stopped
    goes on when the same command is given again. results.json, tables.md and subsets.png are written to the folder.

    \b
    Examples:
      soundloom reproduce verma --on esc50=/data/ESC-50-master --preset small --folds 1 --out runs/verma
      soundloom reproduce verma --on fsd50k=/data/FSD50K --out runs/verma-fsd50k
    """
    from soundloom.cli.progress_bars import followed
    from soundloom.recipes.diverse import PRESETS
    from soundloom.reproduce.verma import reproduce, write
    from soundloom.training.flat_config import read_yaml, resolve

    if len(where) > 1:
        raise click.UsageError(f"one corpus at a time, got {len(where)}: give each a folder of its own")
    recipe = PRESETS[preset]
    if config is not None:
        recipe = resolve(recipe, read_yaml(config), str(config))
    (corpus,) = evaluate_options.load_corpora(where)
    with followed() as (preparing, progress):
        found = reproduce(
            corpus,
            out,
            recipe,
            folds=folds,
            progress=progress,
            preparing=preparing,
            report=lambda line: echo(line, err=True),
        )
    echo(write(found, out))
    echo(f"results.json, tables.md and subsets.png are in {out}", err=True)
