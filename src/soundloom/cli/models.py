"""``soundloom models``: what can be named where a model is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import click

from soundloom.cache_folder import cache_home
from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.errors import MissingExtraError

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
    from soundloom.cli import listings

    known = listings.models()
    published = {name: model.checkpoint for name, model in known.items() if model.checkpoint is not None}
    if json_wanted:
        rows: dict[str, dict[str, Any]] = {}
        for name, model in known.items():
            weights = _facts(published[name]) if name in published else None
            rows[name] = {
                "title": model.title,
                "source": model.source,
                "licence": model.licence or None,
                "weights": weights,
            }
        print_json(rows)
        return
    from rich.console import Console
    from rich.table import Table

    about = Table(box=None, show_header=False, pad_edge=False)
    about.add_column(style="bold", no_wrap=True)
    about.add_column(overflow="fold")
    for name, model in known.items():
        lines = [model.title, f"{model.source}; licence {model.licence or 'not stated'}"]
        if name in published:
            lines.append(_weights(published[name]))
        about.add_row(name, "\n".join(lines))
    Console(highlight=False).print(about)
    default = next(name for name, model in known.items() if model.default)
    echo(f"\nThe default is {default}. Weights are fetched when a model is first used; --json has their addresses.")
    if not find_spec("torch"):
        echo(f"The others need PyTorch: {MissingExtraError.remedy('torch')}")


def _weights(checkpoint: Mapping[str, Any]) -> str:
    """Licence and size of a checkpoint, what of it is here, and who serves it."""
    facts = _facts(checkpoint)
    host = urlsplit(facts["address"]).hostname
    return f"weights: licence {facts['licence']}, {checkpoint['size']} from {host}, {_HERE[facts['cached_weights']]}"


def _facts(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """What is published, and what of it is in the cache."""
    from soundloom.models.weights.download import PublishedFile, cached_weights

    source = PublishedFile(**{key: checkpoint[key] for key in ("address", "filename", "sha256", "md5")})
    cached = cached_weights(source, cache_home() / "checkpoints" / checkpoint["name"])
    kept = {key: checkpoint[key] for key in ("licence", "citation", "address", "bytes", "digest")}
    return {**kept, "cached": cached == "published", "cached_weights": cached}
