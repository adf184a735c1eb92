"""Options that the commands of ``soundloom reproduce`` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from soundloom.cli import common_options, evaluate_options
from soundloom.cli.progress_bars import followed

if TYPE_CHECKING:
    from soundloom.reproduce.reporter import Reporter

__all__ = ["config", "configured", "given", "out", "preset", "reporting"]

Option = Callable[[Callable[..., Any]], Callable[..., Any]]
R = TypeVar("R")


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


def configured(preset: R, config: Path | None) -> R:
    """A recipe, changed by the settings in a file, if one is given.

    Raises:
        TrainingError: the file cannot be read, or has no such settings.
    """
    from soundloom.training.flat_config import read_yaml, resolve

    return preset if config is None else resolve(preset, read_yaml(config), str(config))


def given(flags: dict[str, Any]) -> dict[str, Any]:
    """The flags that were given."""
    return {name: value for name, value in flags.items() if value is not None}


@contextmanager
def reporting(*, quiet: bool = False) -> Iterator[Reporter]:
    """Progress on standard error: bars of clips and steps, and a line for each stage unless quiet is wanted."""
    from soundloom.reproduce.reporter import Reporter

    with followed() as (preparing, training):
        yield Reporter(
            say=lambda line: evaluate_options.report(line, quiet=quiet), preparing=preparing, training=training
        )
