"""AudioSet: ten-second stretches of YouTube videos with 527 classes (Gemmeke et al. 2017, ICASSP).

Google publishes lists of segments, not audio; every copy was downloaded by its owner and lacks the videos that
have vanished (of 22,160 balanced and 2,041,789 unbalanced training segments and 20,371 for evaluation), so a
real copy is read with ``partial=True``. A file belongs to the segment whose video id its name
begins with, with or without the ``Y`` that some downloaders put before it, in any folder and any format.
"""

from __future__ import annotations

from collections.abc import Sequence

from soundloom.corpora.adapter import CorpusAdapter, register_corpus
from soundloom.corpora.dataset_reader import Copy
from soundloom.corpora.files import stem
from soundloom.corpora.table import Corpus, CorpusError

__all__ = ["AUDIOSET"]

_LISTS = {"balanced_train": "train", "unbalanced_train": "train", "eval": "test"}
_HEADER = ("YTID", "start_seconds", "end_seconds", "positive_labels")
_ID_LENGTH = 11


def _read(copy: Copy, *, segments: Sequence[str] = ("balanced_train", "eval"), trimmed: bool = True) -> Corpus:
    """Read AudioSet.

    Args:
        copy: the set on disk.
        segments: which lists, of "balanced_train", "unbalanced_train" and "eval".
        trimmed: the files hold the segments only. False where they hold whole videos: the clips then
            carry the segments' start and end.
    """
    unknown = [name for name in segments if name not in _LISTS]
    if unknown or not segments:
        raise CorpusError(f"audioset: segments are of {list(_LISTS)}, got {list(segments)}")
    classes = copy.columns("class_labels_indices.csv", ["mid", "display_name"])
    display = dict(zip(classes["mid"], classes["display_name"], strict=True))
    paths = _paths_by_id(copy.audio())
    files: list[str] = []
    labels: list[list[str]] = []
    splits: list[str] = []
    starts: list[float | None] = []
    ends: list[float | None] = []
    for name in segments:
        table = copy.columns(f"{name}_segments.csv", _HEADER, header=_HEADER)
        files += [paths.get(video, f"{video}.wav") for video in table["YTID"]]
        labels += [[display.get(mid, mid) for mid in mids.split(",")] for mids in table["positive_labels"]]
        splits += [_LISTS[name]] * len(table["YTID"])
        starts += copy.optional(table["start_seconds"], float, "start_seconds")
        ends += copy.optional(table["end_seconds"], float, "end_seconds")
    return copy.corpus(
        files,
        labels,
        classes=classes["display_name"],
        splits=splits,
        starts=None if trimmed else starts,
        ends=None if trimmed else ends,
    )


def _paths_by_id(paths: Sequence[str]) -> dict[str, str]:
    """The file of each video id. An id may itself begin with Y, so a name's first letters win over its second."""
    with_prefix = {stem(path)[1 : 1 + _ID_LENGTH]: path for path in paths if stem(path).startswith("Y")}
    return with_prefix | {stem(path)[:_ID_LENGTH]: path for path in paths}


AUDIOSET = register_corpus(
    CorpusAdapter(
        name="audioset",
        title="AudioSet",
        task="multi-label",
        layout="class_labels_indices.csv, the *_segments.csv lists and audio files named by video id, in any folder",
        address="https://research.google.com/audioset/download.html",
        licence="lists CC BY 4.0; the videos are their owners'",
        counts={"classes": 527},
        read=_read,
    )
)
