"""Workers of a plan as actors of a Ray cluster, one a processor; leases and fragments stay those of the plan.

Ray places the processes and starts them; it holds no sound and no row. An actor that dies leaves its leases to others,
as any worker does, and is not started again.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from soundloom.errors import InvalidArgumentError, MissingExtraError, ResourceError
from soundloom.plans.embedding_plan import Plan
from soundloom.plans.worker import WorkReport

__all__ = ["work_on_ray"]

_log = logging.getLogger(__name__)


def work_on_ray(
    plan: Plan,
    cluster: str,
    *,
    actors: int | None = None,
    weights: str | Mapping[str, str] | None = None,
    offline: bool = False,
) -> WorkReport:
    """Embed the shards of a plan by actors of a Ray cluster until all are done.

    Args:
        plan: at an address that all machines of the cluster can read and write.
        cluster: address of Ray, such as ``ray://head:10001``, ``auto``, or ``local`` for this machine.
        actors: how many; one for each processor of the cluster if not given.
        weights: where the model's weights are on these machines; see `Plan.work`.
        offline: never fetch weights.

    Returns:
        What all actors did.

    Raises:
        InvalidArgumentError: fewer than one actor is asked for.
        MissingExtraError: Ray is not installed.
        ResourceError: the cluster cannot be reached, or all actors ended before the plan was done.
        SoundloomError: an actor's; see `Plan.work`.
    """
    if actors is not None and actors < 1:
        raise InvalidArgumentError(f"{actors} actors: give 1 or more")
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "ray", "working on a cluster of Ray") from None
    try:
        ray.init(
            address=cluster, log_to_driver=False, include_dashboard=False if cluster == "local" else None,
            num_cpus=actors if cluster == "local" else None,
        )  # fmt: skip
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ResourceError(f"no cluster of Ray answers at {cluster!r}: {error}") from None
    try:
        count = actors or max(1, int(ray.cluster_resources().get("CPU", 1)))
        actor: Any = ray.remote(num_cpus=1, max_restarts=0)(_Actor)
        calls = [actor.remote().work.remote(plan.address, weights, offline) for _ in range(count)]
        return _gathered(ray, calls)
    finally:
        ray.shutdown()


class _Actor:
    """A worker with one process."""

    def work(self, address: str, weights: str | Mapping[str, str] | None, offline: bool) -> WorkReport:
        return Plan.open(address).work(workers=1, weights=weights, offline=offline)


def _gathered(ray: Any, calls: list[Any]) -> WorkReport:
    """The sum of the reports; actors that died are left out as long as one did not."""
    total, lost = WorkReport(), 0
    for call in calls:
        try:
            report = ray.get(call)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayActorError as error:
            lost += 1
            _log.warning("an actor of Ray died; others do its shards: %s", error)
            continue
        for field in fields(WorkReport):
            setattr(total, field.name, getattr(total, field.name) + getattr(report, field.name))
    if lost == len(calls):
        raise ResourceError(f"all {lost} actors of Ray died before the plan was done: run soundloom work again")
    return total
