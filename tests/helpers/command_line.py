"""The command line, run within the process of a test."""

from __future__ import annotations

from click.testing import CliRunner, Result

from soundloom.cli import main


def run(*arguments: object) -> Result:
    """The outcome of a command, such as ``run("search", path)``."""
    return CliRunner().invoke(main, [str(argument) for argument in arguments])
