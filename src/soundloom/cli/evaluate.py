"""``soundloom evaluate``: how well models serve tasks, by the papers' protocols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options, evaluate_options
from soundloom.cli.console import Styled, clock, echo, print_json
from soundloom.cli.model_loader import model_loader

if TYPE_CHECKING:
    from soundloom.evaluation.results import Result
    from soundloom.evaluation.scores import Score

__all__ = ["command"]


@click.command("evaluate")
@click.argument("models", nargs=-1, required=True, metavar="MODEL...")
@evaluate_options.on
@click.option(
    "--protocol",
    "protocols",
    cls=common_options.ListOption,
    default=("linear",),
    show_default=True,
    metavar="NAME,...",
    help="linear, mlp, knn, retrieval (query-by-example and leave-one-out), shallow, few-shot, few-shot-5, clips "
    "(chunks of 1 s), sklearn-mlp, correlation, ablation.",
)
@click.option("--join", is_flag=True, help="Report results of earlier runs together: MODEL... are results.json files.")
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
    models: tuple[str, ...],
    where: tuple[str, ...],
    protocols: str,
    join: bool,
    out: Path | None,
    seed: int,
    files: tuple[str, ...],
    offline: bool,
    cache: Path | None,
    workers: int | None,
    json_wanted: bool,
) -> None:
    """Measure models on labelled collections.

    Every clip is embedded once by a model and kept; a second run measures at once. Scores come with 95 %
    intervals, and beside them what was published of the same model by the same protocol.

    \b
    Examples:
      soundloom evaluate logmel mfcc logmel+mfcc --on esc50=/data/ESC-50-master --protocol linear,knn,retrieval
      soundloom evaluate cnn14 cnn14#3#6 --on esc50=/data/ESC-50-master --on gtzan=/data/GTZAN -o report
      soundloom evaluate logmel+mfcc --on ~/sounds --protocol ablation,correlation -o report
      soundloom evaluate --join monday/results.json tuesday/results.json -o both
    """
    from soundloom.evaluation import results as kept

    if join:
        if where:
            raise click.UsageError("--join reads earlier results and measures nothing: leave out --on")
        found, whole = kept.join(result for path in models for result in kept.read(path)), True
    else:
        found, whole = [], True
        weights = evaluate_options.weights_for(models, files)
        shared = {"seed": seed, "cache": cache, "workers": workers, "projection": out is not None}
        for result in _measured(weights, where, protocols, offline=offline, quiet=json_wanted, **shared):
            if result is None:
                whole = False
                continue
            found.append(result)
            if out is not None:
                # After every result, so that a long run that is stopped keeps what it has.
                kept.write(out / "results.json", found)
    if out is not None and found:
        evaluate_options.write_report(out, found)
    if json_wanted:
        print_json(found)
    elif found:
        evaluate_options.print_table(found)
    # What earlier runs left out is printed again, but is no failure of this one.
    if (evaluate_options.report_refused(found) and not join) or not whole:
        context.exit(1)


def _measured(
    weights: Mapping[str, Any], where: Sequence[str], protocols: str, *, offline: bool, quiet: bool, **shared: Any
) -> Iterator[Result | None]:
    """Every model on every corpus, printed as each is done; None where a corpus allows none of the protocols."""
    from soundloom.evaluation.results import EvaluationError
    from soundloom.evaluation.runner import evaluate, protocol_names
    from soundloom.evaluation.training_clips import find_training_clips

    def scored(score: Score, took: float) -> None:
        evaluate_options.report(f"  {score}, {clock(took)}", quiet=quiet)

    names = protocol_names([name.strip() for name in protocols.split(",")])
    corpora = evaluate_options.load_corpora(where)
    for name, chosen in weights.items():
        load = model_loader(offline=offline)
        model = load(name, weights=chosen, seed=shared["seed"])
        trained_on = find_training_clips(name)
        for corpus in corpora:
            evaluate_options.report(f"{model.name} on {corpus.name}", quiet=quiet)
            with evaluate_options.embedding_bar("embedding", quiet=quiet) as progress:
                try:
                    result = evaluate(
                        model, corpus, names, trained_on=trained_on, progress=progress, scored=scored, **shared
                    )
                except EvaluationError as error:
                    echo("  ", Styled("not measured", "red"), f" {error}", err=True)
                    yield None
                    continue
            summary = f"  {result.embedded} of {result.clips} clips embedded now, {clock(result.seconds)}"
            evaluate_options.report("; ".join(filter(None, (summary, result.caution))), quiet=quiet)
            yield result
