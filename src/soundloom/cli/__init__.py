"""The command line: one module a command, each parsing, calling the library and printing.

Nothing heavy is imported until a command runs, so that ``soundloom --help`` answers at once. Results go
to standard output, progress and complaints to standard error. The exit code is 0 when everything went
well, 1 when something did not, 2 when the command was not understood, 130 after Ctrl-C, 143 after SIGTERM.
"""

from __future__ import annotations

import os
from typing import Any

import click

import soundloom
from soundloom.cli.annotations import command as annotations_
from soundloom.cli.clusters import command as clusters
from soundloom.cli.commit import command as commit
from soundloom.cli.console import tolerate_encodings
from soundloom.cli.corpora import command as corpora
from soundloom.cli.demo import command as demo
from soundloom.cli.detect import command as detect
from soundloom.cli.detector import command as detector
from soundloom.cli.distances import command as distances
from soundloom.cli.docs import command as docs
from soundloom.cli.doctor import command as doctor
from soundloom.cli.duplicates import command as duplicates
from soundloom.cli.embed import command as embed
from soundloom.cli.error_door import hint_at_files, one_line, show_notices
from soundloom.cli.evaluate import command as evaluate
from soundloom.cli.export import command as export
from soundloom.cli.import_embeddings import command as import_
from soundloom.cli.index import command as index
from soundloom.cli.info import command as info
from soundloom.cli.layers import command as layers
from soundloom.cli.map import command as map_
from soundloom.cli.mcp import command as mcp
from soundloom.cli.merge import command as merge
from soundloom.cli.models import command as models
from soundloom.cli.plan import command as plan
from soundloom.cli.reproduce import command as reproduce
from soundloom.cli.roots import command as roots
from soundloom.cli.search import command as search
from soundloom.cli.serve import command as serve
from soundloom.cli.status import command as status
from soundloom.cli.tag import command as tag
from soundloom.cli.tags import command as tags
from soundloom.cli.timeline import command as timeline
from soundloom.cli.train import command as train
from soundloom.cli.verify import command as verify
from soundloom.cli.watch import command as watch
from soundloom.cli.words import command as words
from soundloom.cli.work import command as work

__all__ = ["main"]

_ARGUMENTS = "soundloom.arguments"
"""Where the context keeps the command line as it was given."""


_SYNONYMS = {
    **dict.fromkeys(("find", "query", "similar", "ls", "list"), "search"),
    **dict.fromkeys(("add", "scan", "update", "create", "build"), "index"),
    **dict.fromkeys(("remove", "delete", "rm", "forget"), "roots forget"),
    **dict.fromkeys(("stats", "status", "show", "describe"), "info"),
    **dict.fromkeys(("play", "listen"), "search --play"),
    **dict.fromkeys(("dedupe", "dupes"), "duplicates"),
}
"""What other programs call a command -> what it is here."""


class _Group(click.Group):
    """Commands whose errors are shown in a line, without a traceback, in any encoding of the terminal."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        tolerate_encodings()
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_ARGUMENTS] = tuple(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with show_notices(), one_line(debug=ctx.params["debug"]), hint_at_files(ctx.meta[_ARGUMENTS]):
            return super().invoke(ctx)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if (meant := _SYNONYMS.get(args[0].lower())) is not None:
                raise click.UsageError(f"No such command {args[0]!r}. Did you mean soundloom {meant}?", ctx) from error
            raise

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """In the order of use rather than of the alphabet."""
        return list(self.commands)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
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


for command in (
    *(
        index,
        watch,
        search,
        words,
        tag,
        tags,
        duplicates,
        clusters,
        distances,
        annotations_,
        detector,
        detect,
        map_,
        serve,
    ),
    *(timeline, embed, import_, merge, info, roots, verify, mcp),
    *(plan, work, commit, status),
    *(train, evaluate, layers, reproduce, export, models, corpora, doctor, docs, demo),
):
    main.add_command(command)
