"""Corpus: an Arrow table of clips with labels, splits and folds.

A row is a clip: a file, or a stretch of one. Nothing is copied and nothing is decoded; the table says where
the sound lies, what is said of it (labels to be measured against, tags as free words), and how the clips may be
parted for training and testing. Splits and folds that a set was published with are kept as they are, since
a score on another parting is a score on another set; a set without any is parted by group, from a seed.

Not for embeddings: those live in a library.
"""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Int64

from soundloom.atomic_file import replacing
from soundloom.corpora.clips import clip_schema, label_pairs
from soundloom.corpora.splits import SPLITS, Fractions, draw_splits
from soundloom.errors import CorpusError
from soundloom.html_table import facts_table

if TYPE_CHECKING:
    from pyarrow import Table
else:
    Table = Any  # pyarrow is imported when the first corpus is made, not before

__all__ = ["Corpus", "CorpusError", "SplitOrigin", "Summary", "Task"]

Task = Literal["single-label", "multi-label"]
SplitOrigin = Literal["official", "listed", "drawn", "none"]

_METADATA_KEY = b"soundloom.corpus"


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a corpus holds, counted.

    Attributes:
        clips: rows of the table.
        groups: distinct groups; a clip without a group is one of its own.
        tags: distinct tags.
        splits: clips per split, of those that occur.
        folds: clips per fold, of those that occur.
        classes: clips per class, every class of the corpus, in its order.
    """

    clips: int
    groups: int
    tags: int
    splits: dict[str, int]
    folds: dict[int, int]
    classes: dict[str, int]


@dataclass(frozen=True, kw_only=True, repr=False)
class Corpus:
    """A labelled collection of clips.

    Attributes:
        name: the set's short name, as ``corpora.load`` takes it.
        root: the folder the set was read from.
        task: "single-label" (every clip has exactly one label) or "multi-label" (any number, none included).
        classes: all labels that may occur, in the set's own order; a label's place in it is its number.
        table: the clips; see ``clips.clip_table`` for its columns.
        address: where the set can be had.
        licence: under what terms, in a few words.
        split_origin: where split and fold come from: "official" (published with the set, or fixed by its
            definition), "listed" (a list of the user's), "drawn" (by group, from ``seed``) or "none".
        seed: the seed of drawn splits.

    Raises:
        CorpusError: the table lacks a column, or its labels or splits contradict the other attributes.
    """

    name: str
    root: Path
    task: Task
    classes: tuple[str, ...]
    table: Table = field(repr=False)
    address: str = ""
    licence: str = ""
    split_origin: SplitOrigin = "none"
    seed: int | None = None

    def __post_init__(self) -> None:
        self._check_columns()
        self._check_spans()
        self._check_labels()
        unknown = sorted(set(self.table.column("split").unique().to_pylist()) - {*SPLITS, None})
        if unknown:
            raise CorpusError(f"{self.name}: splits are called {list(SPLITS)}, the table has {unknown[:3]}")

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __repr__(self) -> str:
        return (
            f"Corpus({self.name!r}, {len(self)} clips, {len(self.classes)} classes, {self.task}, "
            f"splits: {self.split_origin})"
        )

    def _repr_html_(self) -> str:
        counts = self.summary()
        classes = ", ".join(f"{name} {count}" for name, count in list(counts.classes.items())[:20])
        more = f" and {len(self.classes) - 20} more" if len(self.classes) > 20 else ""
        splits = ", ".join(f"{name} {count}" for name, count in counts.splits.items())
        facts = {"corpus": self.name, "clips": f"{len(self):,}", "task": self.task, "classes": f"{classes}{more}"}
        known = {"splits": splits, "folds": len(counts.folds), "tags": counts.tags, "licence": self.licence}
        return facts_table(facts | {name: value for name, value in known.items() if value})

    def column(self, name: str) -> list[Any]:
        """The values of one column, in row order.

        Raises:
            CorpusError: there is no such column.
        """
        if name not in self.table.column_names:
            raise CorpusError(f"{self.name}: no column {name!r}; there are {self.table.column_names}")
        values: list[Any] = self.table.column(name).to_pylist()
        return values

    def label_ids(self) -> Int64[np.ndarray, " clips"]:
        """Each clip's class number.

        Raises:
            CorpusError: the corpus is multi-label.
        """
        if self.task != "single-label":
            raise CorpusError(f"{self.name} is multi-label: a clip has no single class number; use label_matrix()")
        return label_pairs(self.table, self.classes)[1]

    def label_matrix(self) -> Bool[np.ndarray, "clips classes"]:
        """True where the clip has the class."""
        clips, classes = label_pairs(self.table, self.classes)
        matrix = np.zeros((len(self), len(self.classes)), dtype=bool)
        matrix[clips, classes] = True
        return matrix

    def filter(
        self,
        *,
        split: str | Collection[str] | None = None,
        fold: int | Collection[int] | None = None,
        group: str | Collection[str] | None = None,
        label: str | Collection[str] | None = None,
        mask: Bool[np.ndarray, " clips"] | None = None,
    ) -> Corpus:
        """The clips that meet every condition given; the classes and their numbers stay.

        Args:
            split: keep clips of this split, or of these.
            fold: keep clips of this fold, or of these.
            group: keep clips of this group, or of these.
            label: keep clips with this label, or with any of these.
            mask: keep clips where true; a condition on any other column is made with ``column``.

        Raises:
            CorpusError: a value asked for does not occur at all (a misspelt split would else give silence).
        """
        import pyarrow as pa

        keep = np.ones(len(self), dtype=bool) if mask is None else mask.copy()
        for name, wanted in (("split", split), ("fold", fold), ("group", group)):
            if wanted is not None:
                keep &= self._where(name, self.column(name), _as_set(wanted))
        if label is not None:
            labels = _as_set(label)
            unknown = labels - set(self.classes)
            if unknown:
                raise CorpusError(f"{self.name}: no class {_examples(unknown)}; there are {_examples(self.classes)}")
            chosen = [number for number, name in enumerate(self.classes) if name in labels]
            keep &= self.label_matrix()[:, chosen].any(axis=1)
        return replace(self, table=self.table.filter(pa.array(keep)))

    def summary(self) -> Summary:
        """Count clips per split, fold and class."""
        groups = self.column("group")
        counts = np.bincount(label_pairs(self.table, self.classes)[1], minlength=len(self.classes)).tolist()
        return Summary(
            clips=len(self),
            groups=len(set(groups) - {None}) + groups.count(None),
            tags=len({tag for tags in self.column("tags") for tag in tags}),
            splits=_count(self.column("split"), SPLITS),
            folds=_count(self.column("fold"), sorted(set(self.column("fold")) - {None})),
            classes=dict(zip(self.classes, counts, strict=True)),
        )

    def with_grouped_splits(self, fractions: Fractions, *, seed: int) -> Corpus:
        """Part the clips into train, valid and test, no group in two of them.

        Deterministic for a seed, and with every class spread over the splits as evenly as whole groups allow.
        A clip without a group is a group of its own.

        Args:
            fractions: the shares of train, valid and test; they sum to one, and a share may be zero.
            seed: of the order in which groups of the same size are dealt.

        Raises:
            CorpusError: the set has splits or folds of its own, which are never reshuffled; or it has fewer
                groups than splits are asked for.
        """
        if self.split_origin in ("official", "listed"):
            raise CorpusError(
                f"{self.name} has {self.split_origin} splits or folds, which are never reshuffled: scores on others "
                "could not be compared. Use filter(split=...) or filter(fold=...)"
            )
        clips, classes = label_pairs(self.table, self.classes)
        try:
            splits = draw_splits(self._group_codes(), clips, classes, fractions, seed=seed)
        except ValueError as error:
            raise CorpusError(f"{self.name}: {error}") from error
        return self._with_splits([SPLITS[split] for split in splits], seed)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the corpus to a parquet file, whole or not at all."""
        from pyarrow import parquet

        about = {
            "name": self.name,
            "root": str(self.root),
            "task": self.task,
            "classes": list(self.classes),
            "address": self.address,
            "licence": self.licence,
            "split_origin": self.split_origin,
            "seed": self.seed,
        }
        with replacing(path, shared=True) as unfinished:
            parquet.write_table(self.table.replace_schema_metadata({_METADATA_KEY: json.dumps(about)}), unfinished)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Corpus:
        """Read a corpus that ``save`` wrote.

        Raises:
            CorpusError: no such file, not parquet, or parquet of another origin.
        """
        from pyarrow import ArrowException, parquet

        try:
            table = parquet.ParquetFile(os.fspath(path)).read()
        except (OSError, ArrowException) as error:
            raise CorpusError(f"{os.fspath(path)!r} cannot be read as a corpus: {error}") from error
        about = (table.schema.metadata or {}).get(_METADATA_KEY)
        if about is None:
            raise CorpusError(
                f"{os.fspath(path)!r} is a parquet file but not a corpus: it was not written by Corpus.save; its "
                f"columns are {table.column_names[:8]}"
            )
        fields = json.loads(about)
        fields["root"] = Path(fields["root"])
        fields["classes"] = tuple(fields["classes"])
        return cls(table=table.replace_schema_metadata(None), **fields)

    def _where(self, name: str, values: list[Any], wanted: set[Any]) -> Bool[np.ndarray, " clips"]:
        unknown = wanted - set(values)
        if unknown:
            raise CorpusError(
                f"{self.name}: no clip has {name} {_examples(unknown)}; there are {_examples(set(values) - {None})}"
            )
        return np.array([value in wanted for value in values], dtype=bool)

    def _with_splits(self, splits: list[str], seed: int) -> Corpus:
        import pyarrow as pa

        place = self.table.column_names.index("split")
        table = self.table.set_column(place, "split", pa.array(splits, pa.string()))
        return replace(self, table=table, split_origin="drawn", seed=seed)

    def split_groups(self) -> list[tuple[str, str]]:
        """What each clip must not be separated from when clips are split: its ``group``, or its file if it has none."""
        named = zip(self.column("group"), self.column("path"), strict=True)
        return [("path", path) if group is None else ("group", group) for group, path in named]

    def _group_codes(self) -> Int64[np.ndarray, " clips"]:
        """Each clip's group as a number; a clip without a group gets a number of its own."""
        numbers: dict[object, int] = {}
        keys = [row if group is None else group for row, group in enumerate(self.column("group"))]
        return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    def _check_columns(self) -> None:
        for wanted in clip_schema():
            place = self.table.schema.get_field_index(wanted.name)
            if place < 0 or self.table.schema.field(place).type != wanted.type:
                found = "none" if place < 0 else self.table.schema.field(place).type
                raise CorpusError(
                    f"{self.name}: expected a column {wanted.name!r} of type {wanted.type}, found {found}"
                )
            if not wanted.nullable and self.table.column(place).null_count:
                raise CorpusError(f"{self.name}: the column {wanted.name!r} has empty values")

    def _check_spans(self) -> None:
        starts = self.table.column("start").fill_null(0.0).to_numpy()
        ends = self.table.column("end").fill_null(np.inf).to_numpy()
        wrong = np.flatnonzero(~((starts >= 0) & (ends > starts)))
        if len(wrong):
            row = int(wrong[0])
            raise CorpusError(
                f"{self.name}: a clip begins at or after 0 and ends later, {self.column('path')[row]!r} goes from "
                f"{starts[row]} to {ends[row]} s"
            )

    def _check_labels(self) -> None:
        if "" in self.classes:
            raise CorpusError(f"{self.name}: a clip has an empty label; leave such clips out, or make it multi-label")
        if len(set(self.classes)) != len(self.classes):
            raise CorpusError(f"{self.name}: a class is listed twice among {_examples(self.classes)}")
        clips, classes = label_pairs(self.table, self.classes)
        if (classes < 0).any():
            strange = {label for labels in self.column("labels") for label in labels} - set(self.classes)
            raise CorpusError(f"{self.name}: labels {_examples(strange)} are not among its {len(self.classes)} classes")
        counts = np.bincount(clips, minlength=len(self))
        if self.task == "single-label" and (counts != 1).any():
            row = int(np.flatnonzero(counts != 1)[0])
            raise CorpusError(
                f"{self.name} is single-label, but {self.column('path')[row]!r} has {counts[row]} labels; "
                "is it multi-label?"
            )


def _as_set(wanted: Any) -> set[Any]:
    return set(wanted) if isinstance(wanted, Collection) and not isinstance(wanted, str) else {wanted}


def _count(values: list[Any], order: Sequence[Any]) -> dict[Any, int]:
    return {value: values.count(value) for value in order if value in values}


def _examples(values: Collection[Any], most: int = 8) -> str:
    listed = list(values) if isinstance(values, (list, tuple)) else sorted(values)
    return repr(listed[:most]) + (f" and {len(listed) - most} more" if len(listed) > most else "")
