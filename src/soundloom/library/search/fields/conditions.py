"""SQL conditions on the fields of segments and files, evaluated with Arrow: a recursive-descent parser of WHERE.

    duration < 5 AND sample_rate >= 96000
    codec LIKE 'FLAC%' OR folder IN ('birds', 'night')
    recorded BETWEEN '2024-05-01' AND '2024-06-01' AND NOT array_has(tags, 'crow')

Comparisons, IN, LIKE, BETWEEN, IS NULL, AND, OR, NOT, parentheses, and the functions of `_FUNCTIONS`, as in SQL: a
comparison with what is not known holds for nothing. Fields of files are compared once for each file and not for each of
its segments. A condition on size, mtime_ns, hash, notices or decoder, where these are not at hand, or one with other
functions, operators or words of SQL is left to the store; what is no SQL is refused here.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from soundloom.errors import InvalidArgumentError, QueryError
from soundloom.library.search.fields.file_fields import FileFields
from soundloom.library.search.fields.literals import comparable
from soundloom.library.storage.facts_table import STORED
from soundloom.library.storage.sql import check_condition
from soundloom.library.storage.table_schema import as_mask, whole_column

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["condition_mask"]

_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>\"[^\"]+\"|`[^`]+`|[^\W\d]\w*)"
    r"|(?P<sign><=|>=|<>|!=|==|[=<>(),-])|(?P<other>::|\|\||[+*/%\[\].]))"
)
_MISTAKEN = {
    "=<": "<=", "=>": ">=", "><": "<>", "≤": "<=", "≥": ">=", "≠": "<>", "!": "NOT or <>", "&&": "AND", "&": "AND",
    "~": "LIKE",
}  # fmt: skip
"""What other languages write -> what SQL writes."""
_OTHER_WORDS = frozenset(["CASE", "CAST", "CEIL", "DISTINCT", "ESCAPE", "EXTRACT", "INTERVAL", "REGEXP", "SIMILAR"])
"""Words of SQL that only the store reads."""
_WORDS = frozenset(["AND", "OR", "NOT", "IN", "LIKE", "ILIKE", "BETWEEN", "IS", "NULL", "TRUE", "FALSE"])
_OF_ROWS = ("start", "end", "tags")
_KNOWN_TO_STORE = frozenset((*STORED, *_OF_ROWS, "path", "duration"))
_COMPARISONS = {
    "=": "equal", "==": "equal", "!=": "not_equal", "<>": "not_equal",
    "<": "less", "<=": "less_equal", ">": "greater", ">=": "greater_equal",
}  # fmt: skip
_NEAREST = 4
"""Values that are named where a field has another."""
_AGGREGATES = frozenset(["AVG", "COUNT", "MAX", "MEAN", "MEDIAN", "MIN", "STDDEV", "SUM"])
_FUNCTIONS = ("array_has", "starts_with", "ends_with", "contains", "lower", "upper")


class _OtherSqlError(Exception):
    """The condition is in a part of SQL that is not read here."""


class _MistakeError(Exception):
    """The condition is no SQL; the message says why."""


def condition_mask(
    fields: FileFields, where: str, stored: Callable[[str], pa.Array] | None = None
) -> NDArray[np.bool_] | None:
    """The rows for which a condition holds; None if only the store can evaluate it.

    Args:
        fields: of the files, and the rows.
        where: the condition.
        stored: gives a column of the store, a value for each file.

    Raises:
        QueryError: a column that there is not, values that cannot be compared, or a text that no file has in a field
            where that is why the condition holds for nothing.
    """
    import pyarrow as pa

    try:
        parser = _Parser(check_condition(where), fields, stored)
        mask = parser.parse()
    except (_OtherSqlError, RecursionError):
        if unknown := [name for name in _names(where) if name in fields.names and name not in _KNOWN_TO_STORE]:
            raise QueryError(
                f"the filter {where!r} cannot be evaluated: with functions or signs other than {', '.join(_FUNCTIONS)} "
                f"and comparisons it cannot be of {', '.join(unknown)}, but of {', '.join(sorted(_KNOWN_TO_STORE))}"
            ) from None
        return None
    except (pa.ArrowException, TypeError, _MistakeError) as error:
        reason = str(error).partition("\n")[0]
        raise QueryError(f"the filter {where!r} cannot be evaluated: {reason}") from None
    found = as_mask(mask)
    if parser.unheld and not found.any():
        raise QueryError(f"the filter {where!r} holds for nothing: {'; '.join(parser.unheld)}")
    return found if len(found) == fields.rows.num_rows else fields.of_rows(found)


class _Parser:
    """One condition: read and evaluated from left to right.

    Attributes:
        unheld: for every text that a field is said to be and is nowhere, what it is instead.
    """

    def __init__(self, where: str, fields: FileFields, stored: Callable[[str], pa.Array] | None) -> None:
        self._fields = fields
        self._stored = stored
        self._tokens = _tokens(where)
        self._place = 0
        self.unheld: list[str] = []

    def parse(self) -> pa.Array:
        mask = self._either()
        if self._tokens[self._place][0] != "end":
            raise self._unread()
        return mask

    def _unread(self) -> Exception:
        """Why the next token cannot be read."""
        if any(
            kind == "other"
            or (kind == "name" and text.upper() in _OTHER_WORDS)
            or (kind == "name" and after == "(" and text.lower() not in _FUNCTIONS)
            or (before in ("name", "number") and text == "-")
            for (before, _), (kind, text), (_, after) in zip(
                [("", ""), *self._tokens], self._tokens, [*self._tokens[1:], ("", "")], strict=False
            )
        ):
            return _OtherSqlError()
        kind, text = self._tokens[min(self._place, len(self._tokens) - 1)]
        where = "ends too early" if kind == "end" else f"cannot be read from {text!r} on"
        if len(self._tokens) == 2:  # with the end
            where = "compares nothing"
        return _MistakeError(
            f"it {where}: write comparisons such as duration < 5, codec LIKE 'FLAC%' or name LIKE '%rain%', joined "
            "by AND, OR and NOT"
        )

    def _take(self, *wanted: str) -> str | None:
        """The next token, if it is one of some words or signs."""
        kind, text = self._tokens[self._place]
        if kind in ("word", "sign") and text in wanted:
            self._place += 1
            return text
        return None

    def _expect(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise self._unread()

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
        first = self._tokens[self._place]
        value = self._operand()
        if (sign := self._take(*_COMPARISONS)) is not None:
            compare: Callable[..., Any] = getattr(pc, _COMPARISONS[sign])
            second = self._tokens[self._place]
            other = self._operand()
            value, other = _compared(second, other, value), _compared(first, value, other)
            held = self._whole(compare(*self._alike(value, other)))
            if sign in ("=", "==") and first[0] == "name" and isinstance(other, str) and not pc.any(held).as_py():
                self.unheld.append(_other_values(first[1], value, other))
            return held
        if self._take("IS"):
            inverted = self._take("NOT")
            self._expect("NULL")
            return pc.is_valid(value) if inverted else pc.is_null(value)
        inverted = self._take("NOT")
        mask = self._membership(first, value)
        if mask is None:
            if inverted or not (isinstance(value, pa.Array) and pa.types.is_boolean(value.type)):
                raise self._unread()
            return value
        return pc.invert(mask) if inverted else mask

    def _membership(self, first: tuple[str, str], value: Any) -> pa.Array | None:
        """IN, LIKE or BETWEEN; None if neither follows a value, whose first token is given."""
        import pyarrow as pa
        import pyarrow.compute as pc

        if not isinstance(value, pa.Array):
            raise self._unread()
        if self._take("IN"):
            self._expect("(")
            among = [_compared(first, value, self._operand())]
            while self._take(","):
                among.append(_compared(first, value, self._operand()))
            self._expect(")")
            return pc.if_else(pc.is_null(value), None, pc.is_in(value, value_set=pa.array(among, value.type)))
        if (like := self._take("LIKE", "ILIKE")) is not None:
            return pc.match_like(value, self._text(), ignore_case=like == "ILIKE")
        if self._take("BETWEEN"):
            lowest = _compared(first, value, self._operand())
            self._expect("AND")
            highest = _compared(first, value, self._operand())
            above = pc.greater_equal(*self._alike(value, lowest))
            return pc.and_kleene(*self._alike(above, pc.less_equal(*self._alike(value, highest))))
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
            self._place -= 1
            raise self._unread()
        return self._function(text.lower()) if self._take("(") else self._column(text.strip('"`'))

    def _text(self) -> str:
        value = self._operand()
        if not isinstance(value, str):
            raise self._unread()
        return value

    def _function(self, name: str) -> pa.Array:
        import pyarrow.compute as pc

        if name.upper() in _AGGREGATES:
            raise _MistakeError(f"{name}() is of many sounds, and a filter of one at a time")
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
            return whole_column(self._fields.rows, name)
        if name in STORED:
            if self._stored is None:
                raise _OtherSqlError
            return self._stored(name)
        try:
            return self._fields.column(name)
        except QueryError as error:
            before = self._tokens[self._place - 2] if self._place > 1 else ("", "")
            stored = f", {', '.join(sorted(STORED))}"
            quoted = f". Text stands in quotes: {before[1]} '{name}'" if before[1] in _COMPARISONS else ""
            raise QueryError(f"{error}{stored}{quoted}") from None

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
            return pa.array(self._fields.of_rows(as_mask(values)))
        return values.take(self._fields.file_of_row)

    def _whole(self, mask: Any) -> pa.Array:
        """A mask of all files, also of two literals."""
        import pyarrow as pa

        return mask if isinstance(mask, pa.Array) else pa.array([mask.as_py()] * len(self._fields.paths), pa.bool_())


def _compared(token: tuple[str, str], value: Any, other: Any) -> Any:
    """What a value is compared with, whose first token is given.

    Raises:
        _MistakeError: a literal that its field cannot be compared with.
    """
    import pyarrow as pa

    if not isinstance(value, pa.Array) or isinstance(other, pa.Array):
        return other
    try:
        return comparable(token[1].strip('"`'), value, other)
    except InvalidArgumentError as error:
        raise _MistakeError(str(error)) from None


def _tokens(where: str) -> list[tuple[str, str]]:
    """The tokens of a condition, each with its kind, and one of the kind "end".

    Raises:
        _MistakeError: a sign that SQL does not have, or a quote that is not closed.
    """
    found: list[tuple[str, str]] = []
    place = 0
    while where[place:].strip():
        token = _TOKEN.match(where, place)
        if token is None:
            raise _mistake(where[place:].lstrip())
        kind = str(token.lastgroup)
        text = token[kind]
        found.append(("word", text.upper()) if kind == "name" and text.upper() in _WORDS else (kind, text))
        place = token.end()
        if len(found) > 1 and (pair := found[-2][1] + text) in _MISTAKEN and found[-2][0] == "sign":
            raise _MistakeError(f"SQL has no sign {pair!r}: write {_MISTAKEN[pair]}")
        if kind == "number" and where[place : place + 1].strip() and re.match(r"[\w:]", where[place:]):
            written = re.split(r"[\s,()<>=]", where[token.start(kind) :])[0]
            raise _MistakeError(f"{written!r} is no number: write seconds, hertz and the like without a unit")
    return [*found, ("end", "")]


def _names(where: str) -> list[str]:
    """The names in a condition that are not those of functions, each once."""
    tokens = _tokens(where)
    pairs = pairwise(tokens)
    return list(
        dict.fromkeys(text.strip('"`') for (kind, text), (_, after) in pairs if kind == "name" and after != "(")
    )


def _mistake(rest: str) -> _MistakeError:
    """What is wrong with the beginning of some text that is no token."""
    if rest[0] in "'\"`":
        return _MistakeError(f"the quote in {rest!r} is not closed")
    sign = next((sign for sign in sorted(_MISTAKEN, key=len, reverse=True) if rest.startswith(sign)), rest[0])
    hint = f": write {_MISTAKEN[sign]}" if sign in _MISTAKEN else ""
    return _MistakeError(f"SQL has no sign {sign!r}{hint}")


def _other_values(field: str, values: pa.Array, missing: str) -> str:
    """What a field is, where a condition says that it is a text that no file has."""
    import pyarrow.compute as pc

    known = sorted(filter(None, pc.unique(values).to_pylist()))
    near = [value for value in known if missing.casefold() in value.casefold()]
    near = near or difflib.get_close_matches(missing, known, n=_NEAREST, cutoff=0.6)
    shown = ", ".join(map(repr, (near or known)[:_NEAREST])) or "not known of any file"
    more = " ..." if len(near or known) > _NEAREST else ""
    holding = any(missing.casefold() in value.casefold() for value in near)
    like = "LIKE" if any(missing in value for value in near) else "ILIKE"
    similar = f"; for what holds it write {field} {like} '%{missing}%'" if holding else ""
    return (
        f"no file has the {field} {missing!r}: there {'is' if len(near or known) < 2 else 'are'} {shown}{more}{similar}"
    )
