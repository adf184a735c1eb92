"""Sounds that soundloom makes itself, for its demonstration and its tests.

Sixteen families of everyday sounds, each with endless members, drawn from a seed in plain numpy.
They replace a download where a collection of sounds is needed to try things on; they are no
replacement for recordings when a model is to be judged.

>>> sound = render("bell", 3)
>>> sound.family, sound.tags, sound.samples.dtype
('bell', ('bell', 'music', 'metal', 'struck'), dtype('float32'))
"""

from soundloom.synth.families import FAMILIES, Family, Sound, render
from soundloom.synth.sound_set import write_set

__all__ = ["FAMILIES", "Family", "Sound", "render", "write_set"]
