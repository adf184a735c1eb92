"""Distributed indexing: a plan of shards, workers that embed them on any number of machines, commits to the library.

    from soundloom import Library
    from soundloom.plans import Plan

    plan = Plan.create(Library.create("big.loom", "mfcc"), "/data/my-sounds", "plan")
    plan.work(workers=1)  # here, and with `Plan.open("plan").work()` on other machines
    plan.commit()

The rows are those of `Library.add`, bit for bit, wherever they were embedded. See docs/how-to/cluster.md.
"""

from soundloom.plans.embedding_plan import Plan
from soundloom.plans.plan_creation import PlanReport
from soundloom.plans.plan_status import PlanStatus
from soundloom.plans.worker import WorkReport

__all__ = ["Plan", "PlanReport", "PlanStatus", "WorkReport"]
