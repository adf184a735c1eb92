"""``soundloom reproduce``: the tables of the papers, measured here beside those that were published."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

import click

from soundloom.cli.command_group import CommandGroup

__all__ = ["PAPERS", "Paper", "command"]


@dataclass(frozen=True)
class Paper:
    """A paper whose tables can be measured.

    Attributes:
        module: holds the command under the name ``command``.
        title: what it measures, in a line.
    """

    module: str
    title: str


PAPERS: Mapping[str, Paper] = MappingProxyType(
    {
        "jansen": Paper("soundloom.cli.reproduce_jansen", "Triplets from unlabelled sounds: tables 1 and 2."),
        "coala": Paper("soundloom.cli.reproduce_coala", "Sounds aligned with tags: tables 1 and 2."),
        "verma": Paper("soundloom.cli.reproduce_verma", "Diverse embeddings, alone and woven: tables 1 and 2."),
        "niizumi": Paper("soundloom.cli.reproduce_niizumi", "Layers and their fusion: table III, figures 2-4."),
    }
)
"""Paper -> its command; imported when it is wanted."""


class _Papers(CommandGroup):
    """A command a paper."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order of the table."""
        return list(PAPERS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a paper, imported now."""
        if cmd_name not in PAPERS:
            return None
        command: click.Command = import_module(PAPERS[cmd_name].module).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The papers, of which none is imported for it."""
        with formatter.section("Papers"):
            formatter.write_dl([(name, paper.title) for name, paper in PAPERS.items()])


@click.group("reproduce", cls=_Papers)
def command() -> None:
    """Train and measure what a paper's tables show, on sounds that you have.

    \b
    Examples:
      soundloom reproduce jansen --on esc50=/data/ESC-50-master --train-on ~/sounds --preset small
      soundloom reproduce jansen --help
    """
