"""``soundloom corpora``: the labelled collections that can be read, and what a copy of one holds."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.cli.evaluate_options import PARTIAL, load_corpora

__all__ = ["command"]

SHOWN = 12
"""Classes that are counted on the screen; all of them are in the JSON."""

SPLITS = ("train", "valid", "test")


@click.command("corpora")
@click.argument("name", required=False, metavar="[CORPUS[=ROOT]]")
@click.argument("root", required=False, type=common_options.LocalPath(must_exist=True))
@click.option("--partial", **PARTIAL)
@click.option("--full", is_flag=True, help="Look at every file instead of a few.")
@common_options.as_json
def command(name: str | None, root: Path | None, full: bool, json_wanted: bool) -> None:
    """List the corpora, or check a copy of one.

    With a name and a folder, compares the folder with what the corpus should hold, and counts its clips. Folders of
    folders, CSVs and saved corpora need no name.

    \b
    Examples:
      soundloom corpora
      soundloom corpora esc50=/data/ESC-50-master --full
      soundloom corpora ~/sounds
    """
    if name is None:
        _list(json_wanted=json_wanted)
    else:
        _check(name, root, full=full, json_wanted=json_wanted)


def _list(*, json_wanted: bool) -> None:
    from soundloom.corpora import CORPORA

    if json_wanted:
        fields = ("title", "task", "layout", "address", "licence", "counts")
        rows = {corpus: {name: getattr(source, name) for name in fields} for corpus, source in CORPORA.items()}
        print_json(rows)
        return
    for name, source in CORPORA.items():
        counts = source.counts
        folds = sum(key.startswith("fold ") for key in counts)
        facts = [f"{counts[key]:,} {key}" for key in ("clips", "classes") if key in counts]
        facts += [f"{folds} folds"] if folds else [f"{counts[key]:,} to {key}" for key in SPLITS if key in counts]
        echo(f"{name:<16} {source.title}")
        for line in (", ".join([source.task, *facts]), source.licence, source.address):
            echo(f"{'':<16} {line}")


def _check(name: str, root: Path | None, *, full: bool, json_wanted: bool) -> None:
    corpus = load_corpora([name if root is None else f"{name}={root}"], check="full" if full else "sample")[0]
    summary = corpus.summary()
    if json_wanted:
        about = {"name": corpus.name, "root": str(corpus.root), "task": corpus.task, "licence": corpus.licence}
        print_json({**about, "split_origin": corpus.split_origin, **dataclasses.asdict(summary)})
        return
    splits = ", ".join(f"{split} {count}" for split, count in summary.splits.items())
    folds = ", ".join(f"{fold}: {count}" for fold, count in summary.folds.items())
    classes = sorted(summary.classes.items(), key=lambda item: -item[1])
    more = f", ... {len(classes) - SHOWN} more" if len(classes) > SHOWN else ""
    for label, value in (
        ("corpus", f"{corpus.name}, {corpus.task}"),
        ("folder", str(corpus.root)),
        ("clips", f"{summary.clips}, in {summary.groups} groups"),
        ("splits", f"{splits or 'none'} ({corpus.split_origin})"),
        ("folds", folds or "none"),
        ("tags", str(summary.tags)),
        ("classes", f"{len(classes)}: " + ", ".join(f"{name} {count}" for name, count in classes[:SHOWN]) + more),
        ("licence", corpus.licence or "unknown"),
    ):
        echo(f"{label:>10}  {value}")
