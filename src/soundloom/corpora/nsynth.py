"""NSynth: 305,979 four-second notes of 1,006 instruments (Engel et al. 2017, ICML); the label is the family.

The splits are given, instruments disjoint between train and the rest. ``nsynth-20k`` is the smaller task of
Favory et al. 2020: train is a balanced draw of 20,000 notes, validation and test stay. Their families are the ten
that the test set has; synthesised leads occur in train alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.splits import SPLITS
from soundloom.corpora.table import Corpus

__all__ = ["NSYNTH", "NSYNTH_20K"]

Notes = Mapping[str, Mapping[str, object]]

_DRAWN = 20_000
_FIELDS = frozenset({"instrument_family_str", "instrument_source_str", "instrument_str", "pitch", "velocity"})


def _read(copy: Copy) -> Corpus:
    return _corpus(copy, _notes(copy))


def _read_balanced(
    copy: Copy, *, notes: int = _DRAWN, seed: int = 0, selection: str | os.PathLike[str] | None = None
) -> Corpus:
    """Read NSynth with a balanced draw of its training notes.

    Args:
        copy: the set on disk.
        notes: how many training notes, the same number of each family.
        seed: of the draw.
        selection: a JSON file {family: [note, ...]} that names the training notes instead, such as the one
            published with the paper.
    """
    splits = _notes(copy)
    if selection is not None:
        chosen = [name for names in copy.json(selection).values() for name in names]
    else:
        families = sorted({str(note["instrument_family_str"]) for note in splits["test"].values()})
        chosen = _balanced(copy, splits["train"], families, notes // max(1, len(families)), seed)
    missing = [name for name in chosen if name not in splits["train"]]
    if missing:
        raise copy.error("training notes of NSynth in the selection", f"{len(missing)} others, such as {missing[:3]}")
    return _corpus(copy, {**splits, "train": {name: splits["train"][name] for name in chosen}})


def _notes(copy: Copy) -> dict[str, Notes]:
    """The notes of every split, by name."""
    splits: dict[str, Notes] = {split: copy.json(f"nsynth-{split}/examples.json") for split in SPLITS}
    short = [name for notes in splits.values() for name, note in notes.items() if not note.keys() >= _FIELDS]
    if short:
        raise copy.error(f"{sorted(_FIELDS)} of every note in examples.json", f"{len(short)} without, {short[:3]}")
    return splits


def _balanced(copy: Copy, notes: Notes, families: list[str], each: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    chosen: list[str] = []
    for family in families:
        members = sorted(name for name, note in notes.items() if note["instrument_family_str"] == family)
        if len(members) < each:
            raise copy.error(f"{each} training notes of the family {family!r}", f"{len(members)}")
        chosen += [members[place] for place in generator.permutation(len(members))[:each]]
    return chosen


def _corpus(copy: Copy, splits: Mapping[str, Notes]) -> Corpus:
    notes = [(split, name, note) for split, listed in splits.items() for name, note in listed.items()]
    return copy.corpus(
        [f"nsynth-{split}/audio/{name}.wav" for split, name, _ in notes],
        [str(note["instrument_family_str"]) for _, _, note in notes],
        tags=[note.get("qualities_str", []) for _, _, note in notes],
        splits=[split for split, _, _ in notes],
        groups=[str(note["instrument_str"]) for _, _, note in notes],
        extra={name: [note[name] for _, _, note in notes] for name in ("pitch", "velocity", "instrument_source_str")},
    )


NSYNTH = register_corpus(
    CorpusAdapter(
        name="nsynth",
        title="NSynth instrument families",
        task="single-label",
        layout="nsynth-train/, nsynth-valid/ and nsynth-test/, each with examples.json and audio/",
        address="https://magenta.tensorflow.org/datasets/nsynth",
        licence="CC BY 4.0",
        counts={"clips": 305979, "classes": 11, "train": 289205, "valid": 12678, "test": 4096},
        read=_read,
    )
)

NSYNTH_20K = register_corpus(
    CorpusAdapter(
        name="nsynth-20k",
        title="NSynth instrument families, 20,000 balanced training notes",
        task="single-label",
        layout=NSYNTH.layout,
        address=NSYNTH.address,
        licence=NSYNTH.licence,
        counts={"classes": 10, "train": _DRAWN, "valid": 12678, "test": 4096},
        read=_read_balanced,
    )
)
