"""Plan of embedding many sounds with many processes and machines: planned once, worked on by any number, committed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self

from soundloom.library import Library
from soundloom.library.indexing.add_report import AddReport, FileProgress
from soundloom.plans.fragment_commit import commit_fragments
from soundloom.plans.lease import Lease
from soundloom.plans.plan_creation import PlanReport, create_plan, require_empty
from soundloom.plans.plan_file import PlanFile
from soundloom.plans.plan_status import PlanStatus, plan_status
from soundloom.plans.shard_process import ModelSource
from soundloom.plans.worker import Worker, WorkReport
from soundloom.remote.object_storage import ObjectStorage, open_storage

__all__ = ["Plan"]


class Plan:
    """A plan at an address, made by `create` or `open`.

    Args:
        storage: where it lies.
        file: what it says.

    Attributes:
        report: what was planned; None of a plan that was opened.
    """

    def __init__(self, storage: ObjectStorage, file: PlanFile, report: PlanReport | None = None) -> None:
        self.file = file
        self.report = report
        self._storage = storage

    def __repr__(self) -> str:
        return f"<Plan {self.address!r}: {sum(self.file.shards.values())} files in {len(self.file.shards)} shards>"

    @classmethod
    def create(
        cls,
        library: Library,
        sounds: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        address: str | os.PathLike[str],
        *,
        exclude: Sequence[str] = (),
        shard_files: int | None = None,
        lease_seconds: float = 120.0,
    ) -> Self:
        """Plan the embedding of the sounds that a library does not hold as they are.

        Args:
            library: will hold them; its settings are those of the plan.
            sounds: folders, searched with their subfolders, and files.
            address: a folder that all workers see, or ``s3://BUCKET/PREFIX``.
            exclude: patterns of files to leave out, now and later; gitignore syntax.
            shard_files: files of a shard, at most; a 64th of all, and not more than 1,000, if not given.
            lease_seconds: after how long without a sign of life a shard is given to another worker.

        Raises:
            LibraryError: there is a plan at the address, a folder does not exist, or another process is adding.
            ModelError: the library's model cannot be loaded.
            ResourceError: the address cannot be written.
        """
        storage = open_storage(address)
        file, report = create_plan(
            library, sounds, storage, exclude=exclude, shard_files=shard_files, lease_seconds=lease_seconds
        )
        return cls(storage, file, report)

    @staticmethod
    def check_free(address: str | os.PathLike[str]) -> None:
        """Refuse an address at which no plan can be made, before anything else is done.

        Raises:
            LibraryError: there is a plan, or anything else.
        """
        require_empty(open_storage(address))

    @classmethod
    def open(cls, address: str | os.PathLike[str]) -> Self:
        """The plan at an address.

        Raises:
            LibraryError: there is none, it is damaged, or it was made by a version that decodes otherwise.
        """
        storage = open_storage(address)
        return cls(storage, PlanFile.read(storage))

    @property
    def address(self) -> str:
        """Where it lies."""
        return self._storage.address

    def work(
        self,
        *,
        workers: int | None = None,
        weights: str | Mapping[str, str] | None = None,
        offline: bool = False,
        progress: Callable[[FileProgress], None] | None = None,
        waiting: Callable[[Mapping[str, Lease]], None] | None = None,
    ) -> WorkReport:
        """Embed shards until all are done, by this worker or by others that work at the same time.

        Args:
            workers: how many files at a time, each in a process of its own; one for each processor if not given.
            weights: where the model's weights are on this machine, if not where the library says.
            offline: never fetch weights.
            progress: called after every file.
            waiting: called, again and again, with the leases of other workers by shard, when nothing else is left.

        Raises:
            ModelMismatchError: the model here is another one than the plan's, or its engine does not run here.
            ModelError: the model cannot be loaded.
            ResourceError: the plan cannot be read or written, or processes end before they begin a file.
        """
        source = ModelSource(self.file.settings, weights, offline=offline)
        return Worker(self._storage, self.file, source, processes=workers, progress=progress, waiting=waiting).run()

    def commit(
        self,
        library: Library | None = None,
        *,
        progress: Callable[[FileProgress], None] | None = None,
    ) -> AddReport:
        """Add the shards that are done to the library; call it again when more are, or after it was killed.

        Args:
            library: the library, if it is no longer in the folder that the plan names.
            progress: called after every file.

        Returns:
            What was added, and every file that failed in these shards.

        Raises:
            LibraryError: the library is of another model, engine, window or decoding than the plan, or a shard is; or
                another process is adding to it.
            LibraryDamagedError: a fragment is not as it was written.
        """
        opened = Library.open(self.file.library) if library is None else library
        return commit_fragments(self._storage, self.file, opened, progress)

    def status(self) -> PlanStatus:
        """How far it is, and which files failed."""
        return plan_status(self._storage, self.file)
