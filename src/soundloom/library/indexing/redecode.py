"""Update of rows that an earlier version of decoding made: files are decoded again, and embedded if they differ.

Decoding costs a small part of what embedding does. The header alone clears most files (`soundloom.audio.may_differ`);
of the others those are embedded again whose samples are others now.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from soundloom import audio
from soundloom.embedding_model import EmbeddingModel
from soundloom.file_pool import Failed, process
from soundloom.library.indexing.add_report import AddTally
from soundloom.library.indexing.diff import FileOnDisk
from soundloom.library.indexing.file_rows import Embedded, RowWriter, segment_embedder
from soundloom.library.storage.library_settings import LibrarySettings
from soundloom.library.storage.table_schema import FileState

__all__ = ["redecode_files"]


@dataclass(frozen=True)
class _SameSound:
    """A file that decodes to the sound that its rows were made of, and what was noticed of it."""

    path: str
    notices: Sequence[audio.Notice]


@dataclass(frozen=True)
class _Sound:
    """A sound as it is decoded now: a digest of its samples, its seconds, its peak, and what was noticed."""

    digest: bytes
    seconds: float
    peak: float
    notices: Sequence[audio.Notice]


def redecode_files(
    outdated: Mapping[str, tuple[int, float]],
    known: Mapping[str, FileState],
    model: EmbeddingModel,
    settings: LibrarySettings,
    writer: RowWriter,
    tally: AddTally,
    workers: int,
) -> None:
    """Bring the rows of files that an earlier version of decoding decoded up to the version of now.

    A file that is refused now keeps its rows, is reported as failed, and is decoded again by the next update.

    Args:
        outdated: path of a file on disk -> the version of decoding that its rows are of, and its seconds.
        known: the library's files.
        model: embeds files whose sound differs.
        settings: how files are cut and decoded.
        writer: commits the new rows.
        tally: counts files and failures.
        workers: how many files at a time.
    """
    files = [FileOnDisk(path, known[path].size, known[path].mtime_ns) for path in sorted(outdated)]
    hashes = {file.path: known[file.path].hash for file in files}
    embed = segment_embedder(model, settings.window, settings.hop, hashes, settings.decoding)
    work = _redecoder(embed, outdated, model.sample_rate, settings.decoding)
    results = process(files, work, workers=workers)
    same: dict[str, Sequence[audio.Notice]] = {}
    total = tally.done + len(files)
    try:
        for file, result in zip(files, results, strict=True):
            if isinstance(result, Failed):
                tally.failed[file.path] = result.reason
            elif isinstance(result, _SameSound):
                same[result.path] = [*result.notices, *writer.shortness(outdated[result.path][1])]
            else:
                writer.put(result)
                tally.report.redecoded += 1
                tally.report.changed -= 1
                tally.report.unchanged -= 1
            tally.file_done(file.path, total)
    finally:
        results.close()
        writer.flush()
        writer.record_decoding(same, audio.DECODER_VERSION)


def _redecoder(
    embed: Callable[[FileOnDisk, audio.AvProcess], Embedded],
    outdated: Mapping[str, tuple[int, float]],
    sample_rate: int,
    decoding: audio.DecodeOptions,
) -> Callable[[FileOnDisk, audio.AvProcess], _SameSound | Embedded]:
    """The work of comparing one file's sound with what its rows were made of, and of embedding it if it differs.

    Args:
        embed: embeds a file.
        outdated: path -> the version of decoding that the file's rows are of, and its seconds.
        sample_rate: the model's.
        decoding: how the library decodes files.
    """

    def work(file: FileOnDisk, av: audio.AvProcess) -> _SameSound | Embedded:
        version, seconds = outdated[file.path]
        if not audio.may_differ(file.path, version, sample_rate):
            return _SameSound(file.path, ())
        sound = _decoded(file.path, sample_rate, decoding, av)
        if version == 1 and not _differs_from_version_1(file.path, sound, seconds, sample_rate, decoding, av):
            return _SameSound(file.path, sound.notices)
        return embed(file, av)

    return work


def _differs_from_version_1(
    path: str, sound: _Sound, seconds: float, sample_rate: int, decoding: audio.DecodeOptions, av: audio.AvProcess
) -> bool:
    """Whether version 1 decoded another sound: it clipped at full scale, trusted lengths, and took the first track."""
    if sound.peak > 1 or abs(sound.seconds - seconds) * sample_rate >= decoding.speed / 2:
        return True
    if decoding.track is None and any(notice.code == "track" for notice in sound.notices):
        return _decoded(path, sample_rate, replace(decoding, track=1), av).digest != sound.digest
    return False


def _decoded(path: str, sample_rate: int, decoding: audio.DecodeOptions, av: audio.AvProcess) -> _Sound:
    digest, samples, peak = hashlib.blake2b(), 0, 0.0
    notices: list[audio.Notice] = []
    for block in audio.stream(path, sample_rate, av=av, options=decoding, notices=notices):
        digest.update(np.ascontiguousarray(block).data)
        samples += len(block)
        peak = max(peak, float(block.max()), -float(block.min()))
    return _Sound(digest.digest(), samples / sample_rate * decoding.speed, peak, notices)
