"""VoxForge: read sentences sent in by volunteers; the label is the language.

Speakers send archives, named speaker-date-code; there is no official parting. The usual one deals whole
archives 70:15:15, which may leave a speaker's later archives on the other side; ``by="speaker"`` does not.
"anonymous" is many people, whose archives are dealt one by one either way. The clip count is that of the
TensorFlow Datasets list; the site has grown since, so a newer copy is read with ``partial=True``.
"""

from __future__ import annotations

import os
import re

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.table import Corpus, CorpusError

__all__ = ["VOXFORGE"]

_ARCHIVE = r"(?P<archive>(?P<speaker>[^/-]+)-[^/]+)/(?:wav|flac)/[^/]+"
_LIST = "voxforge.csv"


def _read(
    copy: Copy,
    *,
    by: str = "archive",
    seed: int = 0,
    splits: str | os.PathLike[str] | None = None,
) -> Corpus:
    """Read VoxForge.

    Args:
        copy: the set on disk.
        by: what is kept on one side of the drawn splits, "archive" or "speaker".
        seed: of the drawn splits.
        splits: a list with columns file_name, label and split, which then gives all three; voxforge.csv is
            taken when it lies in the root. Archives may then lie in the root itself.
    """
    if by not in ("archive", "speaker"):
        raise CorpusError(f"voxforge: by is 'archive' or 'speaker', got {by!r}")
    if splits is not None or (copy.root / _LIST).is_file():
        table = copy.columns(splits or _LIST, ["file_name", "label", "split"])
        archives = [re.search(_ARCHIVE, file) for file in table["file_name"]]
        return copy.corpus(
            table["file_name"],
            table["label"],
            splits=copy.splits(table["split"]),
            groups=[match["archive"] if match else None for match in archives],
            origin="listed",
        )
    found = copy.matching(rf"(?P<language>[^/]+)/(?:.+/)?{_ARCHIVE}")
    corpus = copy.corpus(
        [file for file, _ in found],
        [about["language"] for _, about in found],
        groups=[_group(about, by) for _, about in found],
    )
    return corpus.with_grouped_splits((0.70, 0.15, 0.15), seed=seed)


def _group(about: dict[str, str], by: str) -> str:
    known = by == "speaker" and about["speaker"].lower() != "anonymous"
    return f"{about['language']}/{about['speaker' if known else 'archive']}"


VOXFORGE = register_corpus(
    CorpusAdapter(
        name="voxforge",
        title="VoxForge spoken languages",
        task="single-label",
        layout="{language}/{speaker-date-code}/wav/*.wav, or the archives themselves beside a voxforge.csv",
        address="http://www.voxforge.org",
        licence="GPL",
        counts={"clips": 176428},
        read=_read,
    )
)
