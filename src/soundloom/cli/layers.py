"""``soundloom layers``: which layers of an encoder serve which tasks, and which two to fuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options, evaluate_options
from soundloom.cli.console import Styled, clock, echo, print_json
from soundloom.cli.model_loader import model_loader

if TYPE_CHECKING:
    from soundloom.evaluation.results import Result
    from soundloom.evaluation.scores import Score

__all__ = ["command"]


@click.command("layers")
@click.argument("model_name", metavar="MODEL")
@evaluate_options.on
@click.option("--protocol", default="linear", show_default=True, metavar="NAME", help="linear, mlp, knn, ...")
@evaluate_options.out
@evaluate_options.seed
@common_options.weight_files
@common_options.offline
@evaluate_options.cache
@common_options.workers
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    model_name: str,
    where: tuple[str, ...],
    protocol: str,
    out: Path | None,
    seed: int,
    files: tuple[str, ...],
    offline: bool,
    cache: Path | None,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Measure every layer of a model's encoder on every corpus.

    All layers are embedded in one pass over the sound; of a woven model, such as loom, those of each part that has
    several. Names the middle layer M and the late layer L that are best to fuse, by the rule of Niizumi 2022: each the
    best on average of the tasks that it is for.

    \b
    Examples:
      soundloom layers cnn14 --on esc50=/data/ESC-50-master --on speech-commands=/data/speech_commands -o layers
      soundloom layers vggish --on esc50=/data/ESC-50-master --protocol knn --weights vggish-10086976.pth
      soundloom layers runs/mine --on esc50=/data/ESC-50-master      a model trained here
    """
    from soundloom.evaluation import results as kept
    from soundloom.evaluation.analysis.layers import evaluate_layers, layered_streams
    from soundloom.evaluation.training_clips import find_training_clips

    load = model_loader(offline=offline)
    weights = common_options.parse_files(files) or "published"
    found_streams = layered_streams(load(model_name, weights=weights, seed=seed))
    clips = find_training_clips(model_name)
    corpora = evaluate_options.load_corpora(where)
    found, refused = list[kept.Result](), False

    def scored(layer: str, score: Score, seconds: float) -> None:
        evaluate_options.report(f"  {layer:>10}  {score}, {clock(seconds)}", quiet=json_wanted)

    measure = partial(evaluate_layers, protocol=protocol, seed=seed, cache=cache, workers=workers, scored=scored)
    for stream, corpus in product(found_streams, corpora):
        part = model_name if len(found_streams) == 1 else f"{stream.name.partition('#')[0]} of {model_name}"
        evaluate_options.report(f"{part} on {corpus.name}", quiet=json_wanted)
        with evaluate_options.embedding_bar("embedding", quiet=json_wanted) as progress:
            try:
                layers = measure(stream, corpus, progress=progress)
            except kept.EvaluationError as error:
                echo("  ", Styled("not measured", "red"), f" {error}", err=True)
                refused = True
                continue
        trained_on = clips.count(corpus, workers)
        found += [replace(result, trained_on=trained_on) for result in layers.values()]
        if out is not None:
            kept.write(out / "results.json", found)
    if out is not None and found:
        evaluate_options.write_report(out, found)
    if found:
        _print_choices(model_name, len(found_streams) > 1, found, json_wanted)
    if evaluate_options.report_refused(found) or refused:
        context.exit(1)


def _print_choices(model_name: str, woven: bool, found: Sequence[Result], json_wanted: bool) -> None:
    """Print the scores, and which layers of each stream to fuse."""
    from soundloom.evaluation.analysis.layers import choose, curves

    choices = {
        word: choose({task: {layer: score.mean for layer, score in curve.items()} for task, curve in tasks.items()})
        for (word, _), tasks in curves(found).items()
    }
    if json_wanted:
        chosen = {"choices": choices} if woven else {"choice": next(iter(choices.values()), None)}
        print_json({**chosen, "results": found})
        return
    evaluate_options.print_table(found)
    for word, choice in choices.items():
        if woven:
            echo(f"{word}:")
        for letter, layer, group in (("M", choice.middle, choice.middle_tasks), ("L", choice.late, choice.late_tasks)):
            echo(f"{letter} = {layer}, for {', '.join(group)}" if group else f"{letter}: no task asks for one")
        fused = sorted({layer for layer in (choice.middle, choice.late) if layer is not None})
        if woven:
            echo(f"Fused:  layers {', '.join(map(str, fused))} of the part {word}, by Stream.with_layers")
        else:
            layers = "".join(f"#{layer}" for layer in fused)
            parts = model_name.split("+")
            echo(f"Fused:  {'+'.join(part + layers * (len(parts) == 1 or part == word) for part in parts)}")
