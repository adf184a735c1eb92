"""Export of embeddings to Parquet, CSV and NPZ files.

    .parquet    path, start, end, embedding (list<float32>): opens in embedding browsers, pandas, datasets
    .csv        path, start, end, then one column a dimension, and ``about``
    .npz        arrays path, start, end, embedding of all rows
    a folder    an .npz for every sound, in the sounds' own folders: ``embedding`` [time, dim] and
                ``timestamps`` [time], the second that each row stands for

Parquet has the model in its metadata, under ``soundloom``, an .npz in the array ``about``, a .csv in the first row of
that column: a JSON object with name,
fingerprint, parts, engine, sample rate, decoding, window and hop, from which `embedding_import` makes a library.

Rows come in the order of the files, so the same sounds give the same file. A file is written beside its
final name and renamed when complete: what carries the name is whole. Where no sound could be embedded, nothing is
written, and an earlier file stays.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
from jaxtyping import Float

from soundloom.atomic_file import replacing
from soundloom.audio import DEFAULT_OPTIONS, AvProcess, DecodeOptions, Notice
from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import LibraryError
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.add_report import FileProgress
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.indexing.file_rows import Embedded, segment_embedder
from soundloom.library.indexing.scan import FilesLeftOut, find_files
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.table_schema import Failure, FileNotice
from soundloom.local_path import check_output_folder, local_path
from soundloom.remote.locations import common_folder, relative_name
from soundloom.safe_text import csv_cell
from soundloom.system_errors import reason_of

__all__ = ["CsvRows", "ExportReport", "check_embedding_file", "describe_embeddings", "export"]

_ENDINGS = (".parquet", ".csv", ".npz")


@dataclass
class ExportReport:
    """What an export did: files embedded, rows written, seconds, notices, files left out by their ending, failures."""

    files: int = 0
    rows: int = 0
    seconds: float = 0.0
    notices: list[FileNotice] = field(default_factory=list)
    left_out: FilesLeftOut = field(default_factory=FilesLeftOut)
    failed: list[Failure] = field(default_factory=list)


_Sink = Callable[[Embedded], None]


class _NothingEmbeddedError(Exception):
    """Ends the writing of a file that would hold no row."""


def export(
    sounds: Sequence[str | os.PathLike[str]],
    model: EmbeddingModel,
    out: str | os.PathLike[str],
    *,
    frames: bool = False,
    window: float | None = 10.0,
    hop: float | None = None,
    workers: int | None = None,
    decoding: DecodeOptions = DEFAULT_OPTIONS,
    progress: Callable[[FileProgress], None] | None = None,
) -> ExportReport:
    """Embed files into a file or folder of embeddings.

    Args:
        sounds: folders, searched with their subfolders, and files.
        model: the embedder.
        out: where to write; its ending says in which form.
        frames: one row a frame of the model instead of one a segment.
        window: seconds of a segment; None keeps every file whole. Without meaning for frames.
        hop: seconds from segment to segment; the window if not given.
        workers: how many files at a time; as many as there are processors if not given.
        decoding: how files become waveforms.
        progress: called after every file.

    Raises:
        LibraryError: an ending that is not known, a place that cannot be written, or window and hop make no sense.
    """
    out = local_path(out)
    report = ExportReport()
    failed: dict[str, str] = {}
    files = sorted(find_files(sounds, failed, report.left_out), key=lambda file: file.path)
    work = _frame_embedder(model, decoding) if frames else segment_embedder(model, window, hop, decoding=decoding)
    settings = LibrarySettings.of(model, window, hop, decoding)
    about = describe_embeddings(settings, model.sample_rate, frames=frames)
    with suppress(_NothingEmbeddedError), _sink(out, model.frame_dim if frames else model.dim, files, about) as write:
        results = process(files, work, workers=workers or os.cpu_count() or 1)
        for done, (file, result) in enumerate(zip(files, results, strict=True), start=1):
            if isinstance(result, Failed):
                failed[file.path] = result.reason
            elif isinstance(result, Embedded):
                write(result)
                report.notices += [FileNotice(result.path, notice.code, notice.text) for notice in result.notices]
                report.files += 1
                report.rows += len(result.starts)
                report.seconds += max(result.ends)
            if progress is not None:
                progress(FileProgress(done, len(files), report.seconds, file.path))
        if not report.files:
            raise _NothingEmbeddedError
    report.failed = [Failure(path, failed[path]) for path in sorted(failed)]
    return report


def describe_embeddings(settings: LibrarySettings, sample_rate: int | None, *, frames: bool = False) -> str:
    """What made some embeddings, as JSON, of which `embedding_import` makes settings again.

    Args:
        settings: of a library that holds them, or would.
        sample_rate: the model's, in hertz; None if it is not known.
        frames: whether a row is a frame of the model instead of a segment.
    """
    facts = {
        "model": settings.source or settings.model,
        "fingerprint": settings.fingerprint,
        "engine": settings.engine,
        "sample_rate": sample_rate,
        "parts": settings.parts,
        "balance": settings.balance,
        "centred": settings.centred,
        "decoding": settings.decoding.to_data(),
        "frames": frames,
        "window": None if frames else settings.window,
        "hop": None if frames else settings.hop,
    }
    return json.dumps(facts)


def _frame_embedder(model: EmbeddingModel, decoding: DecodeOptions) -> Callable[[FileOnDisk, AvProcess], Embedded]:
    def embed(file: FileOnDisk, av: AvProcess) -> Embedded:
        notices: list[Notice] = []
        values, times = model.embed_frames(file.path, options=decoding, notices=notices, av=av)
        # Neighbouring frames meet half-way between their centres; the last is as wide as the one before.
        inner = (times[1:] + times[:-1]) / 2
        last = 2 * times[-1] - (inner[-1] if len(inner) else 0.0)
        edges = np.concatenate([[0.0], inner, [last]]).tolist()
        return Embedded(file.state(""), edges[:-1], edges[1:], values, times.tolist(), notices)

    return embed


def check_embedding_file(out: Path) -> None:
    """Refuse a file that embeddings are not written to, before anything is decoded.

    Raises:
        LibraryError: its ending is of another kind.
        InvalidArgumentError: it is a folder that holds more than embeddings.
    """
    if not out.suffix or out.is_dir():
        check_output_folder(out, lambda path: path.suffix == ".npz", "embeddings", "embeddings.parquet")
    if out.suffix and out.suffix not in _ENDINGS:
        array = ", which holds the array, its paths and times" if out.suffix == ".npy" else ""
        raise LibraryError(
            f"cannot write embeddings to {str(out)!r}: end it in {', '.join(_ENDINGS)}{array}, or name a folder"
        )


class CsvRows:
    """Writes embeddings as rows of CSV; the first says what made them.

    Args:
        stream: the open file.
        dim: numbers of an embedding.
        about: the model, as JSON.
    """

    def __init__(self, stream: TextIO, dim: int, about: str) -> None:
        self._writer = csv.writer(stream)
        self._about = about
        self._writer.writerow(["path", "start", "end", *(f"e{column}" for column in range(dim)), "about"])

    def write(self, path: str, start: float, end: float, vector: Float[np.ndarray, " dim"]) -> None:
        """One row."""
        self._writer.writerow([csv_cell(path), start, end, *vector.tolist(), self._about])
        self._about = ""


@contextmanager
def _sink(out: Path, dim: int, files: Sequence[FileOnDisk], about: str) -> Iterator[_Sink]:
    kinds = dict(zip(_ENDINGS, (_parquet, _csv, _npz), strict=True))
    check_embedding_file(out)
    try:
        if not out.suffix:
            out.mkdir(parents=True, exist_ok=True)
            common = common_folder(file.path for file in files)
            yield lambda result: _write_npz_of(out, common, result, about)
            return
        out.parent.mkdir(parents=True, exist_ok=True)
        with replacing(out) as temporary, kinds[out.suffix](temporary, dim, about) as write:
            yield write
    except OSError as error:
        raise LibraryError(f"cannot write {str(out)!r}: {reason_of(error)}") from None


@contextmanager
def _parquet(file: Path, dim: int, about: str) -> Iterator[_Sink]:
    import pyarrow as pa
    from pyarrow import parquet

    names = {"path": pa.string(), "start": pa.float64(), "end": pa.float64(), "embedding": pa.list_(pa.float32())}
    schema = pa.schema(names, metadata={"soundloom": about})
    waiting: list[pa.Table] = []

    with parquet.ParquetWriter(file, schema) as writer:

        def flush() -> None:
            if waiting:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()

        def write(result: Embedded) -> None:
            count = len(result.starts)
            offsets = pa.array(np.arange(0, (count + 1) * dim, dim, dtype=np.int32))
            vectors = pa.ListArray.from_arrays(offsets, pa.array(result.embeddings.reshape(-1)))
            columns = [pa.array([result.path] * count), result.starts, result.ends, vectors]
            waiting.append(pa.table(columns, schema=schema))
            if sum(table.num_rows for table in waiting) >= 8192:
                flush()

        yield write
        flush()


@contextmanager
def _csv(file: Path, dim: int, about: str) -> Iterator[_Sink]:
    with open(file, "w", newline="", encoding="utf-8") as stream:
        rows = CsvRows(stream, dim, about)

        def write(result: Embedded) -> None:
            for start, end, vector in zip(result.starts, result.ends, result.embeddings, strict=True):
                rows.write(result.path, start, end, vector)

        yield write


@contextmanager
def _npz(file: Path, dim: int, about: str) -> Iterator[_Sink]:
    paths: list[str] = []
    starts: list[float] = []
    ends: list[float] = []
    vectors: list[np.ndarray] = [np.zeros((0, dim), np.float32)]

    def write(result: Embedded) -> None:
        paths.extend([result.path] * len(result.starts))
        starts.extend(result.starts)
        ends.extend(result.ends)
        vectors.append(result.embeddings)

    yield write
    with open(file, "wb") as stream:
        np.savez(
            stream,
            path=np.array(paths, dtype=np.str_),
            start=np.array(starts),
            end=np.array(ends),
            embedding=np.concatenate(vectors),
            about=np.array(about),
        )


def _write_npz_of(out: Path, common: str, result: Embedded, about: str) -> None:
    """One sound's embeddings, in the place that mirrors the sound's own."""
    target = out / (relative_name(result.path, common) + ".npz")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, embedding=result.embeddings, timestamps=np.asarray(result.times), about=np.array(about))
