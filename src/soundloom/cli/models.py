"""``soundloom models``: what can be named where a model is wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json

if TYPE_CHECKING:
    from soundloom.models.weights.published_checkpoints import Checkpoint

__all__ = ["command"]

_HERE = {
    "published": "in the cache",
    "own": "not in the cache, but weights converted from a file of your own are: they are used with --weights FILE",
    "none": "not in the cache",
}
"""What the cache holds of a checkpoint's weights, in words."""


@click.command("models")
@common_options.as_json
def command(json_wanted: bool) -> None:
    """List the models, their licences, and where their weights come from.

    Any of them can be woven with '+', such as logmel+mfcc: one embedding whose parts can be weighed apart. A model
    saved by soundloom, or an audio model of the transformers library, goes by its folder, ./my-model, or
    hf:owner/name on the Hugging Face hub; its layers as hf:owner/name#6#12.
    """
    from soundloom.models import DEFAULT, MODELS
    from soundloom.models.weights.published_checkpoints import CHECKPOINTS

    published = {name: CHECKPOINTS[row.checkpoint] for name, row in MODELS.items() if row.checkpoint}
    if json_wanted:
        rows: dict[str, dict[str, Any]] = {}
        for name, row in MODELS.items():
            weights = _facts(published[name]) if name in published else None
            rows[name] = {
                "title": row.title,
                "source": row.source,
                "licence": row.stated_licence or None,
                "weights": weights,
            }
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    about = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "what it is", "where it comes from", "licence"):
        about.add_column(heading, overflow="fold")
    for name, row in MODELS.items():
        about.add_row(name, row.title, row.source, row.stated_licence or "not stated")
    console.print(about)
    echo(f"\nThe default is {DEFAULT}. Weights, fetched when a model is first used:\n")
    for name, checkpoint in published.items():
        facts = _facts(checkpoint)
        here = _HERE[facts["cached_weights"]]
        echo(f"{name:<10} {facts['licence']}, {checkpoint.source.size}, {here}\n{'':<10} {facts['address']}")


def _facts(checkpoint: Checkpoint) -> dict[str, Any]:
    from soundloom.models.weights.weight_store import cached_weights

    source, cached = checkpoint.source, cached_weights(checkpoint)
    return {
        "licence": checkpoint.licence,
        "citation": checkpoint.citation,
        "address": source.address,
        "bytes": source.bytes,
        "digest": source.digest,
        "cached": cached == "published",
        "cached_weights": cached,
    }
