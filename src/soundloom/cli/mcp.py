"""``soundloom mcp``: a library as a server of the Model Context Protocol, for assistants and other clients."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options

__all__ = ["command"]


@click.command("mcp")
@click.argument("folder", type=common_options.LibraryPath(), default="sounds.loom", metavar="[LIBRARY]")
@click.option(
    "--detectors",
    type=common_options.LocalPath(must_exist=True),
    metavar="FOLDER",
    help="Where detectors lie.  [default: the current folder]",
)
def command(folder: Path, detectors: Path | None) -> None:
    """Let an assistant search a library: a server of the Model Context Protocol on standard input and output.

    Its tools search, explain, tag and detect; none changes the library or a file. A client starts it: give it the
    command below, with the library's full path. Needs: pip install 'soundloom[mcp]'; for detections, and libraries of
    other models than the default one, 'soundloom[mcp,torch]'

    \b
    Examples:
      soundloom mcp sounds.loom
      soundloom mcp ~/field.loom --detectors ~/detectors
    """
    from soundloom.integrations.mcp_server import library_server
    from soundloom.library import Library

    library_server(Library.open(folder), detectors).run("stdio")
