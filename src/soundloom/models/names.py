"""Grammar of model names, after the papers' notation.

    logmel                 one model
    cnn14#3#6              layers 3 and 6 of an encoder, fused
    logmel+mfcc            parts woven side by side
    cnn14#3#6+logmel       anything with anything

    ./runs/mine#2#4        layers of a saved model
    my_package:mine#2#4    layers of a model that a function of one's own builds

Grammar: ``name = part {"+" part}``, ``part = word {"#" number}``. A word is a registered name,
``package.module:object``, or where a saved model is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from soundloom.errors import UnknownModelError

__all__ = ["WORD", "PartName", "SavedName", "parse", "word_of"]

WORD = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
"""What a registered name looks like."""

_PART = re.compile(rf"({WORD}(?::[A-Za-z_][\w.]*)?)((?:#[0-9]+)*)")
_LAYERS = re.compile(r"(?:#[0-9]+)+$")


@dataclass(frozen=True)
class PartName:
    """One part of a model's name: a word, and the layers wanted of it (empty: its customary embedding)."""

    word: str
    layers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.word + "".join(f"#{layer}" for layer in self.layers)


@dataclass(frozen=True)
class SavedName:
    """One part of a model's name: where a saved model is, and the layers wanted of it (empty: its own embedding)."""

    place: str
    layers: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.place + "".join(f"#{layer}" for layer in self.layers)

    @classmethod
    def of(cls, text: str) -> SavedName:
        """Read a place with layers.

        >>> SavedName.of("./runs/mine#2#4")
        SavedName(place='./runs/mine', layers=(2, 4))
        """
        place = _LAYERS.sub("", text)
        return cls(place, tuple(int(number) for number in text[len(place) :].split("#")[1:]))


def parse(name: str) -> tuple[PartName, ...]:
    """Read a model's name.

    >>> [str(part) for part in parse("cnn14#3#6+logmel")]
    ['cnn14#3#6', 'logmel']

    Raises:
        UnknownModelError: the name does not follow the grammar, or says a part or layer twice.
    """
    parts = []
    for text in name.split("+"):
        match = _PART.fullmatch(text.strip())
        if match is None:
            raise UnknownModelError(
                f"{name!r} is not a model's name: {text!r} should be a word, then layers, such as 'cnn14#3#6'; "
                "parts are joined with '+'"
            )
        layers = tuple(int(number) for number in match[2].split("#")[1:])
        if len(set(layers)) < len(layers):
            raise UnknownModelError(f"{name!r} names a layer twice")
        parts.append(PartName(match[1], layers))
    if len(set(parts)) < len(parts):
        raise UnknownModelError(f"{name!r} names the same part twice")
    return tuple(parts)


def word_of(text: str) -> str:
    """A word for a model whose file, folder or repository is called so.

    >>> word_of("my model (2).v1")
    'my-model--2-.v1'
    """
    return re.sub(r"[^A-Za-z0-9_.-]|^[^A-Za-z0-9]+", "-", text).lstrip("-_.") or "model"
