"""The command line: one module a command, each parsing, calling the library and printing.

The module of a command is imported when the command is asked for, and nothing heavy before it runs. Results go
to standard output, progress and complaints to standard error. The exit code is 0 when everything went
well, 1 when something did not, 2 when the command was not understood, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import os
import shlex
from collections import UserDict
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

import soundloom
from soundloom.cli.command_group import CommandGroup
from soundloom.cli.common_options import ARGUMENTS
from soundloom.cli.console import tolerate_encodings
from soundloom.cli.error_door import hint_at_meaning, one_line, show_notices

__all__ = ["main"]

_SYNONYMS = {
    **dict.fromkeys(("find", "query", "similar", "ls", "list"), "search"),
    **dict.fromkeys(("add", "scan", "update", "create", "build"), "index"),
    **dict.fromkeys(("remove", "delete", "rm", "forget"), "roots forget"),
    **dict.fromkeys(("stats", "status", "show", "describe", "searches", "saved"), "info"),
    **dict.fromkeys(("play", "listen"), "search --play"),
    **dict.fromkeys(("dedupe", "dupes"), "duplicates"),
    **dict.fromkeys(("similar-to-all", "matrix"), "distances"),
}
"""What other programs call a command -> what it is here."""


_COMMANDS = (
    *("index", "watch", "search", "words", "tag", "tags", "duplicates", "clusters", "distances", "annotations"),
    *("detector", "detect", "map", "serve"),
    *("timeline", "embed", "import", "merge", "info", "roots", "verify", "mcp"),
    *("plan", "work", "commit", "status"),
    *("train", "evaluate", "layers", "reproduce", "export", "models", "corpora", "doctor", "docs", "demo"),
)
"""In the order of use."""

_MODULES = {"import": "import_embeddings"}
"""Command -> its module, where that is called otherwise."""


class _Commands(UserDict[str, click.Command]):
    """The commands by their names, each imported when it is first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.data = dict.fromkeys(_COMMANDS, click.Command(None))

    def __getitem__(self, name: str) -> click.Command:
        command = self.data[name]
        if command.name is None:
            module = import_module(f"soundloom.cli.{_MODULES.get(name, name)}")
            self.data[name] = command = module.command
        return command


class _Group(CommandGroup):
    """Commands whose errors are shown in a line, without a traceback, in any encoding of the terminal."""

    synonyms = _SYNONYMS

    def hint(self, name: str, known: Sequence[str]) -> str:  # noqa: ARG002 (see `CommandGroup`)
        """See `CommandGroup`."""
        return f"To search for it: soundloom search {shlex.quote(name)}"

    def main(self, *args: Any, **kwargs: Any) -> Any:
        tolerate_encodings()
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        arguments = ctx.meta[ARGUMENTS]
        command = next((argument for argument in arguments if not argument.startswith("-")), "")
        hints = hint_at_meaning(arguments, _COMMANDS, _SYNONYMS)
        with show_notices(), one_line(command, debug=ctx.params["debug"]), hints:
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order of use rather than of the alphabet."""
        return list(self.commands)


@click.group(cls=_Group, commands=_Commands(), context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(soundloom.__version__, prog_name="soundloom")
@click.option("--debug", is_flag=True, envvar="SOUNDLOOM_DEBUG", help="Show the traceback of an error.")
@click.option(
    "--trust",
    "packages",
    multiple=True,
    metavar="PACKAGE",
    help="Let saved models and libraries import code of this package, which is not part of soundloom.",
)
def main(debug: bool, packages: tuple[str, ...]) -> None:  # noqa: ARG001 (read by the group)
    """Search, map and measure sounds by what they sound like.

    \b
    Examples:
      soundloom index ~/sounds -l sounds.loom          make a folder of sounds searchable
      soundloom search dog.wav -l sounds.loom          find what sounds like it
      soundloom embed ~/sounds -o embeddings.parquet   embeddings for your own use
      soundloom serve sounds.loom                      the same, and more, in the browser
      soundloom train triplet ~/sounds -o runs/mine    a model of your own, from the sounds alone
      soundloom evaluate logmel --on ~/sounds          how well a model distinguishes the folders
    """
    if packages:
        from soundloom.components.trust import TRUST_VARIABLE

        # In the environment, so that worker processes have the same consent.
        known = os.environ.get(TRUST_VARIABLE, "")
        os.environ[TRUST_VARIABLE] = ",".join(filter(None, (known, *packages)))
