"""Copies of sounds, whole or cut to a region, that never replace a file.

A region of a file that libsndfile reads is cut from it sample by sample, with its channels and, where a WAV can hold
it, its sample format; of any other file it is decoded as a library decodes it: one channel, floating point.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from soundloom import audio
from soundloom.annotations import Annotation
from soundloom.errors import AudioError, ResourceError
from soundloom.file_names import os_path
from soundloom.local_path import local_path
from soundloom.remote import file_status, is_address, open_binary
from soundloom.system_errors import reason_of

__all__ = ["copy_regions"]

_SAMPLE_FORMATS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
"""Of libsndfile, those that a WAV file holds as they are."""
_BLOCK = 2**18


def copy_regions(
    regions: Iterable[Annotation],
    folder: str | os.PathLike[str],
    *,
    cut: bool = False,
    decoding: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
    on_error: Callable[[AudioError], None] | None = None,
) -> list[Path]:
    """Copy the files of some regions into a folder, or the regions alone.

    A copy that the folder has already is not made again; another file of its name gives the new one a number:
    ``owl (2).wav``. A file with several regions is copied once.

    Args:
        regions: of sounds.
        folder: made if it is not there.
        cut: copy the regions, as WAV files, instead of whole files.
        decoding: how files are decoded that libsndfile cannot read.
        on_error: called with every file that cannot be read; None: the first one is raised.

    Returns:
        The copies, in the order of the regions, those that were there among them.

    Raises:
        AudioError: a file cannot be read and ``on_error`` is None.
        ResourceError: the folder cannot be written.
    """
    target = local_path(folder)
    copies: list[Path] = []
    done: set[str] = set()
    try:
        target.mkdir(parents=True, exist_ok=True)
        for region in regions:
            if not cut and region.path in done:
                continue
            done.add(region.path)
            source = os_path(region.path)
            try:
                copies.append(_cut(region, source, target, decoding) if cut else _copied(source, target))
            except AudioError as error:
                if on_error is None:
                    raise
                on_error(error)
    except OSError as error:
        raise ResourceError(f"cannot write to {str(target)!r}: {reason_of(error)}") from None
    return copies


def _copied(source: str, folder: Path) -> Path:
    stem, suffix = os.path.splitext(os.path.basename(source))
    try:
        reader = io.BufferedReader(open_binary(source))
    except OSError as error:
        raise AudioError(source, f"cannot be read: {reason_of(error)}") from None
    with reader:
        copy, writer = _new_file(folder, stem, suffix, lambda file: _has_content(file, reader))
        if writer is None:
            return copy
        with os.fdopen(writer, "wb") as out:
            shutil.copyfileobj(reader, out)
    if is_address(source):
        modified = file_status(source).mtime_ns
        os.utime(copy, ns=(modified, modified))
    else:
        shutil.copystat(source, copy)
    return copy


def _has_content(file: Path, reader: BinaryIO) -> bool:
    """Whether a file has the bytes of an open one."""
    reader.seek(0)
    with open(file, "rb") as other:
        blocks = iter(lambda: other.read(_BLOCK), b"")
        same = all(reader.read(_BLOCK) == block for block in blocks) and not reader.read(1)
    reader.seek(0)
    return same


def _cut(region: Annotation, source: str, folder: Path, decoding: audio.DecodeOptions) -> Path:
    import soundfile

    try:
        with io.BufferedReader(open_binary(source)) as file, soundfile.SoundFile(file) as sound:
            rate = sound.samplerate
            kept = sound.subtype if sound.subtype in _SAMPLE_FORMATS else "FLOAT"
            first, last = (min(round(second * rate), sound.frames) for second in (region.start, region.end))
            sound.seek(first)
            samples = sound.read(last - first, dtype="int32" if kept.startswith("PCM") else "float64")
    except (soundfile.LibsndfileError, OSError):
        rate, kept = audio.info(source).sample_rate, "FLOAT"
        samples = audio.read(source, rate, start=region.start, end=region.end, options=decoding)
    name = f"{os.path.splitext(os.path.basename(source))[0]} {region.start:g}-{region.end:g} s"
    copy, writer = _new_file(folder, name, ".wav", lambda file: _holds(file, samples, rate))
    if writer is None:
        return copy
    with os.fdopen(writer, "wb") as out:
        # Samples of more than 16 bits are declared in the extensible format, as the specification of WAV asks.
        extensible = kept not in ("PCM_U8", "PCM_16") or (samples.ndim > 1 and samples.shape[1] > 2)
        soundfile.write(out, samples, rate, subtype=kept, format="WAVEX" if extensible else "WAV")
    return copy


def _holds(file: Path, samples: NDArray[Any], rate: int) -> bool:
    """Whether a file holds just these samples. Bytes do not say so: a WAV of floats has its time in it."""
    import soundfile

    try:
        held, held_rate = soundfile.read(file, dtype=samples.dtype.name)
    except soundfile.LibsndfileError:
        return False
    return held_rate == rate and np.array_equal(held, samples)


def _new_file(folder: Path, stem: str, suffix: str, is_copy: Callable[[Path], bool]) -> tuple[Path, int | None]:
    """A file that did not exist, and its descriptor; numbered from 2 on. Without one: a copy that is there already."""
    number = 1
    while True:
        path = folder / (f"{stem}{suffix}" if number == 1 else f"{stem} ({number}){suffix}")
        try:
            return path, os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            if path.is_file() and is_copy(path):
                return path, None
            number += 1
