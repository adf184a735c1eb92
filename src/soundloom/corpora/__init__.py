"""Labelled collections of sound: public data sets as they are downloaded, and one's own folders and lists.

    corpora.load("esc50", "/data/ESC-50-master")  # a public set, from its folder
    corpora.load("/data/my-sounds")  # a folder of folders, or a task of HEAR
    corpora.load("/data/my-sounds/clips.csv")  # a list
    corpora.load("clips.parquet")  # a corpus saved before

``CORPORA`` is the registry of what can be read, which each adapter joins beside its definition; nothing is downloaded.
An adapter that is not registered is named by where it is: ``my_package.corpora:MINE``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from soundloom.components import is_object_name
from soundloom.corpora.adapter import CORPORA, CorpusAdapter, register_corpus
from soundloom.corpora.clips import clip_table
from soundloom.corpora.dataset_reader import read_copy
from soundloom.corpora.table import Corpus, CorpusError, Summary
from soundloom.letter_case import suggestion

Source = CorpusAdapter
"""Former name of `CorpusAdapter`."""

__all__ = [
    "CORPORA",
    "Corpus",
    "CorpusAdapter",
    "CorpusError",
    "Summary",
    "clip_table",
    "is_name",
    "load",
    "names",
    "register_corpus",
]


def names() -> list[str]:
    """The names that ``load`` takes, of soundloom and of installed packages."""
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
    if name == "csv" and root is not None and Path(root).suffix == ".csv":
        name, root = os.fspath(root), None
    if root is None and not is_name(name):
        path = Path(name).expanduser()
        if path.suffix == ".parquet":
            if options:
                raise CorpusError(f"a saved corpus has no options, got {sorted(options)}")
            return Corpus.load(path)
        if path.suffix == ".csv":
            name, root, options = "csv", path.parent, {"table": path.name, **options}
        elif path.is_dir():
            name, root = "hear" if (path / "task_metadata.json").is_file() else "folder", path
        elif path.is_file():
            raise CorpusError(
                f"{name!r} is a file of another kind: a corpus is a folder of sounds, a table (.csv) that names them "
                "with their labels, a saved corpus (.parquet), or one of those that soundloom corpora lists"
            )
        else:
            public = [each for each, adapter in CORPORA.items() if not adapter.own]
            known = suggestion(name.partition("=")[0], public, f"the corpora are {', '.join(names())}")
            raise CorpusError(f"{name!r} is neither a folder nor a file nor a corpus: {known}")
    source = CORPORA.find(name, adapt=_adapted)
    if root is None:
        raise CorpusError(
            f"{name} needs its folder: load({name!r}, root), with {source.layout}. Get it from {source.address}"
        )
    if name == "csv" and "table" not in options:
        raise CorpusError(f"{os.fspath(root)!r} is no CSV of clips: name the file itself, such as clips.csv in it")
    return read_copy(source, root, check=check, partial=partial, counts=counts, **options)


def is_name(text: str) -> bool:
    """Whether a text names a corpus, rather than a path: a registered name, or ``package.module:object``."""
    return is_object_name(text) or (os.sep not in text and "/" not in text and text in CORPORA)


def _adapted(target: object, name: str) -> CorpusAdapter:
    if not isinstance(target, CorpusAdapter):
        raise CorpusError(f"{name!r} is {target!r}: a corpus is a soundloom.corpora.CorpusAdapter")
    return target
