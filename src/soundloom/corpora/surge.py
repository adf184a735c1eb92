"""The Surge pitch set: 88 notes of 2,084 tones of the Surge synthesiser (Turian et al. 2021, DAFx).

The label is the MIDI note, which is the file's name; a tone's notes are in one split, so that pitch must be recognised
in timbres never met. The parting is 1692:195:197 tones, drawn here from a seed unless a list is given.
"""

from __future__ import annotations

import os
from typing import Any

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["SURGE"]

_TONES = (1692 / 2084, 195 / 2084, 197 / 2084)
_LIST = "dataset_surge_tone_splits.csv"


def _read(copy: Copy, *, seed: int = 0, splits: str | os.PathLike[str] | None = None) -> Corpus:
    """Read the Surge pitch set.

    Args:
        copy: the set on disk.
        seed: of the drawn splits.
        splits: a list with columns tone and split; dataset_surge_tone_splits.csv is taken when it lies
            in the root.
    """
    found = copy.matching(r"(?P<tone>[^/]+)/(?P<note>\d+)\.\w+")
    tones = [about["tone"] for _, about in found]
    columns: dict[str, Any] = {"groups": tones, "extra": {"midi": [int(about["note"]) for _, about in found]}}
    files = [file for file, _ in found]
    notes = [str(int(about["note"])) for _, about in found]
    if splits is None and not (copy.root / _LIST).is_file():
        return copy.corpus(files, notes, **columns).with_grouped_splits(_TONES, seed=seed)
    table = copy.columns(splits or _LIST, ["tone", "split"])
    listed = dict(zip(table["tone"], copy.splits(table["split"]), strict=True))
    strange = sorted(set(tones) - set(listed))
    if strange:
        raise copy.error("a split for every tone in the list", f"none for {len(strange)}, such as {strange[:3]}")
    return copy.corpus(files, notes, splits=[listed[tone] for tone in tones], origin="listed", **columns)


SURGE = register_corpus(
    CorpusAdapter(
        name="surge",
        title="Surge synthesiser pitches",
        task="single-label",
        layout="{tone}/{MIDI note}.ogg",
        address="https://zenodo.org/records/4677097",
        licence="as stated on its record",
        counts={"classes": 88, "groups": 2084},
        read=_read,
    )
)
