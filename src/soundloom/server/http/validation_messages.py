"""Sentences for requests that do not fit their schema, in place of the validator's own texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["DETECTOR_NAME", "describe"]

DETECTOR_NAME = "^[A-Za-z0-9][A-Za-z0-9_-]{0,59}$"

_SHOWN = 60
"""Characters of a wrong value that are repeated."""

_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_DAY = "must be a day, written YYYY-MM-DD"
_OBJECT = "must be a JSON object"

_SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "is not known here: check its spelling",
    "string_pattern_mismatch": "is not an id that this server gives: take ids from its answers",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "may have at most {max_length} characters",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "too_long": "may list at most {max_length} values",
    "too_short": "must list at least {min_length} values",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be less than {lt}",
    "less_than_equal": "may be at most {le}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "list_type": "must be a list",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "finite_number": "must be a finite number",
    "json_invalid": "is not valid JSON",
    **dict.fromkeys(("float_parsing", "float_type"), _NUMBER),
    **dict.fromkeys(("int_parsing", "int_type", "int_from_float", "int_parsing_size"), _WHOLE),
    **dict.fromkeys(("date_parsing", "date_type", "date_from_datetime_parsing", "date_from_datetime_inexact"), _DAY),
    **dict.fromkeys(("model_type", "model_attributes_type", "dict_type", "dict_attributes_type"), _OBJECT),
}

_PATTERNS = {DETECTOR_NAME: "must be up to 60 letters, digits, - and _, the first no - or _"}
"""Patterns of names that people give; others are of ids."""


def describe(errors: Sequence[Mapping[str, Any]], most: int = 3) -> str:
    """What is wrong with a request, for people.

    Args:
        errors: of pydantic, with ``type``, ``loc``, ``input`` and ``ctx``.
        most: how many of them are named.

    >>> describe([{"type": "less_than_equal", "loc": ("query", "k"), "input": "900", "ctx": {"le": 500}}])
    "k may be at most 500, got '900'"
    """
    sentences = [_sentence(error) for error in errors[:most]]
    if len(errors) > most:
        sentences.append(f"and {len(errors) - most} more")
    return "; ".join(sentences)


def _sentence(error: Mapping[str, Any]) -> str:
    # The first place is "query", "path" or "body"; what follows names the field.
    names = [str(place) for place in error["loc"][1:] if not str(place).isdecimal()]
    kind = error["type"]
    name = ".".join(names) if names and kind != "json_invalid" else f"the {_room(error['loc'])}"
    limits = error.get("ctx") or {}
    complaint = _SENTENCES.get(kind, "does not fit").format_map(_Context(limits))
    complaint = _PATTERNS.get(limits.get("pattern", ""), complaint)
    if kind in ("missing", "extra_forbidden", "json_invalid") or not isinstance(error.get("input"), str | int | float):
        return f"{name} {complaint}"
    value = repr(error["input"])
    return f"{name} {complaint}, got {value if len(value) <= _SHOWN else value[:_SHOWN] + '...'}"


def _room(loc: Sequence[object]) -> str:
    return "body of the request" if not loc or loc[0] == "body" else "address"


class _Context(dict[str, Any]):
    """Limits by name; those a validator does not give are left open."""

    def __missing__(self, key: str) -> str:
        return "..."
