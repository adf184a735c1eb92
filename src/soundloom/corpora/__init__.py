"""Labelled collections of sound: public data sets as they are downloaded, and one's own folders and lists.

    corpora.load("esc50", "/data/ESC-50-master")  # a public set, from its folder
    corpora.load("/data/my-sounds")  # a folder of folders, or a task of HEAR
    corpora.load("/data/my-sounds/clips.csv")  # a list
    corpora.load("clips.parquet")  # a corpus saved before

``CORPORA`` is the one table of what can be read; nothing in it is downloaded.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soundloom.corpora.audioset import AUDIOSET
from soundloom.corpora.clips import clip_table
from soundloom.corpora.cremad import CREMAD
from soundloom.corpora.csv_collections import ARABIC_COMMANDS, NOTES_INSTRUMENT, NOTES_PITCH, POOL
from soundloom.corpora.custom import CSV, FOLDER
from soundloom.corpora.dataset_reader import read_copy
from soundloom.corpora.esc50 import ESC10, ESC50
from soundloom.corpora.fsd50k import FSD50K
from soundloom.corpora.fsdd import FSDD_DIGITS, FSDD_SPEAKERS
from soundloom.corpora.gtzan import GTZAN
from soundloom.corpora.hear import HEAR
from soundloom.corpora.nsynth import NSYNTH, NSYNTH_20K
from soundloom.corpora.source import Source
from soundloom.corpora.speech_commands import SPEECH_COMMANDS
from soundloom.corpora.surge import SURGE
from soundloom.corpora.table import Corpus, CorpusError, Summary
from soundloom.corpora.urbansound8k import URBANSOUND8K
from soundloom.corpora.voxceleb import VOXCELEB1
from soundloom.corpora.voxforge import VOXFORGE

__all__ = ["CORPORA", "Corpus", "CorpusError", "Source", "Summary", "clip_table", "load", "names"]

CORPORA: Mapping[str, Source] = {
    source.name: source
    for source in (
        ESC50,
        ESC10,
        URBANSOUND8K,
        FSD50K,
        AUDIOSET,
        SPEECH_COMMANDS,
        VOXCELEB1,
        VOXFORGE,
        CREMAD,
        FSDD_DIGITS,
        FSDD_SPEAKERS,
        ARABIC_COMMANDS,
        GTZAN,
        NSYNTH,
        NSYNTH_20K,
        SURGE,
        NOTES_PITCH,
        NOTES_INSTRUMENT,
        POOL,
        HEAR,
        FOLDER,
        CSV,
    )
}


def names() -> list[str]:
    """The names that ``load`` takes, in the order of the table."""
    return list(CORPORA)


def load(
    name_or_path: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    *,
    check: str = "sample",
    partial: bool = False,
    counts: Mapping[str, int] | None = None,
    **options: Any,
) -> Corpus:
    """Read a corpus.

    Args:
        name_or_path: a name of ``names()``, with ``root``; or, alone, a folder, a CSV or a saved parquet file.
        root: the folder the set was unpacked to.
        check: how closely to compare files with lists: "sample", "full" or "none"; see ``reading.read_copy``.
        partial: take a copy that is not the whole set: missing files are left out, counts are not compared.
        counts: what to expect instead of the published counts.
        options: the set's own, as ``CORPORA[name].options`` names them.

    Raises:
        CorpusError: no such name or path, no such option, or a copy that is not what it should be.
    """
    name = os.fspath(name_or_path)
    if root is None:
        path = Path(name).expanduser()
        if path.suffix == ".parquet" and name not in CORPORA:
            if options:
                raise CorpusError(f"a saved corpus has no options, got {sorted(options)}")
            return Corpus.load(path)
        if path.suffix == ".csv" and name not in CORPORA:
            name, root, options = "csv", path.parent, {"table": path.name, **options}
        elif path.is_dir() and name not in CORPORA:
            name, root = "hear" if (path / "task_metadata.json").is_file() else "folder", path
    if name not in CORPORA:
        raise CorpusError(f"{name!r} is neither a folder nor a file nor a corpus; the corpora are {names()}")
    source = CORPORA[name]
    if root is None:
        raise CorpusError(
            f"{name} needs its folder: load({name!r}, root), with {source.layout}. Get it from {source.address}"
        )
    return read_copy(source, root, check=check, partial=partial, counts=counts, **options)
