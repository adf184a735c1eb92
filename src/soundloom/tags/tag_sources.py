"""Sources of tags: a corpus, a table beside it, names of files and folders, metadata of files.

    tags       the corpus's own tags (FSD50K's are the uploaders' from its Freesound metadata)
    labels     the corpus's labels, taken for words
    names      the file's name and its folders' below the corpus (`words_of_path`)
    embedded   what the file says of itself (`embedded`)
    published  the corpus's own tags as COALA's published code reads them (`normalise_as_published`)
    a file     a column of a CSV, JSON or parquet (`TagFile`)

All of them come out as words (`normalise`), and several can be put together.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from soundloom.corpora import Corpus, CorpusError
from soundloom.errors import FileTableError
from soundloom.file_tables import NAME_COLUMNS, FileMatcher, column_name, decode_text, read_csv
from soundloom.system_errors import reason_of
from soundloom.tags.file_metadata import embedded_texts
from soundloom.tags.tokenise import normalise, normalise_as_published, words_of_path

__all__ = ["SOURCES", "TagFile", "words_of"]

_TAG_COLUMNS = ("tags", "tag", "keywords", "labels", "label")


def _tags(corpus: Corpus) -> list[tuple[str, ...]]:
    return [normalise(tags) for tags in corpus.column("tags")]


def _published(corpus: Corpus) -> list[tuple[str, ...]]:
    return [normalise_as_published(tags) for tags in corpus.column("tags")]


def _labels(corpus: Corpus) -> list[tuple[str, ...]]:
    return [normalise(labels) for labels in corpus.column("labels")]


def _names(corpus: Corpus) -> list[tuple[str, ...]]:
    return [words_of_path(path, str(corpus.root)) for path in corpus.column("path")]


def _embedded(corpus: Corpus) -> list[tuple[str, ...]]:
    paths = corpus.column("path")
    known = {path: normalise(embedded_texts(path)) for path in dict.fromkeys(paths)}
    return [known[path] for path in paths]


SOURCES: Mapping[str, Callable[[Corpus], list[tuple[str, ...]]]] = {
    "tags": _tags,
    "labels": _labels,
    "names": _names,
    "embedded": _embedded,
    "published": _published,
}
"""Name -> the words of every clip of a corpus."""


def words_of(
    corpus: Corpus, sources: Sequence[str] = ("tags",), file: str | os.PathLike[str] | None = None
) -> list[tuple[str, ...]]:
    """The words of every clip of a corpus, each once, from all the sources together.

    Args:
        corpus: the clips.
        sources: names of ``SOURCES``.
        file: a table with tags for the clips' files, besides.

    Raises:
        CorpusError: there is no such source, or the table cannot be used.
        AudioError: a file is asked for what it says of itself and cannot be read.
        MissingExtraError: inflect is not installed.
    """
    unknown = [name for name in sources if name not in SOURCES]
    if unknown or not (sources or file):
        raise CorpusError(f"tags come from {', '.join(SOURCES)}, or a file; got {', '.join(unknown) or 'nothing'}")
    every = [SOURCES[name](corpus) for name in sources]
    if file is not None:
        every.append(TagFile(file).match(corpus.column("path")))
    return [tuple(dict.fromkeys(word for words in each for word in words)) for each in zip(*every, strict=True)]


class TagFile:
    """Tags by file, out of a table: CSV, JSON or parquet.

    A table is rows with a column for the file (`soundloom.file_tables.NAME_COLUMNS`) and one for its tags (tags, tag,
    keywords, labels or label): a list, or a text of words. JSON is a list of such rows or maps a file to its row or its
    tags, as FSD50K's Freesound metadata does. CSV may be in any dialect of `soundloom.file_tables`. A row names a file
    by as much of the end of its path as makes it unique, with or without its suffix.

    Args:
        file: the table.
        column: the column of the tags, if it has another name.

    Raises:
        CorpusError: the table cannot be read or lacks a column.
    """

    def __init__(self, file: str | os.PathLike[str], column: str | None = None) -> None:
        self._file = Path(file)
        self._columns = (column,) if column else _TAG_COLUMNS
        self._by_name: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for name, tags in self._rows():
            self._by_name[name].append(normalise(_several(tags)))

    def match(self, paths: Iterable[str]) -> list[tuple[str, ...]]:
        """The words of each of some files; none for a file that the table does not name.

        Raises:
            CorpusError: the table names none of them, or a row fits several.
        """
        files = list(paths)
        matcher = FileMatcher(files, self._by_name, any_suffix=True)
        found: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for name, rows in self._by_name.items():
            fitting = matcher.match(name)
            if len(fitting) > 1:
                raise self._error(
                    f"has a row for {name!r}, which fits {fitting[0]!r} and {fitting[1]!r}: write more of it"
                )
            for file in fitting:
                found[file] += rows
        if files and not found:
            raise self._error(f"names none of the files; its first row is for {next(iter(self._by_name), 'nothing')!r}")
        return [tuple(dict.fromkeys(word for words in found.get(file, ()) for word in words)) for file in files]

    def _rows(self) -> Iterator[tuple[str, Any]]:
        suffix = self._file.suffix.lower()
        try:
            if suffix == ".parquet":
                from pyarrow import parquet

                yield from self._pick(parquet.ParquetFile(self._file).read().to_pylist())
            elif suffix == ".json":
                yield from self._pick(self._json())
            else:
                yield from self._csv()
        except FileTableError as error:
            raise self._error(str(error)) from None
        except OSError as error:
            raise self._error(f"cannot be read: {reason_of(error)}") from None
        except ValueError as error:  # pyarrow's errors of format are ValueErrors, as are JSON's
            raise self._error(f"is not a {suffix[1:] or 'CSV'} file: {error}") from None

    def _csv(self) -> Iterator[tuple[str, str]]:
        columns = [column_name(name) for name in self._columns]
        table = read_csv(decode_text(self._file.read_bytes()), [NAME_COLUMNS, columns])
        names, tags = table.column(NAME_COLUMNS) or 0, table.column(columns)
        for number, row in enumerate(table.rows):
            if names < len(row) and row[names]:
                yield row[names], "; ".join(table.cells(number, tags))

    def _json(self) -> list[Any]:
        data = json.loads(self._file.read_text(encoding="utf-8"))
        if isinstance(data, Mapping):
            return [
                {**row, "path": name} if isinstance(row, Mapping) else {"path": name, self._columns[0]: row}
                for name, row in data.items()
            ]
        return list(data) if isinstance(data, list) else []

    def _pick(self, rows: list[Any]) -> Iterator[tuple[str, Any]]:
        for row in rows:
            fields = {str(name).strip().lower(): value for name, value in dict(row).items()}
            paths = [name for name in NAME_COLUMNS if name in fields]
            tags = [name for name in self._columns if name.lower() in fields]
            if not paths or not tags:
                raise self._error(
                    f"needs a column for the file ({', '.join(NAME_COLUMNS)}) and one for its tags "
                    f"({', '.join(self._columns)}); it has {', '.join(fields) or 'none'}"
                )
            yield str(fields[paths[0]]), fields[tags[0].lower()]

    def _error(self, fault: str) -> CorpusError:
        return CorpusError(f"the table of tags {str(self._file)!r} {fault}")


def _several(tags: Any) -> list[str]:
    """A cell as texts: a list of them, a text, or nothing."""
    if tags is None:
        return []
    return [tags] if isinstance(tags, str) else [str(tag) for tag in tags]
