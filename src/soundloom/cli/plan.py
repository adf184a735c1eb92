"""``soundloom plan``: cut the embedding of many sounds into shards for several processes and machines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo, print_json, print_left_out
from soundloom.cli.index import checked, listed, open_or_create
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import FiniteNumber, Integer
from soundloom.counted import counted
from soundloom.library.storage.exclusions import patterns_file

if TYPE_CHECKING:
    from soundloom.plans import PlanReport

__all__ = ["command"]


@click.command("plan")
@common_options.sounds_if_any
@common_options.library_without_remark
@click.option(
    "-o",
    "--out",
    "address",
    type=common_options.Name(),
    required=True,
    metavar="PLAN",
    help="Where the plan is kept: a folder that all workers see, or s3://BUCKET/PREFIX.",
)
@common_options.embedding
@common_options.files
@click.option(
    "--exclude", multiple=True, metavar="PATTERN", help="Leave out files, now and later, as for index. Repeat it."
)
@click.option(
    "--shard-files",
    type=Integer(min=1),
    metavar="N",
    help="Files of a shard, at most.  [default: a 64th of all, not more than 1,000]",
)
@click.option(
    "--lease",
    "lease_seconds",
    type=FiniteNumber(min=1),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="After how long without a sign of life of its worker a shard is given to another one.",
)
@common_options.as_json
@click.pass_context
def command(
    context: click.Context,
    /,
    sounds: tuple[Path | str, ...],
    folder: Path,
    address: str,
    name: str | None,
    files: tuple[str, ...],
    offline: bool,
    window: float | None,
    hop: float | None,
    lists: tuple[str, ...],
    exclude: tuple[str, ...],
    shard_files: int | None,
    lease_seconds: float,
    json_wanted: bool,
    **engine: Any,
) -> None:
    """Plan the embedding of sounds by several processes and machines.

    Finds the SOUNDS that the library does not hold as they are, and cuts them into shards. A library that does not
    exist is made, with the options of soundloom index. Any number of soundloom work embed the shards, at the same time
    or not, and soundloom commit adds what is done to the library, whose rows are those of soundloom index.

    The sounds, the library and the weights have to be at the same paths on every machine, or the sounds at addresses
    (s3://BUCKET/PREFIX, or lists of http:// ones with --files); the library is a local folder of the machine that
    plans and commits, and workers do not need it.

    \b
    Examples:
      soundloom plan ~/sounds -l sounds.loom -o plan
      soundloom work plan -j 4
      soundloom commit plan
      soundloom plan /data/sounds -l big.loom -o s3://bucket/plans/1 --window 5
    """
    from soundloom.plans import Plan, PlanReport

    every = [*checked(sounds), *listed(lists)]
    if not every:
        raise click.UsageError("name the folders or files of the sounds to plan, or lists of them with --files")
    if Path(address).absolute() == folder.absolute():
        raise click.UsageError("the plan and the library need places of their own: give -o another folder than -l")
    Plan.check_free(address)
    loader = model_loader(offline=offline)
    library = open_or_create(context, loader, folder, name, files, window=window, hop=hop, **engine)
    plan = Plan.create(library, every, address, exclude=exclude, shard_files=shard_files, lease_seconds=lease_seconds)
    report = plan.report or PlanReport()
    if json_wanted:
        print_json(report)
    else:
        _print(report, plan.address, patterns_file(library.folder))


def _print(report: PlanReport, address: str, patterns: str) -> None:
    next_step = f"Next, on any number of machines: soundloom work {address}" if report.files else "Nothing to do."
    echo(
        f"{counted(report.files, 'file')} of {report.bytes / 1e9:,.2f} GB in {counted(report.shards, 'shard')}; "
        f"{report.unchanged} unchanged. {next_step}"
    )
    if report.held:
        echo(
            f"{counted(report.held, 'file')} whose content the library holds already, moved, copied or touched, are "
            "not planned: run soundloom index after the commit",
            err=True,
        )
    print_left_out(report.left_out, patterns)
    for path, reason in sorted(report.failed.items()):
        echo(f"  {path}: {reason}", err=True)
