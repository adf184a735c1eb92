"""Segments of a library as one table in memory, with the facts of their files: Arrow, pandas, Polars, SQL by DuckDB."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from soundloom.errors import MissingExtraError
from soundloom.library.storage.facts_table import COLUMNS, read_facts_table

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

__all__ = ["SegmentTables"]

_FIRST = ("path", "start", "end", "duration", "tags")


class SegmentTables:
    """The part of `soundloom.library.Library` that gives its segments to other programs as a table."""

    folder: Path
    rows: Callable[..., pa.Table]

    def to_arrow(self, where: str | None = None, *, embeddings: bool = False) -> pa.Table:
        """The segments with the facts of their files, ordered by path and start.

        DuckDB, Polars and pandas read this table without a copy: ``duckdb.sql("SELECT path FROM table")``.

        Args:
            where: an SQL condition on the store's columns, as for `Library.rows`.
            embeddings: add a column of the stored embeddings, ``[dim]`` each.

        Returns:
            path, start, end, duration (seconds) and tags of every segment; of its file sample_rate (hertz), channels,
            bits, codec, recorded, recorded_by, title, category, peak and rms (decibels of full scale), and the columns
            that the user added, null where they are not known.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        columns = (*_FIRST, "hash", *(("embedding",) if embeddings else ()))
        table = self.rows(columns, where)
        facts = read_facts_table(self.folder)
        last = table.drop_columns([*_FIRST, "hash"])
        made = table.select(list(_FIRST))
        if not table.num_rows or facts is None:
            for name in COLUMNS:
                made = made.append_column(name, pa.nulls(table.num_rows))
        else:
            place = pc.index_in(_key(table), value_set=_key(facts))
            for name in facts.column_names:
                if name not in (*table.column_names, "hash"):
                    made = made.append_column(name, facts[name].take(place))
        for name in last.column_names:
            made = made.append_column(name, last[name])
        return made

    def to_pandas(self, where: str | None = None, *, embeddings: bool = False) -> pd.DataFrame:
        """`to_arrow` as a data frame of pandas.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas  # noqa: F401
        except ImportError as error:
            raise MissingExtraError("pandas", "frames", "a library as a data frame") from error
        return self.to_arrow(where, embeddings=embeddings).to_pandas()

    def to_polars(self, where: str | None = None, *, embeddings: bool = False) -> pl.DataFrame:
        """`to_arrow` as a data frame of Polars.

        Raises:
            MissingExtraError: Polars is not installed.
        """
        try:
            import polars
        except ImportError as error:
            raise MissingExtraError("polars", "frames", "a library as a data frame") from error
        frame = polars.from_arrow(self.to_arrow(where, embeddings=embeddings))
        assert isinstance(frame, polars.DataFrame)
        return frame


def _key(table: pa.Table) -> pa.Array:
    """Path and content of every row, as one text."""
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(table["path"], table["hash"], "\0").combine_chunks()
