"""``soundloom status``: progress of a plan."""

from __future__ import annotations

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_failures, print_json
from soundloom.cli.work import plan_argument
from soundloom.counted import counted

__all__ = ["command"]


@click.command("status")
@plan_argument
@common_options.as_json
def command(address: str, json_wanted: bool) -> None:
    """Show how far a plan is: shards, rate, time left, workers, and the files that failed, by name.

    \b
    Examples:
      soundloom status plan
      soundloom status s3://bucket/plans/1 --json
    """
    from soundloom.plans import Plan

    status = Plan.open(address).status()
    if json_wanted:
        print_json(status)
        return
    echo(
        f"{status.done} of {counted(status.shards, 'shard')} done, {status.committed} committed, {status.leased} in "
        f"work; {status.files_done} of {counted(status.files, 'file')}, {clock(status.seconds)} of sound."
    )
    if status.rate is not None and status.seconds_left is not None:
        left = f"; {clock(status.seconds_left)} left" if status.files_done < status.files else ""
        echo(f"{status.rate:,.1f} files a second, {status.speed or 0:,.0f} times real time{left}.")
    for worker, silence in status.workers.items():
        echo(f"  in work by {worker}, last sign of life {silence:.0f} s ago")
    if status.failed:
        echo(f"{counted(len(status.failed), 'file')} failed:")
        print_failures(status.failed, of_library=True)
