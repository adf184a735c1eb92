"""``soundloom work``: embed the shards of a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import TYPE_CHECKING

import click

from soundloom.cli import common_options
from soundloom.cli.console import clock, echo, print_json
from soundloom.cli.option_types import Integer
from soundloom.cli.progress_bars import progress_bar
from soundloom.counted import counted

if TYPE_CHECKING:
    from soundloom.plans import WorkReport
    from soundloom.plans.lease import Lease

__all__ = ["command", "plan_argument"]

plan_argument = click.argument("address", type=common_options.Name(), metavar="PLAN")


@click.command("work")
@plan_argument
@click.option(
    "-j",
    "--workers",
    type=Integer(min=1),
    help="Processes, each of which embeds a file at a time.  [default: one for each processor]",
)
@click.option(
    "--ray",
    "cluster",
    metavar="ADDRESS",
    help="Work on a cluster of Ray: ray://HOST:PORT, auto for the running one, local for this machine. "
    "-j is then how many actors.",
)
@common_options.weight_files
@common_options.offline
@common_options.as_json
def command(
    address: str,
    workers: int | None,
    cluster: str | None,
    files: tuple[str, ...],
    offline: bool,
    json_wanted: bool,
) -> None:
    """Embed shards of a plan until all are done, together with all others that work on it.

    Start it as often and wherever you like, and stop it at any moment: it gives its shards back, and those of a worker
    that is killed are given to others when its lease has run out. A model other than the plan's, or an engine that
    rounds otherwise, is refused. A file on which processes die is set aside: soundloom status names it.

    \b
    Examples:
      soundloom work plan -j 4
      soundloom work s3://bucket/plans/1 -j 16 --offline
      soundloom work s3://bucket/plans/1 --ray ray://head:10001
    """
    from soundloom.plans import Plan

    weights = common_options.parse_files(files)
    if cluster is not None:
        from soundloom.plans.ray_workers import work_on_ray

        report = work_on_ray(Plan.open(address), cluster, actors=workers, weights=weights, offline=offline)
        _print(report, address, json_wanted=json_wanted)
        return
    plan = Plan.open(address)
    with nullcontext() if json_wanted else progress_bar("embedding") as progress:
        report = plan.work(
            workers=workers, weights=weights, offline=offline, progress=progress,
            waiting=_say_once(plan.file.lease_seconds),
        )  # fmt: skip
    _print(report, address, json_wanted=json_wanted)


def _say_once(lease_seconds: float) -> Callable[[Mapping[str, Lease]], None]:
    """Says, the first time that it is called, for whom a worker waits."""
    said = False

    def say(leases: Mapping[str, Lease]) -> None:
        nonlocal said
        if leases and not said:
            said = True
            holders = ", ".join(sorted({lease.holder for lease in leases.values()}))
            echo(
                f"waiting for {counted(len(leases), 'shard')} in work by {holders}; what a worker that was killed has "
                f"left is done here {lease_seconds:g} s after its last sign of life",
                err=True,
            )

    return say


def _print(report: WorkReport, address: str, *, json_wanted: bool) -> None:
    if json_wanted:
        print_json(report)
        return
    again = f", {counted(report.repeated, 'shard')} that another worker finished meanwhile" if report.repeated else ""
    echo(
        f"{counted(report.shards, 'shard')} of {counted(report.files, 'file')}, {clock(report.seconds)} of sound, "
        f"{report.failed} failed{again}. All of the plan is done; next: soundloom commit {address}"
    )
