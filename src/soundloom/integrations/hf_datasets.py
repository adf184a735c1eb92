"""Corpora and libraries to and from data sets of Hugging Face's ``datasets`` (the extra ``datasets``).

    from soundloom.integrations.hf_datasets import from_dataset, to_dataset

    corpus = soundloom.corpora.load("/data/my-sounds")
    dataset = to_dataset(corpus)  # audio, labels, tags, split ... ; push_to_hub() or save_to_disk() share it
    again = from_dataset(dataset, "extracted")  # a corpus; sounds that the data set holds are written to that folder

Sounds stay encoded as they are: nothing is decoded on the way, so torchcodec, which ``datasets`` decodes with, is not
needed. A data set of decoded arrays is written as 32-bit WAV.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from soundloom.atomic_file import replacing
from soundloom.corpora import Corpus, CorpusError, clip_table
from soundloom.errors import MissingExtraError
from soundloom.file_names import os_path
from soundloom.integrations.table_source import check_source
from soundloom.library import Library
from soundloom.local_path import local_path
from soundloom.remote import open_binary
from soundloom.system_errors import reason_of

try:
    import datasets
except ImportError as error:
    raise MissingExtraError("datasets", "datasets", "exchange with Hugging Face data sets") from error

__all__ = ["from_dataset", "to_dataset"]

_SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "valid",
    "valid": "valid",
    "dev": "valid",
    "test": "test",
}
"""Names of splits of data sets -> those of a corpus."""
_OWN = ("start", "end", "tags", "split", "fold", "group")
"""Columns of a corpus that a data set may have under the same name."""
_LABELS = ("labels", "label", "category", "tags")
"""Columns that may have the classes, the likeliest first."""


def to_dataset(source: Corpus | Library, *, embed_sounds: bool = False) -> Any:
    """A corpus or a library as a `datasets.Dataset`.

    Args:
        source: of a corpus every clip is a row, with its columns and ``labels`` as class labels; of a library every
            segment, with the columns of `Library.to_arrow` and its embedding.
        embed_sounds: put the files' bytes into the data set, so that it can be sent; otherwise it has their paths.

    Raises:
        InvalidArgumentError: the source is neither.
        CorpusError: a file whose bytes are wanted cannot be read.
    """
    check_source(source)
    # As plain columns first: the encoder of sounds asks for torchcodec even where there is nothing to encode.
    features: dict[str, Any] = {"audio": {"bytes": datasets.Value("binary"), "path": datasets.Value("string")}}
    columns: dict[str, Any] = {}
    if isinstance(source, Corpus):
        table, label = source.table.drop_columns(["path", "labels"]), datasets.ClassLabel(names=list(source.classes))
        paths = source.column("path")
        numbers = [[source.classes.index(name) for name in names] for names in source.column("labels")]
        single = source.task == "single-label"
        columns["labels"] = [row[0] for row in numbers] if single else numbers
        features["labels"] = label if single else datasets.List(label)
    else:
        table = source.to_arrow(embeddings=True)
        paths = [os_path(path) for path in table["path"].to_pylist()]
    columns = {"audio": [_encoded(path, embed_sounds) for path in paths], **columns, **table.to_pydict()}
    features |= datasets.Features.from_arrow_schema(table.schema)
    made = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
    return made.cast_column("audio", datasets.Audio(decode=False))


def _encoded(path: str, embed: bool) -> dict[str, Any]:
    try:
        if not embed:
            return {"path": path, "bytes": None}
        with open_binary(path) as file:
            return {"path": path, "bytes": file.readall()}
    except OSError as error:
        raise CorpusError(f"{path!r} cannot be read: {reason_of(error)}") from error


def from_dataset(
    dataset: Any,
    folder: str | os.PathLike[str],
    *,
    audio: str = "audio",
    label: str | None = None,
    sample_rate: int | None = None,
    name: str = "dataset",
) -> Corpus:
    """A corpus of a `datasets.Dataset`, or of a `datasets.DatasetDict`, whose splits it keeps.

    Args:
        dataset: rows of a sound and what is said of it.
        folder: where sounds are written that the data set holds itself, named by their content; others stay.
        audio: the column of sounds.
        label: the column of classes, or of texts, one or several a row; if None, the first of ``labels``, ``label``,
            ``category`` and ``tags`` that has any.
        sample_rate: of sounds that are bare arrays of samples, in hertz.
        name: of the corpus.

    Raises:
        CorpusError: there is no such column, or a row has no sound or no label, or its file is missing.
    """
    parts = _parts_of(dataset)
    chosen = _label_column(parts, label, audio)
    paths: list[str] = []
    labels: list[str | list[str]] = []
    columns: dict[str, list[Any]] = {column: [] for column in _OWN}
    classes: tuple[str, ...] | None = None
    target = local_path(folder)
    for split, part in parts.items():
        feature = part.features[chosen]
        inner = getattr(feature, "feature", feature)
        names = getattr(inner, "names", None)
        if isinstance(part.features[audio], datasets.Audio):
            part = part.cast_column(audio, datasets.Audio(decode=False))
        for number, row in enumerate(part):
            where = f"row {number} of {split or 'the data set'}"
            paths.append(_file_of(row[audio], target, where, sample_rate))
            labels.append(_labels_of(row[chosen], names, f"{where} has no class in {chosen!r}"))
            for column in _OWN:
                columns[column].append(row.get(column))
            columns["split"][-1] = _SPLITS.get(split) if split else _SPLITS.get(row.get("split") or "")
        classes = tuple(names) if names else classes
    _check_files(paths)
    multiple = any(isinstance(one, list) for one in labels)
    found = sorted({one for names in labels for one in ([names] if isinstance(names, str) else names)})
    table = clip_table(
        paths, labels,
        tags=[tags or [] for tags in columns["tags"]], starts=columns["start"], ends=columns["end"],
        splits=columns["split"], folds=columns["fold"], groups=columns["group"],
    )  # fmt: skip
    return Corpus(
        name=name,
        root=target,
        task="multi-label" if multiple else "single-label",
        classes=classes or tuple(found),
        table=table,
        split_origin="listed" if any(columns["split"]) or any(columns["fold"]) else "none",
    )


def _parts_of(dataset: Any) -> dict[str, Any]:
    """The splits of a data set by name; one that has none is a part without a name."""
    parts = dict(dataset) if isinstance(dataset, Mapping) else {"": dataset}
    for part in parts.values():
        if not getattr(part, "features", None):
            raise CorpusError(
                f"this is a {type(part).__name__}: give a datasets.Dataset, such as datasets.load_from_disk(FOLDER)"
            )
    return parts


def _label_column(parts: Mapping[str, Any], label: str | None, audio: str) -> str:
    """The column of classes: the one asked for, or the first usual one that has any."""
    columns = list(next(iter(parts.values())).features)
    for part in parts.values():
        for column, wanted in ((audio, "audio"), (label, "label")):
            if column is not None and column not in part.features:
                raise CorpusError(f"no column {column!r}: give {wanted}=, one of {list(part.features)}")
    there = [one for one in _LABELS if all(one in part.features for part in parts.values())]
    chosen = label or next((one for one in there if any(_has_values(part, one) for part in parts.values())), None)
    if chosen is None:
        empty = f" No row has any in {', '.join(there)}." if there else ""
        raise CorpusError(f"which column has the classes?{empty} Give label=, one of {columns}")
    return chosen


def _has_values(part: Any, column: str) -> bool:
    """Whether any row has a value there; of rows that come as a stream it is assumed."""
    return not hasattr(part, "__len__") or any(value not in (None, [], "") for value in part[column])


def _labels_of(value: Any, names: list[str] | None, refusal: str) -> str | list[str]:
    """The class of a row, or its classes; numbers of class labels become names."""
    if isinstance(value, list):
        return [str(_labels_of(one, names, refusal)) for one in value]
    # Class labels that are not known are -1.
    if value is None or value == "" or (names is not None and value < 0):
        raise CorpusError(f"{refusal}: leave such rows out, dataset.filter(...), or give another column as label=")
    return names[value] if names is not None else str(value)


def _file_of(sound: Any, folder: Path, where: str, sample_rate: int | None) -> str:
    """The file of a row's sound, written if the data set holds it itself."""
    if isinstance(sound, str):
        return str(Path(sound).absolute())
    if isinstance(sound, list | np.ndarray):
        sound = {"array": sound, "sampling_rate": sample_rate}
    if not isinstance(sound, Mapping):
        sound = {}
    content, path, array, rate = (sound.get(key) for key in ("bytes", "path", "array", "sampling_rate"))
    if content is not None:
        return _write(folder, content, Path(path or "sound.wav").suffix or ".wav")
    if path:
        return str(Path(path).absolute())
    if array is not None and rate is None:
        raise CorpusError(f"{where} is an array of samples without its rate: give sample_rate=, in hertz")
    if array is not None:
        return _write(folder, _wav(np.asarray(array, np.float32), int(rate)), ".wav")
    raise CorpusError(f"{where} has no sound: expected a path, bytes, or an array with its sampling_rate")


def _check_files(paths: list[str]) -> None:
    missing = [(row, path) for row, path in enumerate(paths) if not os.path.exists(path)]
    if missing:
        row, path = missing[0]
        raise CorpusError(
            f"{len(missing)} of {len(paths)} files are missing, the first is {path!r} of row {row}: relative paths are "
            "taken from the folder that Python runs in"
        )


def _wav(samples: np.ndarray, sample_rate: int) -> bytes:
    import io

    import soundfile

    buffer = io.BytesIO()
    soundfile.write(buffer, samples, sample_rate, format="WAV", subtype="FLOAT")
    return buffer.getvalue()


def _write(folder: Path, content: bytes, suffix: str) -> str:
    file = folder / (hashlib.sha256(content).hexdigest()[:20] + suffix)
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            temporary.write_bytes(content)
    return str(file.absolute())
