"""The table of families, and one sound out of it.

A sound is a family and an index: the pair, with a seed, fixes every sample. The generator is seeded
with the family's name, not with its row, so that adding a family changes no sound of the others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from zlib import crc32

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray

from soundloom.errors import InvalidArgumentError
from soundloom.synth import creatures, music, surroundings
from soundloom.synth.scene import place
from soundloom.synth.signals import Signal

__all__ = ["FAMILIES", "Family", "Sound", "render"]


@dataclass(frozen=True)
class Family:
    """A kind of sound.

    Attributes:
        make: a generator and a sample rate in, a dry sound of any level out.
        tags: what a person would call it, besides its name.
    """

    make: Callable[[np.random.Generator, int], Float[Signal, " samples"]]
    tags: tuple[str, ...]

    def __call__(self, rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
        """Make one dry sound: 0.4 to 3.5 seconds, at any level, without room or noise floor."""
        return self.make(rng, sample_rate)


FAMILIES = MappingProxyType(
    {
        "string": Family(music.string, ("music", "string", "plucked")),
        "piano": Family(music.piano, ("music", "string", "struck")),
        "bell": Family(music.bell, ("music", "metal", "struck")),
        "drum": Family(music.drum, ("music", "percussion", "struck")),
        "flute": Family(music.flute, ("music", "blown")),
        "vowel": Family(creatures.vowel, ("human", "voice")),
        "bird": Family(creatures.bird, ("animal", "nature", "whistle")),
        "cricket": Family(creatures.cricket, ("animal", "nature", "insect")),
        "footsteps": Family(creatures.footsteps, ("human", "steps")),
        "applause": Family(creatures.applause, ("human", "crowd", "clapping")),
        "rain": Family(surroundings.rain, ("weather", "nature", "water")),
        "wind": Family(surroundings.wind, ("weather", "nature", "air")),
        "bubbles": Family(surroundings.bubbles, ("nature", "water", "drops")),
        "engine": Family(surroundings.engine, ("machine", "motor")),
        "siren": Family(surroundings.siren, ("machine", "alarm")),
        "clicks": Family(surroundings.clicks, ("machine", "ticking")),
    }
)
"""Every family by its name; iteration order is the order of a written set."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Sound:
    """One synthetic sound.

    Attributes:
        family: a name in :data:`FAMILIES`.
        index: which member of the family.
        samples: mono, at most 4 seconds, within (-0.99, 0.99).
        sample_rate: hertz.
        tags: the family's name and then its tags.
    """

    family: str
    index: int
    samples: Float32[NDArray[np.float32], " samples"]
    sample_rate: int
    tags: tuple[str, ...]


def render(family: str, index: int, seed: int = 0, sample_rate: int = 16_000) -> Sound:
    """Make one member of a family; the same arguments give the same samples.

    Args:
        family: a name in :data:`FAMILIES`.
        index: which member, from 0 on without end.
        seed: another seed gives another set, just as large.
        sample_rate: hertz, from 8000. The sound keeps its length and pitches at every rate; what a low rate cannot
            carry is missing from it.

    Raises:
        InvalidArgumentError: no such family, a negative index or seed, or too low a rate.
    """
    if family not in FAMILIES:
        raise InvalidArgumentError(f"no family {family!r}: there are {', '.join(FAMILIES)}")
    if index < 0 or seed < 0:
        raise InvalidArgumentError(f"index and seed count from 0, got index {index} and seed {seed}")
    if sample_rate < 8000:
        raise InvalidArgumentError(
            f"sample_rate must be 8000 Hz or more, got {sample_rate}: resample the result instead"
        )
    rng = np.random.default_rng([seed, crc32(family.encode()), index])
    kind = FAMILIES[family]
    samples = place(rng, sample_rate, kind(rng, sample_rate))
    return Sound(family=family, index=index, samples=samples, sample_rate=sample_rate, tags=(family, *kind.tags))
