"""ESC-50 and its subset ESC-10: 2,000 environmental sounds of five seconds (Piczak 2015, ACM MM).

Five folds, prearranged so that pieces of one Freesound recording lie in one of them; the published protocol is the
mean accuracy over the five. Four of the 1,524 recordings do lie in two folds, under another class in each (hen and
rooster, clock alarm and clock tick), and stay there: the folds are the set's own. The audio files are named by the
list, so a transcoded copy reads too.
"""

from __future__ import annotations

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus

__all__ = ["ESC10", "ESC50"]


def _read_esc50(copy: Copy) -> Corpus:
    return _read(copy, only_esc10=False)


def _read_esc10(copy: Copy) -> Corpus:
    return _read(copy, only_esc10=True)


def _read(copy: Copy, *, only_esc10: bool) -> Corpus:
    meta = copy.columns("meta/esc50.csv", ["filename", "fold", "target", "category", "esc10", "src_file"])
    rows = [row for row, flag in enumerate(meta["esc10"]) if not only_esc10 or flag.lower() == "true"]
    targets = copy.integers(meta["target"], "target")
    folds = copy.integers(meta["fold"], "fold")
    return copy.corpus(
        [f"audio/{meta['filename'][row]}" for row in rows],
        [meta["category"][row] for row in rows],
        classes=[name for _, name in sorted({(targets[row], meta["category"][row]) for row in rows})],
        folds=[folds[row] for row in rows],
        groups=[meta["src_file"][row] for row in rows],
    )


ESC50 = register_corpus(
    CorpusAdapter(
        name="esc50",
        title="ESC-50 environmental sounds",
        task="single-label",
        layout="meta/esc50.csv and audio/ (the unpacked ESC-50-master)",
        address="https://github.com/karolpiczak/ESC-50",
        licence="CC BY-NC 3.0",
        counts={"clips": 2000, "classes": 50} | {f"fold {fold}": 400 for fold in range(1, 6)},
        read=_read_esc50,
    )
)

ESC10 = register_corpus(
    CorpusAdapter(
        name="esc10",
        title="ESC-10, the ten clearest classes of ESC-50",
        task="single-label",
        layout=ESC50.layout,
        address=ESC50.address,
        licence="CC BY 3.0",
        counts={"clips": 400, "classes": 10} | {f"fold {fold}": 80 for fold in range(1, 6)},
        read=_read_esc10,
    )
)
