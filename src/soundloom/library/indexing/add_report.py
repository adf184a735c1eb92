"""Report of an update of a library: what was done with how many files, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from soundloom.library.annotation_store.annotation_log import AnnotationLog
from soundloom.library.indexing.scan import FilesLeftOut
from soundloom.library.storage.table_schema import Failure, FileNotice, FileState
from soundloom.library.tags.tag_table import FileTags

__all__ = ["AddReport", "AddTally", "FileProgress"]


@dataclass(frozen=True)
class FileProgress:
    """How far an update has come.

    Attributes:
        done: files done.
        total: files to do.
        seconds: seconds of sound embedded so far.
        path: the file done last.
    """

    done: int
    total: int
    seconds: float
    path: str


@dataclass
class AddReport:
    """What an update did, in numbers of files unless said otherwise.

    Attributes:
        new: files that the library did not know.
        changed: known files whose content had changed.
        copied: those of the new and changed files whose content the library held: its embeddings were copied.
        moved: files found under another path, renamed, swapped or in a relocated root; their embeddings were kept.
        touched: files of which only the modification time had changed.
        unchanged: files that were as the library knew them.
        deleted: files whose rows were removed because they are gone.
        excluded: files whose rows were removed because a pattern leaves them out now.
        missing: files that are gone but were kept, because they are too much of their root.
        missing_seconds: how long these are together.
        redecoded: files that a newer version of decoding decodes to another sound: they were embedded again.
        upgraded: files that were embedded anew by an upgrade to another model.
        padded: files shorter than the model's shortest input, embedded with silence behind them.
        segments: rows written.
        seconds: seconds of sound embedded.
        notices: what was noticed of the files that were decoded, such as digital silence.
        failed: the files that could not be indexed, and why.
        failed_before: those of them that an earlier update found to fail for the same reason; none that was named.
        left_out: the files in folders whose names are none of sounds, begin with a dot, or fit a pattern.
        absent: roots that are not there now, or are empty where they held files; their rows are kept.
        relocated: roots that were recognised under another path: the old path -> the new one.
        replaced: roots that are listed no more, as they lie in others: their path -> the root that they lie in.
        table_rows: rows of the table of tags that fit one file.
        tagged_files: files of which the table changed the tags.
        tagged_copies: those of them that no row names: they have the content of a file that one does.
        tags_given: tags of a file that it got by the table, counted over all files.
        tags_removed: tags of a file that it lost by the table, counted over all files.
        ambiguous: rows of the table of tags that fit several files, and were left out.
        unmatched: rows of the table of tags that fit no file.
        split_labels: labels of regions in the table of tags that hold what separates tags -> the tags they became.
        beyond: regions of the table of tags in which no segment lies.
        tagged_failures: files that rows of the table of tags name, and that could not be indexed.
        lost_annotations: where contents were last that are gone since this update: path -> how many annotations.
        gone_annotations: annotations of contents that were gone before.
    """

    new: int = 0
    changed: int = 0
    copied: int = 0
    moved: int = 0
    touched: int = 0
    unchanged: int = 0
    deleted: int = 0
    excluded: int = 0
    missing: int = 0
    missing_seconds: float = 0.0
    redecoded: int = 0
    upgraded: int = 0
    padded: int = 0
    segments: int = 0
    seconds: float = 0.0
    notices: list[FileNotice] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)
    failed_before: list[str] = field(default_factory=list)
    left_out: FilesLeftOut = field(default_factory=FilesLeftOut)
    absent: list[str] = field(default_factory=list)
    relocated: dict[str, str] = field(default_factory=dict)
    replaced: dict[str, str] = field(default_factory=dict)
    table_rows: int = 0
    tagged_files: int = 0
    tagged_copies: list[str] = field(default_factory=list)
    tags_given: int = 0
    tags_removed: int = 0
    ambiguous: list[str] = field(default_factory=list)
    unmatched: list[str] = field(default_factory=list)
    split_labels: dict[str, list[str]] = field(default_factory=dict)
    beyond: list[str] = field(default_factory=list)
    tagged_failures: list[str] = field(default_factory=list)
    lost_annotations: dict[str, int] = field(default_factory=dict)
    gone_annotations: int = 0

    def count_tags(self, table: FileTags) -> None:
        """Count what a table changed of the tags."""
        files = {path for path, _ in table.given | table.removed}
        self.tags_given, self.tags_removed = len(table.given), len(table.removed)
        self.tagged_files, self.tagged_copies = len(files), sorted(files - table.tags.keys())

    def count_annotations(
        self, log: AnnotationLog, before: Mapping[str, FileState], after: Callable[[], Mapping[str, FileState]]
    ) -> None:
        """Count the annotations of contents that are gone.

        Args:
            log: the library's.
            before: its files before the update.
            after: gives those after it.
        """
        lost = log.lost(after)
        contents = {state.hash for state in before.values()} if lost else set()
        for content, places in sorted(lost.items()):
            if content in contents:
                for path, count in places.items():
                    self.lost_annotations[path] = self.lost_annotations.get(path, 0) + count
            else:
                self.gone_annotations += places.total()


class AddTally:
    """What an update has done so far, and how far it has come.

    Args:
        progress: called after every file.

    Attributes:
        report: the numbers so far.
        failed: the files that could not be indexed: path -> reason.
        done: files done.
    """

    def __init__(self, progress: Callable[[FileProgress], None] | None = None) -> None:
        self.report = AddReport()
        self.failed: dict[str, str] = {}
        self.done = 0
        self._progress = progress

    def file_done(self, path: str, total: int) -> None:
        """Count a file and report it.

        Args:
            path: the file's.
            total: how many files there are to do, as far as that is known.
        """
        self.done += 1
        if self._progress is not None:
            self._progress(FileProgress(self.done, total, self.report.seconds, path))

    def finished(self) -> AddReport:
        """The report, with the files that failed."""
        self.report.failed = [Failure(path, self.failed[path]) for path in sorted(self.failed)]
        return self.report
