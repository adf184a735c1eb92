"""SQL conditions on the fields of segments and files, evaluated with Arrow: a recursive-descent parser of WHERE.

    duration < 5 AND sample_rate >= 96000
    codec LIKE 'FLAC%' OR folder IN ('birds', 'night')
    recorded BETWEEN '2024-05-01' AND '2024-06-01' AND NOT array_has(tags, 'crow')

Comparisons, IN, LIKE, BETWEEN, IS NULL, AND, OR, NOT, parentheses, and the functions of `_FUNCTIONS`, as in SQL: a
comparison with what is not known holds for nothing. Fields of files are compared once for each file and not for each of
its segments. A condition on size, mtime_ns, hash, notices or decoder, where these are not at hand, or one in other SQL
is left to the store.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import QueryError
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.storage.sql import check_condition

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["condition_mask"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>\"[^\"]+\"|`[^`]+`|[^\W\d]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[=<>(),-]))"
)
_WORDS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"])
_OF_STORE = frozenset(("size", "mtime_ns", "hash", "notices", "decoder"))
_OF_ROWS = ("start", "end", "tags")
_COMPARISONS = {
    "=": "equal", "==": "equal", "!=": "not_equal", "<>": "not_equal",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
_FUNCTIONS = ("array_has", "starts_with", "ends_with", "contains", "lower", "upper")


class _OtherSqlError(Exception):
    """The condition is in a part of SQL that is read here not at all."""


def condition_mask(
    fields: FileFields, where: str, stored: Callable[[str], pa.Array] | None = None
) -> NDArray[np.bool_] | None:
    """The rows for which a condition holds; None if only the store can evaluate it.

    Args:
        fields: of the files, and the rows.
        where: the condition.
        stored: gives a column of the store, a value for each file.

    Raises:
        QueryError: a column that there is not, or values that cannot be compared.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        mask = _Parser(check_condition(where), fields, stored).parse()
    except (_OtherSqlError, RecursionError):
        return None
    except (pa.ArrowException, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise QueryError(f"the filter {where!r} cannot be evaluated: {reason}") from None
    found = np.asarray(pc.fill_null(mask, False).to_numpy(zero_copy_only=False), np.bool_)
    return found if len(found) == fields.rows.num_rows else fields.of_rows(found)


class _Parser:
    """One condition: read and evaluated from left to right."""

    def __init__(self, where: str, fields: FileFields, stored: Callable[[str], pa.Array] | None) -> None:
        self._fields = fields
        self._stored = stored
        self._tokens: list[tuple[str, str]] = []
        place = 0
        while where[place:].strip():
            found = _TOKEN.match(where, place)
            if found is None:
                raise _OtherSqlError
            kind = str(found.lastgroup)
            text = found[kind]
            self._tokens.append(("word", text.upper()) if kind == "name" and text.upper() in _WORDS else (kind, text))
            place = found.end()
        self._tokens.append(("end", ""))
        self._place = 0

    def parse(self) -> pa.Array:
        mask = self._either()
        if self._tokens[self._place][0] != "end":
            raise _OtherSqlError
        return mask

    def _take(self, *wanted: str) -> str | None:
        """The next token, if it is one of some words or signs."""
        kind, text = self._tokens[self._place]
        if kind in ("word", "sign") and text in wanted:
            self._place += 1
            return text
        return None

    def _expect(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise _OtherSqlError

    def _either(self) -> pa.Array:
        import pyarrow.compute as pc

        mask = self._all()
        while self._take("OR"):
            mask = pc.or_kleene(*self._alike(mask, self._all()))
        return mask

    def _all(self) -> pa.Array:
        import pyarrow.compute as pc

        mask = self._negated()
        while self._take("AND"):
            mask = pc.and_kleene(*self._alike(mask, self._negated()))
        return mask

    def _negated(self) -> pa.Array:
        import pyarrow.compute as pc

        return pc.invert(self._negated()) if self._take("NOT") else self._predicate()

    def _predicate(self) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._take("("):
            mask = self._either()
            self._expect(")")
            return mask
        value = self._operand()
        if (sign := self._take(*_COMPARISONS)) is not None:
            compare: Callable[..., Any] = getattr(pc, _COMPARISONS[sign])
            return self._whole(compare(*self._alike(value, self._operand())))
        if self._take("IS"):
            inverted = self._take("NOT")
            self._expect("NULL")
            return pc.is_valid(value) if inverted else pc.is_null(value)
        inverted = self._take("NOT")
        mask = self._membership(value)
        if mask is None:
            if inverted or not (isinstance(value, pa.Array) and pa.types.is_boolean(value.type)):
                raise _OtherSqlError
            return value
        return pc.invert(mask) if inverted else mask

    def _membership(self, value: Any) -> pa.Array | None:
        """IN, LIKE or BETWEEN; None if neither follows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not isinstance(value, pa.Array):
            raise _OtherSqlError
        if self._take("IN"):
            self._expect("(")
            among = [self._operand()]
            while self._take(","):
                among.append(self._operand())
            self._expect(")")
            return pc.if_else(pc.is_null(value), None, pc.is_in(value, value_set=pa.array(among, value.type)))
        if (like := self._take("LIKE", "ILIKE")) is not None:
            return pc.match_like(value, self._text(), ignore_case=like == "ILIKE")
        if self._take("BETWEEN"):
            lowest = self._operand()
            self._expect("AND")
            above = pc.greater_equal(*self._alike(value, lowest))
            return pc.and_kleene(*self._alike(above, pc.less_equal(*self._alike(value, self._operand()))))
        return None

    def _operand(self) -> Any:
        """A literal, a column or a function of one."""
        if self._take("-"):
            return -self._operand()
        kind, text = self._tokens[self._place]
        self._place += 1
        if kind == "text":
            return text[1:-1].replace("''", "'")
        if kind == "number":
            return float(text) if not text.isdigit() else int(text)
        if kind == "word" and text in ("TRUE", "FALSE"):
            return text == "TRUE"
        if kind != "name":
            raise _OtherSqlError
        return self._function(text.lower()) if self._take("(") else self._column(text.strip('"`'))

    def _text(self) -> str:
        value = self._operand()
        if not isinstance(value, str):
            raise _OtherSqlError
        return value

    def _function(self, name: str) -> pa.Array:
        import pyarrow.compute as pc

        if name not in _FUNCTIONS:
            raise _OtherSqlError
        value = self._operand()
        if name in ("lower", "upper"):
            self._expect(")")
            return pc.utf8_lower(value) if name == "lower" else pc.utf8_upper(value)
        self._expect(",")
        part = self._text()
        self._expect(")")
        if name == "array_has":
            return self._has(value, part)
        functions = {"starts_with": pc.starts_with, "ends_with": pc.ends_with, "contains": pc.match_substring}
        return functions[name](value, part)

    def _has(self, lists: pa.Array, member: str) -> pa.Array:
        """For every segment whether somebody gave it a tag."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not (isinstance(lists, pa.Array) and pa.types.is_list(lists.type)):
            raise _OtherSqlError
        given, codes, segments = self._fields.tags_of_rows
        mask = np.zeros(self._fields.rows.num_rows, np.bool_)
        if member in given:
            mask[segments[codes == given.index(member)]] = True
        return pc.if_else(pc.is_null(lists), None, pa.array(mask))

    def _column(self, name: str) -> pa.Array:
        """A value for each segment, or, of what is one for all segments of a file, for each file."""
        if name in _OF_ROWS:
            return self._fields.rows[name].combine_chunks()
        if name in _OF_STORE and name not in self._fields.names:
            if self._stored is None:
                raise _OtherSqlError
            return self._stored(name)
        return self._fields.column(name)

    def _alike(self, one: Any, other: Any) -> tuple[Any, Any]:
        """Two values that can be compared: both for each file, or both for each segment."""
        import pyarrow as pa

        if isinstance(one, pa.Array) and isinstance(other, pa.Array) and len(one) != len(other):
            return self._of_rows(one), self._of_rows(other)
        return one, other

    def _of_rows(self, values: pa.Array) -> pa.Array:
        import pyarrow as pa

        if len(values) == self._fields.rows.num_rows:
            return values
        if pa.types.is_boolean(values.type) and not values.null_count:
            return pa.array(self._fields.of_rows(values.to_numpy(zero_copy_only=False)))
        return values.take(self._fields.file_of_row)

    def _whole(self, mask: Any) -> pa.Array:
        """A mask of all files, also of two literals."""
        import pyarrow as pa

        return mask if isinstance(mask, pa.Array) else pa.array([mask.as_py()] * len(self._fields.paths), pa.bool_())
