"""``soundloom commit``: add the finished shards of a plan to its library."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_failures, print_json, print_lost_annotations, print_notices
from soundloom.cli.progress_bars import progress_bar
from soundloom.cli.work import plan_argument
from soundloom.counted import counted
from soundloom.library.mirror import shown

__all__ = ["command"]


@click.command("commit")
@plan_argument
@common_options.library_option("The library.  [default: the folder that it was planned for]")
@click.option("-v", "--verbose", is_flag=True, help="Name every file of which something was noticed.")
@common_options.as_json
def command(address: str, folder: Path | None, verbose: bool, json_wanted: bool) -> None:
    """Add the shards of a plan that are done to its library, each file once.

    Run it while others work on the plan, and again when they are done; a commit that is killed is finished by the next.
    Ends with 1 if files of these shards could not be embedded.

    \b
    Examples:
      soundloom commit plan
      soundloom commit s3://bucket/plans/1 -l big.loom
    """
    from soundloom.library import Library
    from soundloom.plans import Plan

    plan = Plan.open(address)
    library = Library.open(plan.file.library if folder is None else folder)
    with nullcontext() if json_wanted else progress_bar("committing") as progress:
        report = plan.commit(library, progress=progress)
    library.index()
    if json_wanted:
        print_json(report)
    else:
        status = plan.status()
        echo(
            f"{report.new} new, {report.changed} changed; {counted(report.segments, 'segment')}, "
            f"{clock(report.seconds)} of sound. {shown(library.folder)} holds {counted(len(library), 'segment')}; "
            f"{status.committed} of {counted(status.shards, 'shard')} are committed."
        )
    print_notices(report.notices, library.folder, every=verbose)
    print_lost_annotations(report, library.folder)
    if report.failed:
        echo(f"{counted(len(report.failed), 'file')} could not be embedded:", err=True)
        print_failures(report.failed, of_library=True)
        raise SystemExit(1)
