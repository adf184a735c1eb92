"""Notation of a sound in a query: its region, as ``dog.wav@1:30-1:34``, and its weight, as ``dog.wav=2``.

A region may also follow a colon, ``dog.wav:1:30-1:34``. A file whose own name looks so is itself; what else follows the
ending of a sound is refused, and never left out.
"""

from __future__ import annotations

import os
import re

from soundloom.audio_suffixes import AUDIO_SUFFIXES
from soundloom.errors import QueryError

__all__ = [
    "ends_as_sound",
    "is_written_as_region",
    "refuse_rest",
    "seconds_of",
    "split_region",
    "split_weight",
    "stem_of",
]

_REGION = re.compile(r"(.+)@([0-9][0-9:.]*)?-([0-9][0-9:.]*)?")
_COLON_REGION = re.compile(r"(.+?):([0-9][0-9:.]*)?-([0-9][0-9:.]*)?")
_WEIGHT = re.compile(r"(.+)=(-?[0-9]+(?:\.[0-9]+)?|nan|inf)")
_ONE_TIME = re.compile(r"(.+?)[@:]([0-9][0-9:.]*)")
_REST = re.compile(r"[@:#=](?=\S*$)|\s+(?=[0-9:.]*-[0-9:.]*$)")
"""What divides the name of a sound from what is written after it."""
_UNITS = {"ms": 0.001, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def seconds_of(text: str) -> float:
    """A time in seconds.

    >>> seconds_of("12.5"), seconds_of("1:30"), seconds_of("1:02:03.5"), seconds_of("500 ms"), seconds_of("2min")
    (12.5, 90.0, 3723.5, 0.5, 120.0)

    Raises:
        ValueError: it is none.
    """
    number = text.rstrip("".join(set("".join(_UNITS))))
    if (unit := text[len(number) :]) in _UNITS:
        return float(number) * _UNITS[unit]
    total = 0.0
    for part in text.split(":"):
        total = 60 * total + float(part)
    return total


def split_weight(term: str) -> tuple[str, float]:
    """A sound and how much it counts beside others.

    >>> split_weight("dog.wav=2"), split_weight("dog.wav")
    (('dog.wav', 2.0), ('dog.wav', 1.0))
    """
    found = _WEIGHT.fullmatch(term)
    return (term, 1.0) if found is None or _exists(term) else (found[1], float(found[2]))


def split_region(term: str, *, any_name: bool = False) -> tuple[str, float, float | None]:
    """A sound and the seconds of it, to its end if no end is written.

    >>> split_region("dog.wav@1:30-"), split_region("dog.wav:1:30-2:00"), split_region("dog.wav")
    (('dog.wav', 90.0, None), ('dog.wav', 90.0, 120.0), ('dog.wav', 0.0, None))

    Args:
        term: as it is written.
        any_name: whether what stands before a colon is a sound also without the ending of one.

    Raises:
        QueryError: one time instead of two.
    """
    single = _ONE_TIME.fullmatch(term)
    if single is not None and ends_as_sound(single[1]) and not _exists(term):
        raise QueryError(
            f"{single[2]!r} is one time, and a region has a start and an end: write {single[1]}@START-END, or "
            f"{term}- for all that follows"
        )
    found = _REGION.fullmatch(term) or _COLON_REGION.fullmatch(term)
    if found is not None and term[found.end(1)] == ":" and not (any_name or ends_as_sound(found[1])):
        return term, 0.0, None
    if found is None or _exists(term) or not (found[2] or found[3]):
        return term, 0.0, None
    try:
        return found[1], seconds_of(found[2] or "0"), seconds_of(found[3]) if found[3] else None
    except ValueError:
        return term, 0.0, None


def is_written_as_region(term: str) -> bool:
    """Whether a term is a region of a sound.

    Raises:
        QueryError: it is meant as one, and cannot be read.
    """
    if split_region(term)[0] != term:
        return True
    refuse_rest(term)
    return False


def refuse_rest(term: str) -> None:
    """Refuse a term in which something follows the ending of a sound that is neither a region nor a weight.

    Raises:
        QueryError: there is such, and no file is called so; says how a region, or a weight, is written.
    """
    if ends_as_sound(term) or _exists(term):
        return
    sound, equals, rest = term.rpartition("=")
    if equals and (ends_as_sound(sound) or split_region(sound)[0] != sound):
        raise QueryError(f"{rest!r} is no weight of {sound}: write a number, as {sound}=2")
    for found in _REST.finditer(term):
        sound, rest = term[: found.start()], term[found.end() :]
        if ends_as_sound(sound) and split_region(meant := f"{sound}@{rest}")[0] == sound:
            raise QueryError(f"{term[found.start() :]!r} is no region of {sound}: write {meant}")
        if ends_as_sound(sound):
            raise QueryError(f"{rest!r} is no region of {sound}: write {sound}@START-END, in seconds or as 1:30")


def ends_as_sound(name: str) -> bool:
    """Whether a name has the ending of a sound file.

    >>> ends_as_sound("dog.WAV"), ends_as_sound("dog")
    (True, False)
    """
    return os.path.splitext(name)[1].lower() in AUDIO_SUFFIXES


def stem_of(path: str) -> str:
    """A file's name without its ending, for comparison without regard to case.

    >>> stem_of("/sounds/Dog_07.wav")
    'dog_07'
    """
    return os.path.splitext(os.path.basename(path))[0].casefold()


def _exists(name: str) -> bool:
    return os.path.exists(os.path.expanduser(name))
