"""Collections with one CSV beside their audio: spoken Arabic commands, single notes, the open pool.

- Arabic commands (Ghandoura, Hjabo & Al Dakkak 2021): 40 words by 30 speakers, four takes of the ten, speakers
  disjoint between the splits.
- Notes: 421 single notes of four instruments. For pitch a fold is an instrument, so that the pitch is recognised in a
  timbre never met; for the instrument a note's repetitions stay on one side of splits drawn from a seed.
- Pool: 7,756 openly licensed clips for training, each with a word or phrase and free tags, grouped by what
  must not be parted; it has no parting of its own.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy, in_order
from soundloom.corpora.table import Corpus

__all__ = ["ARABIC_COMMANDS", "NOTES_INSTRUMENT", "NOTES_PITCH", "POOL"]


def _read_arabic(copy: Copy) -> Corpus:
    table = copy.columns("arabic_commands.csv", ["path", "keyword", "speaker", "split"])
    return copy.corpus(
        table["path"],
        table["keyword"],
        splits=copy.splits(table["split"]),
        groups=table["speaker"],
    )


def _read_pitch(copy: Copy) -> Corpus:
    table = copy.columns("pitch.csv", ["path", "instrument", "midi"])
    instruments = in_order(table["instrument"])
    return copy.corpus(
        table["path"],
        table["midi"],
        folds=[instruments.index(instrument) + 1 for instrument in table["instrument"]],
        groups=table["instrument"],
        extra={"midi": copy.integers(table["midi"], "midi")},
    )


def _read_instrument(copy: Copy, *, seed: int = 0) -> Corpus:
    """Read the notes by instrument.

    Args:
        copy: the set on disk.
        seed: of the drawn splits.
    """
    table = copy.columns("pitch.csv", ["path", "instrument", "midi"])
    notes = zip(table["instrument"], table["midi"], strict=True)
    corpus = copy.corpus(
        table["path"],
        table["instrument"],
        groups=[f"{instrument}/{midi}" for instrument, midi in notes],
        extra={"midi": copy.integers(table["midi"], "midi")},
    )
    return corpus.with_grouped_splits((0.70, 0.15, 0.15), seed=seed)


def _read_pool(copy: Copy) -> Corpus:
    table = copy.columns("pool.csv", ["path", "dataset", "kind", "label", "tags", "midi", "group", "licence"])
    words = zip(table["label"], table["tags"], strict=True)
    return copy.corpus(
        table["path"],
        table["label"],
        tags=[list(dict.fromkeys([label, *filter(None, tags.split("|"))])) for label, tags in words],
        groups=[group or None for group in table["group"]],
        extra={
            "midi": copy.optional(table["midi"], int, "midi"),
            **{name: table[name] for name in ("dataset", "kind", "licence")},
        },
    )


ARABIC_COMMANDS = register_corpus(
    CorpusAdapter(
        name="arabic-commands",
        title="Arabic speech commands, four takes",
        task="single-label",
        layout="arabic_commands.csv and the files it names",
        address="https://zenodo.org/records/4662481 (all ten takes)",
        licence="CC BY 4.0",
        counts={"clips": 4800, "classes": 40, "groups": 30, "train": 2880, "valid": 960, "test": 960},
        read=_read_arabic,
    )
)

NOTES_PITCH = register_corpus(
    CorpusAdapter(
        name="notes-pitch",
        title="Single notes, pitch",
        task="single-label",
        layout="pitch.csv (path, instrument, midi) and the files it names",
        address="https://freepats.zenvoid.org and the public repositories that its folders are called after",
        licence="CC0",
        counts={"clips": 421, "classes": 67, "groups": 4},
        read=_read_pitch,
    )
)

NOTES_INSTRUMENT = register_corpus(
    CorpusAdapter(
        name="notes-instrument",
        title="Single notes, instrument",
        task="single-label",
        layout=NOTES_PITCH.layout,
        address=NOTES_PITCH.address,
        licence=NOTES_PITCH.licence,
        counts={"clips": 421, "classes": 4},
        read=_read_instrument,
    )
)

POOL = register_corpus(
    CorpusAdapter(
        name="pool",
        title="The pool of openly licensed clips",
        task="single-label",
        layout="pool.csv and the files it names",
        address="the public collections that its dataset column names",
        licence="open, row by row in the licence column",
        counts={"clips": 6531},
        read=_read_pool,
    )
)
