"""``soundloom reproduce coala``: sounds aligned with their tags, the paper's tables 1 and 2."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options, evaluate_options, reproduce_options
from soundloom.cli.console import echo, print_json
from soundloom.cli.option_types import Integer

if TYPE_CHECKING:
    from soundloom.recipes.coala import CoalaRecipe

__all__ = ["command"]


@click.command("coala")
@evaluate_options.on
@click.option(
    "--train-on",
    "tagged",
    required=True,
    metavar="CORPUS[=ROOT]",
    help="Sounds with tags to learn from: a corpus and its folder, a folder, or a CSV; none that is measured on.",
)
@reproduce_options.out("coala", "Runs, results.json and tables.md.")
@reproduce_options.preset("coala")
@reproduce_options.config("coala")
@click.option(
    "--tag-sources",
    cls=common_options.ListOption,
    metavar="NAME,...",
    help="Where tags come from: tags, labels, names, embedded, published.",
)
@click.option("--epochs", type=Integer(min=0), help="Passes over the sounds; 0 to take the steps as they are.")
@click.option("--steps", type=Integer(min=1), help="Steps of each training, with --epochs 0.")
@click.option("--batch", type=Integer(min=2), help="Sounds a step, instead of the preset's.")
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), help="Where to train.")
@click.option("--runs", type=Integer(min=1), default=10, show_default=True, help="Trainings of each perceptron.")
@click.option(
    "--components",
    type=Integer(min=1),
    default=64,
    show_default=True,
    help="Principal components of the embeddings that are correlated with acoustic features.",
)
@evaluate_options.seed
@click.option("--json", "json_wanted", is_flag=True, help="Print the result as JSON.")
def command(
    where: tuple[str, ...],
    tagged: str,
    out: Path,
    preset: str,
    config: Path | None,
    runs: int,
    components: int,
    seed: int,
    json_wanted: bool,
    **flags: Any,
) -> None:
    """Learn from sounds with free-form tags in the paper's three ways, and measure what each is worth.

    AE-C, E-C and CNN are trained on the same sounds and measured beside MFCCs: accuracy of a perceptron on every
    collection, correlation with acoustic features, and how well sounds that were not learned from are found by their
    tags. Runs are kept: the same command goes on where it was stopped.

    \b
    Examples:
      soundloom reproduce coala --on esc50=/data/ESC-50-master --train-on pool=/data/audio --preset small
      soundloom reproduce coala --on urbansound8k=/data/US8K --on gtzan=/data/GTZAN --train-on fsd50k=/data/FSD50K
    """
    from soundloom.reproduce.coala import CoalaSettings, reproduce, tables, write

    (sounds,) = evaluate_options.load_corpora([tagged])
    corpora = evaluate_options.load_corpora(where)
    recipe = _recipe(preset, config, {**flags, "seed": seed})
    settings = CoalaSettings(runs=runs, components=components, seed=seed)
    with reproduce_options.reporting(quiet=json_wanted) as reporter:
        found = reproduce(corpora, sounds, recipe, settings, out, reporter)
    results = write(found, out)
    if json_wanted:
        print_json(results)
    else:
        echo(tables(found))
        echo(f"results.json and tables.md are in {out}", err=True)


def _recipe(preset: str, config: Path | None, flags: dict[str, Any]) -> CoalaRecipe:
    """The preset, changed by a file, and that by flags."""
    from soundloom.recipes.coala import PRESETS
    from soundloom.training.flat_config import resolve

    recipe = reproduce_options.configured(PRESETS[preset], config)
    return resolve(recipe, reproduce_options.given(flags), "reproduce coala")
