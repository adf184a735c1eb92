"""Options and arguments that several commands share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from soundloom.errors import QueryError

__all__ = ["as_json", "hop", "library", "model", "parse_weights", "sounds", "window", "workers"]

library = click.option(
    "-l",
    "--library",
    "folder",
    type=click.Path(path_type=Path),
    default="sounds.loom",
    show_default=True,
    metavar="FOLDER",
    help="The library.",
)

sounds = click.argument("sounds", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOUNDS...")

model = click.option(
    "-m", "--model", "name", metavar="NAME", help="The model, such as logmel+mfcc; see: soundloom models."
)

window = click.option(
    "--window",
    callback=lambda _context, _option, text: _seconds(text),
    default="10",
    show_default=True,
    metavar="SECONDS",
    help="Cut longer sounds into segments of this length; 'whole' keeps every file in one piece.",
)

hop = click.option(
    "--hop", type=float, metavar="SECONDS", help="From one segment's start to the next.  [default: the window]"
)

workers = click.option(
    "-j", "--workers", type=click.IntRange(min=1), help="Files at a time.  [default: one for each processor]"
)

as_json = click.option("--json", "json_wanted", is_flag=True, help="Print the result as JSON.")


def _seconds(text: Any) -> float | None:
    if text == "whole":
        return None
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is neither a number of seconds nor 'whole'") from None


def parse_weights(text: str | None) -> Mapping[str, float]:
    """Read ``part=weight,part=weight``.

    >>> parse_weights("logmel=2,mfcc=0")
    {'logmel': 2.0, 'mfcc': 0.0}

    Raises:
        QueryError: not of that form.
    """
    weights: dict[str, float] = {}
    for item in (text or "").split(","):
        if not item.strip():
            continue
        name, separator, value = item.partition("=")
        try:
            weights[name.strip()] = float(value)
        except ValueError:
            separator = ""
        if not separator:
            raise QueryError(f"weights are written part=number,part=number, such as logmel=2,mfcc=0; got {item!r}")
    return weights
