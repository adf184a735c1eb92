"""Hints at options of decoding and of searches, spelled for each interface: Python, command line, server, page.

Errors and notices name an option as Python takes it, ``DecodeOptions(speed=0.1)`` or ``LibraryQuery(text='dog')``, and
are stored so. Each interface spells it in its own way where it shows the text.
"""

from __future__ import annotations

import re
import shlex
from ast import Call, literal_eval, parse
from collections.abc import Mapping

__all__ = ["hints_as_fields", "hints_as_flags", "hints_for_library", "hints_for_page", "hints_for_query"]

_HINT = re.compile(r"DecodeOptions\((accept_truncated|channels|track|speed)=([^()]*)\)")
_SPEED = re.compile(r"DecodeOptions\((speed)=([^()]*)\)")
_VALUE = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|\.\.\.)"""
_SETTING = rf"\w+=(?:{_VALUE}|\((?:{_VALUE},? ?)+\))"
_QUERY = re.compile(rf"(?:LibraryQuery|RowFilter)\({_SETTING}(?:, {_SETTING})*\)")
_FLAG = re.compile(r"(?<!indexed with )--(?:accept-truncated|channels|track|speed)\b(?: [\d.]+)?")

_QUERY_FLAGS = {"words": "word", "not_words": "not"}
"""Where a flag of searches, or a parameter of requests, is called otherwise than in Python."""

_QUERY_FIELDS = {"not_words": "without"}
"""The same of an argument of tools."""


def hints_as_flags(text: str) -> str:
    """The text with options as flags of the command line.

    >>> hints_as_flags("take what there is with DecodeOptions(accept_truncated=True)")
    'take what there is with --accept-truncated'
    >>> hints_as_flags("DecodeOptions(speed=0.1) slows it down"), hints_as_flags("DecodeOptions(track=...)")
    ('--speed 0.1 slows it down', '--track')
    >>> hints_as_flags("Pass partial=True to take the copy as it is")
    'Pass --partial to take the copy as it is'
    >>> hints_as_flags("as text: LibraryQuery(text='a 1'); else LibraryQuery(not_words=('rain',))")
    "as text: --text 'a 1'; else --not rain"
    >>> hints_as_flags("write LibraryQuery(words=('rain', 'wind'), not_words=('dog',))")
    'write --word rain --word wind --not dog'
    """
    return _QUERY.sub(_query_flag, _HINT.sub(_flag, text)).replace(" partial=True ", " --partial ")


def hints_as_fields(text: str) -> str:
    """The text with options of searches as arguments of a tool.

    >>> hints_as_fields("as text: LibraryQuery(text='a 1'); else LibraryQuery(not_words=('rain',))")
    "as text: text='a 1'; else without='rain'"
    """
    return _QUERY.sub(lambda hint: _query_fields(hint, _QUERY_FIELDS), text)


def hints_for_query(text: str, holder: str = "a library indexed with") -> str:
    """The text with options as flags of a command whose sounds are decoded at the speed of something else.

    >>> hints_for_query("DecodeOptions(speed=0.1) slows it down; DecodeOptions(channels=...)")
    'a library indexed with --speed 0.1 slows it down; --channels'

    Args:
        text: the text.
        holder: what has the speed, such as ``a detector trained with``.
    """
    return hints_as_flags(_SPEED.sub(lambda hint: f"{holder} {_flag(hint)}", text))


def hints_for_library(text: str) -> str:
    """The text with options of decoding as flags of a new library: one that is there keeps its own.

    >>> hints_for_library("take what there is with DecodeOptions(accept_truncated=True)")
    'take what there is with a new library (soundloom index SOUNDS -l NEW --accept-truncated)'
    """
    new = "a new library (soundloom index SOUNDS -l NEW"
    return _FLAG.sub(lambda flag: f"{new} {flag[0]})", hints_as_flags(text))


def hints_for_page(text: str) -> str:
    """The text with options of searches as parameters of requests, and those of decoding as settings of a library.

    The server takes the latter from there.

    >>> hints_for_page("take what there is with DecodeOptions(accept_truncated=True)")
    'take what there is with a library indexed with --accept-truncated'
    >>> hints_for_page("write LibraryQuery(words=('wind',), not_words=('rain',))")
    "write word='wind' not='rain'"
    """
    asked = hints_as_flags(_QUERY.sub(lambda hint: _query_fields(hint, _QUERY_FLAGS), text))
    # Earlier versions stored flags.
    return _FLAG.sub(lambda flag: f"a library indexed with {flag[0]}", asked)


def _flag(hint: re.Match[str]) -> str:
    name, value = hint[1].replace("_", "-"), hint[2]
    return f"--{name}" if value in ("True", "...") else f"--{name} {value}"


def _settings(hint: re.Match[str]) -> list[tuple[str, object]]:
    """The names and values of a query; of several values each with the name."""
    call = parse(hint[0], mode="eval").body
    assert isinstance(call, Call)
    given = [(str(each.arg), literal_eval(each.value)) for each in call.keywords]
    return [(name, one) for name, value in given for one in (value if isinstance(value, tuple) else (value,))]


def _query_flag(hint: re.Match[str]) -> str:
    flags = [(f"--{_QUERY_FLAGS.get(name, name)}", value) for name, value in _settings(hint)]
    return " ".join(flag if value is ... else f"{flag} {_quoted(str(value))}" for flag, value in flags)


def _query_fields(hint: re.Match[str], names: Mapping[str, str]) -> str:
    fields = [(names.get(name, name), value) for name, value in _settings(hint)]
    return " ".join(f"{name}=..." if value is ... else f"{name}={value!r}" for name, value in fields)


def _quoted(value: str) -> str:
    """For a shell; in double quotes what holds single ones, which `shlex.quote` makes hard to read."""
    return f'"{value}"' if "'" in value and not set('"$`\\!') & set(value) else shlex.quote(value)
