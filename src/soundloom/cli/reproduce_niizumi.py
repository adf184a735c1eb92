"""``soundloom reproduce niizumi``: layers and their fusion, table III and figures 2-4."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options, evaluate_options, reproduce_options
from soundloom.cli.console import echo
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import Integer

__all__ = ["command"]


@click.command("niizumi")
@evaluate_options.on
@click.option(
    "--model", "models", multiple=True, metavar="NAME", help="Without layers; give it several times.  [default: yamnet]"
)
@click.option("--layer", "layers", type=int, multiple=True, metavar="N", help="Only these layers.  [default: all]")
@reproduce_options.out("niizumi", "results.json, tables.md, report.html and a figure for each model.")
@click.option("--runs", type=Integer(min=1), default=3, show_default=True, help="Trainings that are averaged.")
@evaluate_options.seed
@common_options.weight_files
@common_options.offline
@evaluate_options.cache
@common_options.workers
def command(
    where: tuple[str, ...],
    models: tuple[str, ...],
    layers: tuple[int, ...],
    out: Path,
    runs: int,
    seed: int,
    files: tuple[str, ...],
    offline: bool,
    cache: Path | None,
    workers: int | None,
) -> None:
    """Measure every layer of models on every task, fuse the best middle and late one, and print the paper's tables.

    The tasks are those at hand; M and L are chosen on them by the paper's rule. What was stopped goes on when the same
    command is given again. Published numbers stand beside vggish-niizumi, cnn14-niizumi and ast-niizumi, which compute
    embeddings as the paper's code does.

    \b
    Examples:
      soundloom reproduce niizumi --on esc50=/data/ESC-50-master --on speech-commands=/data/speech_commands
      soundloom reproduce niizumi --model yamnet --layer 7 --layer 14 --runs 1 --on esc50=/data/ESC-50-master
      soundloom reproduce niizumi --model cnn14-niizumi --on esc50=/data/ESC-50-master --on gtzan=/data/gtzan
    """
    from soundloom.evaluation.probes.linear import LinearProbeSettings
    from soundloom.reproduce.niizumi import reproduce, write
    from soundloom.reproduce.reporter import Reporter

    names = models or ("yamnet",)
    corpora = evaluate_options.load_corpora(where)
    load = model_loader(offline=offline)
    loaded = {
        name: load(name, weights=weights, seed=seed)
        for name, weights in evaluate_options.weights_for(names, files).items()
    }
    with evaluate_options.embedding_bar("embedding", quiet=False) as progress:
        found = reproduce(
            loaded,
            corpora,
            out,
            Reporter(say=lambda line: echo(line, err=True), embedding=progress),
            layers=layers,
            settings=LinearProbeSettings(runs=runs),
            seed=seed,
            cache=cache,
            workers=workers,
        )
    echo(write(found, out))
    echo(f"results.json, tables.md, report.html and figures are in {out}", err=True)
