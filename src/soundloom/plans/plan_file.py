"""Files of a plan: what is to be embedded by which model, cut into shards whose ids are hashes of both; JSON.

A plan is a set of objects (`soundloom.remote.object_storage`):

plan.json                 the settings of the library, with the identity of its model; roots; shards; written last
shards/ID.json            files of a shard: path, size, modification time
leases/ID/NUMBER.json     who works on a shard, and until when (lease.py)
deaths/ID/...json         files on which a process died (lease.py)
fragments/ID-...arrow     embeddings of a shard (fragment.py); invisible to the library until it is committed
done/ID.json              which fragment of a shard counts; created once
committed/ID.json         that the library holds it, so that it need not be compared again
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from typing import Any, Self

from soundloom.audio import DECODER_VERSION
from soundloom.errors import LibraryError
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.storage.library_settings import COMPARED, LibrarySettings
from soundloom.remote.object_storage import ObjectStorage, get_many

__all__ = [
    "PLAN",
    "FinishedShard",
    "PlanFile",
    "Shard",
    "differences",
    "identity_of",
    "marked_shards",
    "shard_key",
]

PLAN = "plan.json"
_FORMAT = 1

_IDENTITY = (*COMPARED, "engine")
"""What of a library's settings decides the bits of its rows."""


@dataclass(frozen=True)
class Shard:
    """Files that one process embeds.

    Attributes:
        id: hash of the files and of the identity of what embeds them.
        files: the files, as they were when the plan was made.
    """

    id: str
    files: Sequence[FileOnDisk]

    @classmethod
    def of(cls, files: Sequence[FileOnDisk], identity: str) -> Shard:
        """A shard of files for a model."""
        text = json.dumps([identity, [[file.path, file.size, file.mtime_ns] for file in files]])
        return cls(blake2b(text.encode(), digest_size=8).hexdigest(), files)

    def write(self, storage: ObjectStorage) -> None:
        """Write the list of files."""
        rows = [[file.path, file.size, file.mtime_ns] for file in self.files]
        storage.put(shard_key("shards", self.id), json.dumps(rows).encode())

    @classmethod
    def read(cls, storage: ObjectStorage, shard: str) -> Shard:
        """The shard of an id.

        Raises:
            LibraryError: its list is missing or damaged.
        """
        rows = _read_json(storage, shard_key("shards", shard))
        return cls(shard, [FileOnDisk(path, size, mtime_ns) for path, size, mtime_ns in rows])


@dataclass(frozen=True, kw_only=True)
class PlanFile:
    """What a plan says.

    Attributes:
        library: folder of the library that it fills.
        settings: of the library, when the plan was made.
        shortest: shortest input of the model in seconds; shorter files are padded with silence.
        roots: folders and files that were searched.
        shards: id of every shard -> how many files it has.
        failed: what could not be looked at: path -> reason.
        lease_seconds: after how long without a sign of life a shard is given to another worker.
        created: when, in seconds since 1970.
    """

    library: str
    settings: LibrarySettings
    shortest: float
    roots: Sequence[str]
    shards: Mapping[str, int]
    failed: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: float = 120.0
    created: float = 0.0

    @property
    def identity(self) -> str:
        """Hash of what decides the bits of a row; see `identity_of`."""
        return identity_of(self.settings)

    def write(self, storage: ObjectStorage) -> bool:
        """Write the plan, unless there is one; whether it was written."""
        data = {"format": _FORMAT, "decoder": DECODER_VERSION, **asdict(self)}
        return storage.create(PLAN, json.dumps(data, indent=1).encode())

    @classmethod
    def read(cls, storage: ObjectStorage) -> PlanFile:
        """The plan in a storage.

        Raises:
            LibraryError: there is none, it is damaged, or it was made by a version that decodes otherwise.
        """
        if storage.get(PLAN) is None:
            raise LibraryError(
                f"no plan at {storage.address!r}: make one with: soundloom plan SOUNDS -l LIBRARY -o {storage.address}"
            )
        data = _read_json(storage, PLAN)
        try:
            version, decoder = data.pop("format"), data.pop("decoder")
            if (version, decoder) != (_FORMAT, DECODER_VERSION):
                raise LibraryError(
                    f"the plan {storage.address!r} is of format {version} and decodes by version {decoder}; this "
                    f"soundloom has format {_FORMAT} and version {DECODER_VERSION}, whose rows would differ: install "
                    "one version of soundloom everywhere, or make a new plan"
                )
            return cls(**{**data, "settings": LibrarySettings.from_data(data["settings"])})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise LibraryError(f"the plan {storage.address!r} is damaged ({error}): make a new one") from None


@dataclass(frozen=True, kw_only=True)
class FinishedShard:
    """What is said of a shard that is done.

    Attributes:
        fragment: the key of its embeddings.
        digest: of the fragment's bytes.
        identity: hash of what embedded it; see `identity_of`.
        files: how many files it has.
        failed: those that could not be embedded: path -> reason.
        seconds: seconds of sound.
        began: when the work began, in seconds since 1970.
        finished: when it ended.
        holder: the worker.
    """

    fragment: str
    digest: str
    identity: str
    files: int
    failed: Mapping[str, str]
    seconds: float
    began: float
    finished: float
    holder: str

    def create(self, storage: ObjectStorage, shard: str) -> bool:
        """Say it, unless it was said of the shard before; whether it was said now."""
        return storage.create(shard_key("done", shard), json.dumps(asdict(self)).encode())

    @classmethod
    def read(cls, storage: ObjectStorage, shards: Iterable[str]) -> dict[str, Self]:
        """What is said of those of some shards that are done, by their ids.

        Raises:
            LibraryError: an object is damaged.
        """
        keys = {shard_key("done", shard): shard for shard in shards}
        found = {}
        for key, content in get_many(storage, list(keys)).items():
            try:
                found[keys[key]] = cls(**json.loads(content))
            except (ValueError, TypeError) as error:
                raise LibraryError(
                    f"{key!r} of the plan {storage.address!r} is damaged ({error}): remove it, and run soundloom work "
                    "again"
                ) from None
        return found


def shard_key(kind: str, shard: str) -> str:
    """The key of a shard's JSON of some kind: shards, done or committed."""
    return f"{kind}/{shard}.json"


def marked_shards(storage: ObjectStorage, kind: str) -> set[str]:
    """The ids of the shards that have a JSON of some kind: those that are done, or committed."""
    return {key.removeprefix(f"{kind}/").removesuffix(".json") for key in storage.keys(f"{kind}/")}


def identity_of(settings: LibrarySettings) -> str:
    """Hash of what decides the bits of a row: the model's weights, its engine, cutting and decoding."""
    said = {name: value for name, value in asdict(settings).items() if name in _IDENTITY}
    text = json.dumps({**said, "decoder": DECODER_VERSION}, sort_keys=True)
    return blake2b(text.encode(), digest_size=16).hexdigest()


def differences(one: LibrarySettings, other: LibrarySettings) -> str:
    """In what two settings differ that decides the bits of a row, in words; empty if in nothing."""
    different = one.differing(other, _IDENTITY)
    return "; ".join(f"{name} {getattr(one, name)!r} and {getattr(other, name)!r}" for name in different)


def _read_json(storage: ObjectStorage, key: str) -> Any:
    """An object as JSON.

    Raises:
        LibraryError: it is missing or damaged.
    """
    content = storage.get(key)
    try:
        return json.loads(content or b"")
    except ValueError as error:
        state = "is missing" if content is None else f"is damaged ({error})"
        raise LibraryError(f"{key!r} of the plan {storage.address!r} {state}: make a new plan") from None
