"""Schemas of work in the background, as OpenAPI documents them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from soundloom.server.schemas import RequestModel, ResponseModel

__all__ = ["IndexRequest", "JobKind", "JobList", "JobStarted", "JobStatus", "KnownJob"]

JobKind = Literal["index", "map", "train", "detect", "sample", "duplicates"]


class IndexRequest(RequestModel):
    """What is to be brought up to date."""

    folders: Annotated[list[Annotated[str, Field(min_length=1, max_length=4096)]], Field(max_length=100)] | None = (
        Field(
            default=None,
            description="Folders; those that the library knows if not given. New ones only from this machine.",
        )
    )


class JobStarted(ResponseModel):
    """A job that runs now."""

    job: str


class JobStatus(ResponseModel):
    """How far a job is."""

    kind: JobKind
    state: Literal["running", "done", "failed"]
    done: int
    total: int = Field(description="0 while it is not known.")
    message: str
    seconds_left: float | None = None


class KnownJob(JobStatus):
    """How far a job is, or how it ended."""

    id: str


class JobList(ResponseModel):
    """The last job of each kind, the newest first: only the first can be running."""

    jobs: list[KnownJob]
