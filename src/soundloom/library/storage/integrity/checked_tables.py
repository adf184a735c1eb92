"""LanceDB tables whose files are compared with checksums: opening, committing, and finding damage.

Commits of all processes wait for each other at ``store.lock``, so the checksums that are noted after a commit are those
of complete files. Reading needs neither the lock nor permission to write.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from soundloom.errors import LibraryAbsentError, LibraryDamagedError
from soundloom.library.mirror import refresh
from soundloom.library.storage.integrity.manifests import latest_manifest, manifest_checksum, manifest_of
from soundloom.library.storage.integrity.store_checksums import Damage, StoreChecksums
from soundloom.system_errors import first_line, one_line_errors, translated

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["CheckedTables", "table_damages"]

_METADATA = ("/_versions/", "/_deletions/", "/_transactions/")
"""Files that LanceDB reads when it opens a table."""

_ROWS_AT_ONCE = 2**12

_log = logging.getLogger(__name__)


class CheckedTables:
    """The tables in a folder, made if they never were, and otherwise opened when they are first read or changed.

    Importing LanceDB takes a second, and what searches need of a library whose index is up to date is in that.

    Args:
        folder: where the tables lie.
        schemas: table name -> its schema.

    Raises:
        LibraryDamagedError: a table is missing, damaged or older than it was.
        ResourceError: the folder cannot be read, or has to be made and cannot be written.
    """

    def __init__(self, folder: Path, schemas: Mapping[str, pa.Schema]) -> None:
        self._folder = folder
        self._checksums = StoreChecksums(folder)
        self._checked = False
        self._lock = _commit_lock(folder)
        with one_line_errors(folder, from_engine=True):
            self._refuse(self._checksums.damages(everything=False, only=_METADATA))
            self._schemas = dict(schemas)
            self._opened: dict[str, Any] | None = None
            self._opening = Lock()
            if any(self._manifest(name) is None for name in schemas):
                _ = self._tables
            self._refuse_lost_commits()

    def __getitem__(self, name: str) -> Any:
        """A table of LanceDB by its name. Change it within `committing` only."""
        return self._tables[name]

    @property
    def _tables(self) -> dict[str, Any]:
        with self._opening:
            if self._opened is None:
                with one_line_errors(self._folder, from_engine=True):
                    self._opened = self._open(self._schemas)
            return self._opened

    @property
    def are_open(self) -> bool:
        """Whether the tables have been opened."""
        return self._opened is not None

    def _manifest(self, name: str) -> tuple[int, Path] | None:
        return latest_manifest(self._folder / f"{name}.lance")

    def _open(self, schemas: Mapping[str, pa.Schema]) -> dict[str, Any]:
        import lancedb

        missing = [name for name in schemas if not (self._folder / f"{name}.lance").is_dir()]
        if missing and self._checksums.known:
            self._refuse([Damage(str(self._folder / f"{name}.lance"), "is missing") for name in missing])
        if missing:
            self._folder.mkdir(parents=True, exist_ok=True)
        # Opening writes nothing: the library may be read-only.
        database = lancedb.connect(self._folder)
        if not missing:
            return {name: database.open_table(name) for name in schemas}
        with self._lock:
            tables = {name: database.create_table(name, schema=schemas[name], exist_ok=True) for name in schemas}
            self._checksums.note({name: int(table.version) for name, table in tables.items()})
        return tables

    @contextmanager
    def committing(self, *, removed: bool = False) -> Iterator[None]:
        """A change of a table, after which the checksums are noted; other processes' changes wait meanwhile.

        Args:
            removed: whether files of earlier versions are removed.

        Raises:
            LibraryDamagedError: a table is older than it was.
            ResourceError: the change cannot be written.
        """
        with one_line_errors(self._folder), self._lock:
            self._checksums.reload()
            self._refuse_lost_commits()
            yield
            self._checksums.note(self._versions(), removed=removed)

    def version(self, name: str) -> int:
        """The current version of a table, which is read from now on."""
        refresh(self._folder.parent)
        self.check_present()
        if self._opened is None and (latest := self._manifest(name)) is not None:
            return latest[0]
        self._tables[name].checkout_latest()
        return int(self._tables[name].version)

    def identity(self, name: str) -> str:
        """Checksum of the manifest of a table's current version, which names all files of that version."""
        if self._opened is None and (latest := self._manifest(name)) is not None:
            return manifest_checksum(latest[1])
        self._tables[name].checkout_latest()
        manifest = manifest_of(self._folder / f"{name}.lance", int(self._tables[name].version))
        return "unknown" if manifest is None else manifest_checksum(manifest)

    def check_present(self) -> None:
        """Check that the tables' folder is still there.

        Raises:
            LibraryAbsentError: it is not, such as after an upgrade by another process.
        """
        if not self._folder.is_dir():
            raise LibraryAbsentError(
                f"the rows of the library in {str(self._folder)!r} are no longer there: it was upgraded to another "
                "model, moved or deleted while it was in use: open it again, or restart what has it open"
            )

    def check_changed(self) -> None:
        """Once per process: compare the files whose size or time has changed with their checksums.

        Raises:
            LibraryDamagedError: some differ.
        """
        if not self._checked:
            self._refuse(self._checksums.damages(everything=False))
            self._checked = True

    def check_files(self) -> None:
        """Compare every file with its checksum, except those that this process has read or written itself.

        Raises:
            LibraryDamagedError: some differ.
        """
        self._checksums.reload()
        self._refuse(self._checksums.damages(everything=True, trusted=True))
        self._checked = True

    def note_contents(self) -> None:
        """Take the inventory of the library's folder; where that cannot be written, nothing but it is lost."""
        try:
            with self._lock:
                self._checksums.note_contents()
        except OSError as error:
            _log.warning("the inventory of the library cannot be written (%s)", first_line(error))

    def renew_checksums(self) -> None:
        """Note the checksums of all files as they are now, damaged or not."""
        with one_line_errors(self._folder), self._lock:
            self._checksums.renew(self._versions())

    def _versions(self) -> dict[str, int]:
        return {name: self.version(name) for name in self._schemas}

    def _refuse_lost_commits(self) -> None:
        self._refuse(_lost_commits(self._folder, self._checksums, self._versions()))

    def _refuse(self, damages: Sequence[Damage]) -> None:
        if damages:
            more = f" and {len(damages) - 1} more" if len(damages) > 1 else ""
            raise LibraryDamagedError(
                f"the store of the library is damaged: {damages[0].path!r} {damages[0].reason}{more}. "
                f"See: soundloom verify -l {str(self._folder.parent)!r}"
            )


def table_damages(folder: Path, names: Sequence[str]) -> list[Damage]:
    """Everything that is wrong with tables, found by reading all their files and all their rows; writes nothing.

    Args:
        folder: where the tables lie.
        names: of the tables.
    """
    with _no_commits(folder):
        checksums = StoreChecksums(folder)
        found = checksums.damages(everything=True)
        if checksums.unreadable:
            found.append(Damage(str(checksums.file), f"cannot be read: {checksums.unreadable}"))
        versions: dict[str, int] = {}
        for name in names:
            table_folder = folder / f"{name}.lance"
            if not table_folder.is_dir():
                found.append(Damage(str(table_folder), "is missing"))
                continue
            try:
                versions[name] = _read_rows(folder, name)
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:
                if translated(error, folder, from_engine=True) is None:
                    raise
                if not any(damage.path.startswith(str(table_folder)) for damage in found):
                    found.append(Damage(str(table_folder), f"cannot be read: {first_line(error)}"))
    found += _lost_commits(folder, checksums, versions)
    if any(versions.get(name, 0) > version for name, version in checksums.versions.items()):
        # The last commits were not noted, and may have removed files of earlier versions.
        found = [one for one in found if one.reason != "is missing"]
    return found


def _read_rows(folder: Path, name: str) -> int:
    """Read every column of every row of a table; returns the table's version."""
    import lancedb

    table = lancedb.connect(folder).open_table(name)
    query = table.search().limit(max(1, table.count_rows()))
    for batch in query.to_batches(_ROWS_AT_ONCE):
        batch.validate(full=True)
    return int(table.version)


def _lost_commits(folder: Path, checksums: StoreChecksums, versions: Mapping[str, int]) -> list[Damage]:
    return [
        Damage(str(folder / f"{name}.lance"), f"is at version {version}, but was at {checksums.versions[name]}")
        for name, version in versions.items()
        if version < checksums.versions.get(name, 0)
    ]


@contextmanager
def _no_commits(folder: Path) -> Iterator[None]:
    """Keep others from committing; where the lock cannot be made, nobody can commit either."""
    lock = _commit_lock(folder)
    try:
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _commit_lock(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f"{folder.name}.lock"))
