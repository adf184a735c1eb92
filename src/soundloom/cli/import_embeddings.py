"""``soundloom import``: a library of embeddings that were made elsewhere."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.counted import counted

__all__ = ["command"]


@click.command("import")
@click.argument("source", type=common_options.LocalPath(must_exist=True), metavar="FILE")
@common_options.library_without_remark
@click.option("-m", "--model", "name", metavar="NAME", help="The model that made them, where the file does not say.")
def command(source: Path, folder: Path, name: str | None) -> None:
    """Make a library of a file of embeddings: Parquet, NPZ or CSV, with paths and, of segments, start and end.

    What soundloom embed wrote says which model made it, and new sounds can be searched by. Other embeddings are
    searched by the sounds that they are of, by names, tags and filters. Nothing is embedded.

    \b
    Examples:
      soundloom import embeddings.parquet -l embeddings.loom
      soundloom import perch.npz -l perch.loom --model perch
    """
    from soundloom.library import Library
    from soundloom.library.embedding_import import import_embeddings

    files, segments = import_embeddings(source, folder, name)
    Library.open(folder).index()
    echo(f"{counted(segments, 'segment')} of {counted(files, 'file')}: {folder}")
