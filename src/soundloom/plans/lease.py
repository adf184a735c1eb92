"""Leases of shards: numbered objects that are created if absent, renewed by their holder, and void after their expiry.

A lease keeps two workers from doing the same work; it does not keep rows from being doubled, which `done/ID.json` does
(`soundloom.plans.plan_file`). So it may rest on the clocks of the machines: where these differ by more than a lease
lasts, work is done twice and nothing else happens.

A worker that is killed leaves a lease that is neither released nor renewed. After two such leases of one shard the next
worker is careful: it notes each file before it begins it. A file on which processes died is set aside: after
two deaths by a fault, such as SIGSEGV, or three by SIGKILL, which somebody else may have sent.
"""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass, replace
from threading import Lock
from typing import Any, Self
from uuid import uuid4

from soundloom.remote.object_storage import ObjectStorage, get_many

__all__ = ["HeldLease", "Lease", "Leases", "deadly_files", "lease_key", "record_death"]

_LOST_BEFORE_CARE = 2
_DEATHS, _AMBIGUOUS_DEATHS = 2, 3
_KILLED = "SIGKILL"


@dataclass(frozen=True)
class Lease:
    """A lease as it is written.

    Attributes:
        holder: the worker: host, process and a random number.
        expires: when it runs out, in seconds since 1970.
        released: whether it was given back.
        file: what a careful worker works on.
    """

    holder: str
    expires: float
    released: bool = False
    file: str | None = None

    @classmethod
    def read(cls, content: bytes) -> Self:
        """What was written; of a damaged one nobody knows whose it is, and it is as one that has run out."""
        try:
            return cls(**json.loads(content))
        except (ValueError, TypeError):
            return cls("unknown", 0.0)

    def to_bytes(self) -> bytes:
        """As it is written."""
        return json.dumps(asdict(self)).encode()


class HeldLease:
    """A lease of this process.

    Args:
        leases: where it is from.
        shard: what is leased.
        number: how many leases of the shard there were, with this one.
        careful: whether each file has to be noted before it is begun.
    """

    def __init__(self, leases: Leases, shard: str, number: int, *, careful: bool) -> None:
        self.shard = shard
        self.number = number
        self.careful = careful
        self._leases = leases
        self._state = leases.fresh()
        self._changing = Lock()  # a renewal must not undo a release

    def renew(self) -> None:
        """Put the expiry off."""
        self._put(expires=self._leases.fresh().expires)

    def note(self, file: str | None) -> None:
        """Note which file is worked on."""
        self._put(expires=self._leases.fresh().expires, file=file)

    def release(self) -> None:
        """Give the shard back, done or not."""
        self._put(released=True, file=None)

    def remove(self) -> None:
        """Remove this lease and those before it: the shard is done, and others list fewer."""
        with self._changing:
            self._state = replace(self._state, released=True)
            for number in range(self.number, 0, -1):
                self._leases.storage.delete(lease_key(self.shard, number))

    def _put(self, **changes: Any) -> None:
        with self._changing:
            if not self._state.released:
                self._state = replace(self._state, **changes)
                self._leases.storage.put(lease_key(self.shard, self.number), self._state.to_bytes())


class Leases:
    """The leases of a plan, as one worker takes them.

    Args:
        storage: the plan's.
        seconds: how long a lease lasts.
        holder: names the worker.
        clock: seconds since 1970.
    """

    def __init__(
        self, storage: ObjectStorage, seconds: float, holder: str, clock: Callable[[], float] = time.time
    ) -> None:
        self.storage = storage
        self.seconds = seconds
        self.holder = holder
        self._clock = clock

    def fresh(self) -> Lease:
        """A lease from now on."""
        return Lease(self.holder, self._clock() + self.seconds)

    def acquire(self, shard: str) -> HeldLease | None:
        """Lease a shard; None if somebody else has it."""
        keys = self.storage.keys(f"leases/{shard}/")
        found = _decoded(get_many(self.storage, keys))
        if any(self.is_held(lease) for lease in found.values()):
            return None
        number = 1 + max((int(key.rpartition("/")[2].removesuffix(".json")) for key in keys), default=0)
        if not self.storage.create(lease_key(shard, number), self.fresh().to_bytes()):
            return None
        lost = [lease for lease in found.values() if not lease.released]
        return HeldLease(self, shard, number, careful=len(lost) >= _LOST_BEFORE_CARE)

    def is_held(self, lease: Lease) -> bool:
        """Whether somebody works under a lease now."""
        return not lease.released and lease.expires > self._clock()

    def silence(self, lease: Lease) -> float:
        """How many seconds ago a holder gave its last sign of life."""
        return self._clock() - (lease.expires - self.seconds)

    def held(self, shards: Collection[str]) -> dict[str, Lease]:
        """Those of some shards that are leased now -> their leases."""
        # The last of a shard: it was given when those before it had ended.
        last = {shard: key for key in self.storage.keys("leases/") if (shard := key.split("/")[1]) in shards}
        leases = _decoded(get_many(self.storage, list(last.values())))
        return {key.split("/")[1]: lease for key, lease in leases.items() if self.is_held(lease)}


def lease_key(shard: str, number: int) -> str:
    """The key of a lease."""
    return f"leases/{shard}/{number:06d}.json"


def record_death(storage: ObjectStorage, shard: str, file: str, cause: str) -> None:
    """Record that a process died while it worked on a file.

    Args:
        storage: the plan's.
        shard: the file's.
        file: its path.
        cause: how the process ended, such as ``SIGSEGV``.
    """
    storage.put(f"deaths/{shard}/{uuid4().hex}.json", json.dumps({"file": file, "cause": cause}).encode())


def deadly_files(storage: ObjectStorage, lease: HeldLease) -> dict[str, str]:
    """The files of a leased shard that are set aside: path -> reason."""
    deaths = [_death(found) for found in get_many(storage, storage.keys(f"deaths/{lease.shard}/")).values()]
    earlier = [lease_key(lease.shard, number) for number in range(1, lease.number)]
    lost = [found.file for found in _decoded(get_many(storage, earlier)).values() if found.file is not None]
    causes: dict[str, list[str]] = defaultdict(list)
    for file, cause in [*(death for death in deaths if death is not None), *((file, _KILLED) for file in lost)]:
        causes[file].append(cause)
    return {
        file: f"set aside: {len(found)} processes died while they worked on it ({', '.join(sorted(set(found)))})"
        for file, found in causes.items()
        if len(found) >= (_AMBIGUOUS_DEATHS if set(found) == {_KILLED} else _DEATHS)
    }


def _death(content: bytes) -> tuple[str, str] | None:
    """The file that a process died on, and how it ended; None of a record that is damaged."""
    try:
        found = json.loads(content)
        return str(found["file"]), str(found["cause"])
    except (ValueError, KeyError, TypeError):
        return None


def _decoded(found: Mapping[str, bytes]) -> dict[str, Lease]:
    return {key: Lease.read(content) for key, content in found.items()}
