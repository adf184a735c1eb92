"""Strict conversion of JSON data into settings: unknown and missing keys and other types are errors.

Settings are frozen dataclasses; `dataclasses.asdict` makes plain data of them. Field types understood: bool, int,
float, str, None, Literal, unions of them, ``tuple[X, ...]``, ``dict[str, Any]`` and other such dataclasses. An integer
where a float is expected stays an integer, so that settings print, and hash, as they did before they were written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from soundloom.errors import ComponentError, SoundloomError

__all__ = ["from_plain"]

T = TypeVar("T")

_SHOWN = 60


def from_plain(kind: type[T], data: object, where: str, *, error: type[SoundloomError] = ComponentError) -> T:
    """Make a dataclass of the data that `dataclasses.asdict` and JSON made of it.

    Args:
        kind: the dataclass.
        data: what JSON gave.
        where: what to call the data in messages, such as ``config.json: parts[0]``.
        error: what is raised.

    Raises:
        SoundloomError: the data do not fit; says where and what is allowed.
    """
    known = {field.name: field for field in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(data, Mapping):
        raise error(f"{where} should be an object with the keys {', '.join(known)}, got {_short(data)}")
    needed = [name for name, field in known.items() if field.default is field.default_factory is MISSING]
    unknown, missing = [name for name in data if name not in known], [name for name in needed if name not in data]
    if unknown or missing:
        faults = [f"{what} {', '.join(names)}" for what, names in (("unknown", unknown), ("missing", missing)) if names]
        raise error(f"{where}: {'; '.join(faults)}. The keys are {', '.join(known) or 'none'}")
    types = get_type_hints(kind)
    values = {name: _value(types[name], value, f"{where}.{name}", error) for name, value in data.items()}
    try:
        return kind(**values)
    except ValueError as refused:
        raise error(f"{where}: {refused}") from None


def _value(hint: Any, value: object, where: str, error: type[SoundloomError]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None and NoneType in arguments:
            return None
        (hint,) = (argument for argument in arguments if argument is not NoneType)
        return _value(hint, value, where, error)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_plain(hint, value, where, error=error)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_value(arguments[0], item, f"{where}[{index}]", error) for index, item in enumerate(value))
    if origin is dict and isinstance(value, Mapping):
        return dict(value)
    if origin is Literal:
        fits = any(value == choice and type(value) is type(choice) for choice in arguments)
    else:
        # In JSON as in Python a truth value is no number, and a whole number is a number.
        accepted = {float: (int, float)}.get(hint, (hint,)) if origin is None else ()
        fits = type(value) in accepted
    if not fits:
        allowed = " or ".join(map(repr, arguments)) if origin is Literal else _kind(hint)
        raise error(f"{where} should be {allowed}, got {_short(value)}")
    return value


def _kind(hint: Any) -> str:
    """What a value is, in words."""
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    return words.get(hint) or str(getattr(hint, "__name__", hint))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
