"""Status of a plan: what is done, by whom the rest is worked on, how fast, and which files failed."""

from __future__ import annotations

from dataclasses import dataclass, field

from soundloom.library.storage.table_schema import Failure
from soundloom.plans.lease import Leases
from soundloom.plans.plan_file import FinishedShard, PlanFile, marked_shards
from soundloom.remote.object_storage import ObjectStorage

__all__ = ["PlanStatus", "plan_status"]

_LATEST = 50
"""Shards that the rate is measured over."""


@dataclass
class PlanStatus:
    """How far a plan is.

    Attributes:
        shards: how many shards it has.
        done: shards that are embedded.
        committed: shards that the library holds.
        leased: shards that somebody works on.
        workers: who these are (host, process and a random number) -> seconds since their last sign of life.
        files: how many files it has.
        files_done: files of the shards that are done.
        seconds: seconds of sound of these.
        rate: files a second, over the shards that were done last; None before there are any.
        speed: seconds of sound a second, likewise.
        seconds_left: until all shards are done, at this rate; None where it is not known.
        failed: the files that could not be embedded or looked at.
    """

    shards: int
    done: int
    committed: int
    leased: int
    workers: dict[str, float]
    files: int
    files_done: int
    seconds: float
    rate: float | None = None
    speed: float | None = None
    seconds_left: float | None = None
    failed: list[Failure] = field(default_factory=list)


def plan_status(storage: ObjectStorage, plan: PlanFile) -> PlanStatus:
    """The status of a plan; see `soundloom.plans.Plan.status`."""
    found = FinishedShard.read(storage, plan.shards)
    done = list(found.values())
    committed = marked_shards(storage, "committed") & plan.shards.keys()
    left = [shard for shard in plan.shards if shard not in found]
    leases = Leases(storage, plan.lease_seconds, "status")
    held = leases.held(set(left)).values()
    failed = {**plan.failed, **{path: reason for shard in done for path, reason in shard.failed.items()}}
    status = PlanStatus(
        shards=len(plan.shards),
        done=len(done),
        committed=len(committed),
        leased=len(held),
        workers={
            name: max(0.0, min(leases.silence(lease) for lease in held if lease.holder == name))
            for name in sorted({lease.holder for lease in held})
        },
        files=sum(plan.shards.values()),
        files_done=sum(shard.files for shard in done),
        seconds=sum(shard.seconds for shard in done),
        failed=[Failure(path, reason) for path, reason in sorted(failed.items())],
    )
    _measure(status, done)
    return status


def _measure(status: PlanStatus, done: list[FinishedShard]) -> None:
    """Add the rate and what follows from it."""
    latest = sorted(done, key=lambda shard: shard.finished)[-_LATEST:]
    if latest:
        elapsed = max(shard.finished for shard in latest) - min(shard.began for shard in latest)
        if elapsed > 0:
            status.rate = sum(shard.files for shard in latest) / elapsed
            status.speed = sum(shard.seconds for shard in latest) / elapsed
            status.seconds_left = (status.files - status.files_done) / status.rate
