"""``soundloom reproduce jansen``: triplets from unlabelled sounds, the paper's tables 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import evaluate_options, reproduce_options
from soundloom.cli.console import cell, echo, print_json, table_console
from soundloom.cli.option_types import Integer

if TYPE_CHECKING:
    from soundloom.recipes.triplet import TripletRecipe
    from soundloom.reproduce.jansen import JansenResult

__all__ = ["command"]


@click.command("jansen")
@evaluate_options.on
@click.option(
    "--train-on",
    "unlabelled",
    required=True,
    metavar="CORPUS[=ROOT]",
    help="What to learn from without labels: a corpus and its folder, or a folder of sounds; none that is measured on.",
)
@reproduce_options.out("jansen", "Runs, results.json, tables.md and a picture for each corpus.")
@reproduce_options.preset("triplet")
@reproduce_options.config("triplet")
@click.option("--stream", metavar="NAME", help="What learns, instead of the preset's.")
@click.option("--steps", type=Integer(min=1), help="Steps of each training, at most half of them warming up.")
@click.option("--batch", type=Integer(min=2), help="Triplets a step, instead of the preset's.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train.")
@click.option(
    "--folds", type=Integer(min=1), help="Measure on so many of each corpus's folds; the topline learns in each."
)
@click.option("--runs", type=Integer(min=1), default=1, show_default=True, help="Trainings of each classifier.")
@click.option("--epochs", type=Integer(min=1), default=200, show_default=True, help="Most epochs of each classifier.")
@click.option(
    "--segments",
    type=Integer(min=0),
    default=20,
    show_default=True,
    help="Clips a class of table 2; 0: no table.",
)
@click.option("--draws", type=Integer(min=1), default=3, show_default=True, help="How often they are drawn.")
@click.option(
    "--scratch-steps",
    type=Integer(min=1),
    default=1000,
    show_default=True,
    help="Steps of the network from scratch.",
)
@click.option("--unit-length", is_flag=True, help="Measure learned embeddings at unit length, as the loss sees them.")
@evaluate_options.seed
@click.option("--json", "json_wanted", is_flag=True, help="Print the result as JSON.")
def command(
    where: tuple[str, ...],
    unlabelled: str,
    out: Path,
    preset: str,
    config: Path | None,
    folds: int | None,
    runs: int,
    epochs: int,
    segments: int,
    draws: int,
    scratch_steps: int,
    unit_length: bool,
    seed: int,
    json_wanted: bool,
    **flags: Any,
) -> None:
    """Learn from unlabelled sounds by each of the paper's samplers, and measure what it is worth.

    Seven embeddings (log-mel, four samplers, all together, by label in each fold), retrieval, classifiers of one and
    two layers, and of 20 clips a class beside a network from scratch. The same command goes on where it was stopped.

    \b
    Examples:
      soundloom reproduce jansen --on esc50=/data/ESC-50-master --train-on pool=/data/audio --preset small
      soundloom reproduce jansen --on fsd50k=/data/FSD50K --train-on ~/sounds --stream resnet18 --steps 20000
    """
    from soundloom.reproduce.jansen import JansenSettings, reproduce, write

    (sounds,) = evaluate_options.load_corpora([unlabelled])
    corpora = evaluate_options.load_corpora(where)
    recipe = _recipe(preset, config, {**flags, "seed": seed})
    settings = JansenSettings(
        splits=folds or 0,
        runs=runs,
        epochs=epochs,
        segments=segments,
        draws=draws,
        scratch_steps=scratch_steps,
        unit_length=unit_length,
        seed=seed,
    )
    found = []
    for corpus in corpora:
        with reproduce_options.reporting(quiet=json_wanted) as reporter:
            found.append(reproduce(corpus, sounds, recipe, settings, out, reporter))
        # After every corpus, so that a long reproduction that is stopped keeps what it has.
        results = write(found, out)
    if json_wanted:
        print_json(results)
    else:
        for each in found:
            _print(each)
        echo(f"results.json, tables.md and pictures are in {out}", err=True)


def _recipe(preset: str, config: Path | None, flags: dict[str, Any]) -> TripletRecipe:
    """The preset, changed by a file, and that by flags."""
    from soundloom.recipes.triplet import PRESETS
    from soundloom.training.flat_config import resolve

    recipe = reproduce_options.configured(PRESETS[preset], config)
    changes = reproduce_options.given(flags)
    if "steps" in changes:
        changes["warmup"] = min(recipe.training.warmup, changes["steps"] // 2)
    return resolve(recipe, changes, "reproduce jansen")


def _print(found: JansenResult) -> None:
    from rich.table import Table

    from soundloom.reproduce.jansen_tables import COLUMNS, PAPER_FEW, TITLES, cells

    console = table_console(400)
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(cell(f"{found.corpus}, splits {', '.join(found.splits)}"), no_wrap=True)
    for title in (*COLUMNS.values(), "query by example,\nall clips"):
        table.add_column(title, justify="right")
    for row, values in cells(found.table).items():
        whole = f"{found.whole[row]:.3f}" if row in found.whole else "-"
        table.add_row(TITLES[row], *(str(values[column]) for column in COLUMNS), whole)
    console.print(table)
    if found.few:
        table = Table(box=None, header_style="bold", pad_edge=False)
        table.add_column("a few clips a class", no_wrap=True)
        table.add_column("mAP", justify="right")
        for row, value in found.few.items():
            table.add_row(TITLES[row], f"{value:.3f} ({PAPER_FEW[row]:.3f})")
        console.print(table)
    echo("mAP and the share of the gap between log-mel and the topline; in brackets the paper's, on AudioSet", err=True)
