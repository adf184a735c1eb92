"""``soundloom roots``: the folders that a library was filled from; relocate or forget one."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.arrow_without_pandas import open_library
from soundloom.cli.command_group import CommandGroup
from soundloom.cli.console import clock, echo, print_json
from soundloom.counted import counted
from soundloom.library.mirror import shown
from soundloom.remote import absolute_location

if TYPE_CHECKING:
    from soundloom.library import Root

__all__ = ["absent_root", "command", "roots_table"]

_library = common_options.library_option("The library.")


class _Roots(CommandGroup):
    """The commands of roots; folders are added by indexing them."""

    synonyms = dict.fromkeys(("add", "new"), "index SOUNDS -l LIBRARY")


@click.group("roots", cls=_Roots, invoke_without_command=True)
@common_options.library
@common_options.as_json
@click.pass_context
def command(context: click.Context, folder: Path, json_wanted: bool) -> None:
    """List the folders that a library was filled from, relocate one, or forget one.

    A folder is absent if it is not there, or is empty where it held sounds, as a drive that is not mounted is. Its
    embeddings are kept, and its hits are marked. When the same sounds turn up in another place, soundloom index
    recognises them by their contents; relocate does so by hand.

    \b
    Examples:
      soundloom roots -l sounds.loom
      soundloom roots -l sounds.loom relocate /media/old /media/new
      soundloom roots -l sounds.loom forget /media/old
    """
    context.obj = folder
    if context.invoked_subcommand is None:
        _list_roots(folder, json_wanted=json_wanted)


@command.command("list")
@_library
@common_options.as_json
@click.pass_obj
def list_(parent: Path, folder: Path | None, json_wanted: bool) -> None:
    """List the folders that a library was filled from; the same as soundloom roots."""
    _list_roots(folder or parent, json_wanted=json_wanted)


def _list_roots(folder: Path, *, json_wanted: bool) -> None:
    library = open_library(folder)
    roots = library.roots.all()
    if json_wanted:
        print_json(roots)
    else:
        for line in roots_table(roots) or ["no sounds are indexed yet"]:
            echo(line)
        for path in library.roots.forgotten():
            echo(f" forgotten  left out until it is indexed by name  {path}")


@command.command("relocate")
@click.argument("old")
@click.argument("new", type=common_options.SoundsPath())
@_library
@click.pass_obj
def relocate(parent: Path, old: str, new: Path, folder: Path | None) -> None:
    """Say that what was at OLD is at NEW now; nothing is embedded again.

    Refused where none of the files of OLD is at NEW; those that are not there are counted, and kept.
    """
    library = folder or parent
    root = open_library(library).roots.relocate(old, new)
    echo(f"{old} is now {new}; {root.path} holds {counted(root.files, 'file')}, {clock(root.seconds)} of sound.")
    if root.missing:
        prune = f"soundloom index {quote(str(new))} --prune -l {quote(shown(library))}"
        echo(f"not at {new}, and kept: {counted(root.missing, 'file')}. If gone for good: {prune}")


@command.command("forget")
@click.argument("path")
@_library
@click.pass_obj
def forget(parent: Path, path: str, folder: Path | None) -> None:
    """Remove the embeddings of what was indexed from PATH, a root or what lies in one; no sound is touched.

    Roots that lie in PATH stay. A PATH in a root is left out from now on; soundloom index PATH takes it back.
    """
    roots = open_library(folder or parent).roots
    removed = roots.forget(path)
    kept_out = (
        f" It is left out of later runs; soundloom index {quote(path)} takes it back."
        if absolute_location(path) in roots.forgotten()
        else ""
    )
    echo(f"{path} is forgotten: {counted(removed, 'file')}.{kept_out}")


def absent_root(root: str, library: Path) -> str:
    """What to do about a root that is not there, in a line."""
    roots = f"soundloom roots -l {quote(shown(library))}"
    return (
        f"absent, kept as it was: {root}. If it has moved: {roots} relocate {quote(root)} NEW; if it is gone for good: "
        f"{roots} forget {quote(root)}"
    )


def roots_table(roots: list[Root]) -> list[str]:
    """A line for every root: state, files, length, when it was indexed, path."""
    lines = []
    for root in roots:
        state = "absent" if root.absent else f"{root.missing} missing" if root.missing else "present"
        when = root.indexed.replace("T", " ").removesuffix("+00:00") if root.indexed else "not known"
        lines.append(f"{state:>10}  {root.files:>7} files  {clock(root.seconds):>9}  {when:<19}  {root.path}")
    return lines
