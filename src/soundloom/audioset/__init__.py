"""Names of the AudioSet classes that published networks score (Gemmeke et al. 2017), in the order of their outputs.

The display names are AudioSet's, CC-BY 4.0 (docs/NOTICE).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files

__all__ = ["audioset_synonyms", "yamnet_classes"]


@cache
def yamnet_classes() -> tuple[str, ...]:
    """The 521 classes of YAMNet.

    >>> yamnet_classes()[:2], len(yamnet_classes())
    (('Speech', 'Child speech, kid speaking'), 521)
    """
    text = files("soundloom.audioset").joinpath("yamnet_classes.txt").read_text(encoding="utf-8")
    return tuple(text.splitlines())


@cache
def audioset_synonyms() -> dict[str, str]:
    """Everyday words, in lower case -> the AudioSet class that is meant by each.

    >>> audioset_synonyms()["puppy"], audioset_synonyms()["gun"]
    ('Dog', 'Gunshot, gunfire')
    """
    text = files("soundloom.audioset").joinpath("audioset_synonyms.txt").read_text(encoding="utf-8")
    rows = (line.partition(": ") for line in text.splitlines())
    return {word: name for name, _, words in rows for word in words.split(", ")}
