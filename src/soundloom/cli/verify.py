"""``soundloom verify``: find damaged files of a library."""

from __future__ import annotations

from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json
from soundloom.counted import counted

__all__ = ["command"]


@click.command("verify")
@common_options.library
@click.option("--renew", is_flag=True, help="Take the store's files as they are now for right, from now on.")
@common_options.as_json
@click.pass_context
def command(context: click.Context, folder: Path, renew: bool, json_wanted: bool) -> None:
    """Read a library whole and name every damaged file and its remedy.

    The store is compared with checksums that were noted when it was written, and every row is read. Exits with 1 if
    something is damaged. Caches are rebuilt by themselves.

    \b
    Examples:
      soundloom verify -l sounds.loom
      soundloom verify -l sounds.loom --renew     after restoring single files by other means
    """
    from soundloom.library.verification import renew_checksums, verify_library

    if renew:
        renew_checksums(folder.resolve())
    found = verify_library(folder.resolve())
    if json_wanted:
        print_json({"library": str(folder), "damaged": found})
    else:
        for finding in found:
            echo(f"damaged {finding.path!r}: {finding.reason}. Remedy: {finding.remedy}")
        echo(f"{counted(len(found), 'file')} damaged" if found else "whole", err=bool(found))
    if found:
        context.exit(1)
