"""Options that the commands of ``soundloom reproduce`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from soundloom.cli import common_options

__all__ = ["config", "out", "preset"]

Option = Callable[[Callable[..., Any]], Callable[..., Any]]


def preset(recipe: str) -> Option:
    """Where the settings of the trainings begin."""
    return click.option(
        "--preset",
        type=click.Choice(["paper", "small"]),
        default="paper",
        show_default=True,
        help=f"See: train {recipe}.",
    )


def config(recipe: str) -> Option:
    """A file of settings over the preset's."""
    return click.option(
        "--config",
        type=common_options.LocalPath(dir_okay=False, exists=True),
        metavar="FILE",
        help=f"Settings of `train {recipe}` in YAML.",
    )


def out(paper: str, holds: str) -> Option:
    """The folder of everything that is trained and measured."""
    return click.option(
        "-o",
        "--out",
        type=common_options.LocalPath(file_okay=False),
        default=f"runs/{paper}",
        show_default=True,
        metavar="FOLDER",
        help=holds,
    )
