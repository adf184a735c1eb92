"""``soundloom models``: what can be named where a model is wanted."""

from __future__ import annotations

import click

from soundloom.cli import options
from soundloom.cli.console import print_json

__all__ = ["command"]


@click.command("models")
@options.as_json
def command(json_wanted: bool) -> None:
    """List the models.

    Any of them can be woven with '+', such as logmel+mfcc: one embedding whose parts can be weighed apart.
    """
    from soundloom.pretrained import DEFAULT, MODELS

    if json_wanted:
        print_json({name: {"title": row.title, "source": row.source} for name, row in MODELS.items()})
        return
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for heading in ("name", "what it is", "where it comes from"):
        table.add_column(heading, overflow="fold")
    for name, row in MODELS.items():
        table.add_row(name, row.title, row.source)
    Console(highlight=False).print(table)
    click.echo(f"\nThe default is {DEFAULT}.")
