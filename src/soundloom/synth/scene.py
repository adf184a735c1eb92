"""A sound put in its place: silence around it, a room, a noise floor and a recording level.

Recordings of one thing differ in all of these, and an embedding ought not to care; without them,
finding the family of a synthetic sound would be too easy to show anything. The room is noise that
dies away exponentially (Moorer, Computer Music Journal 3(2), 1979): a tail, without early echoes.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float32
from numpy.typing import NDArray

from soundloom.synth.signals import Signal, convolve, log_uniform, noise, ramp, shaped, timeline

__all__ = ["LONGEST", "place"]

LONGEST = 4.0
"""Seconds at which every sound is cut, tail included."""

_FADE = 0.005
_DAMPING = 0.04
_RUMBLE = 25.0


def place(
    rng: np.random.Generator, sample_rate: int, dry: Float[Signal, " dry"]
) -> Float32[NDArray[np.float32], " samples"]:
    """Record a dry sound of any level somewhere: the result peaks between 0.05 and 0.9, without DC or edges."""
    before, after = 0.3 * rng.random() ** 2, rng.uniform(0.02, 0.4)
    tail, wet = log_uniform(rng, 0.15, 1.2), rng.choice([0.0, rng.uniform(0.05, 0.5)])
    snr, colour = rng.uniform(25, 70), rng.uniform(0.0, 0.9)
    level = log_uniform(rng, 0.08, 0.9)

    # What is cut short is damped, as by a hand, and does not click.
    whole = timeline(len(dry) / sample_rate, sample_rate)
    dry = dry * ramp(whole, whole[-1] - _DAMPING, -_DAMPING)
    mixed = np.concatenate([np.zeros(round(before * sample_rate)), dry, np.zeros(round(after * sample_rate))])[
        : round(LONGEST * sample_rate)
    ]
    times = timeline(len(mixed) / sample_rate, sample_rate)

    decay = timeline(tail, sample_rate)
    room = noise(rng, len(decay), sample_rate) * 10 ** (-3 * decay / tail)
    room = shaped(room, sample_rate, lambda f: 1 / (1 + f / 3000))
    reverberant = convolve(mixed, room / np.sqrt(np.sum(room**2)))
    mixed = mixed + wet * reverberant

    # The noise floor is set against the sound's loudest tenth of a second, not against its silences.
    tenth = sample_rate // 10
    power = np.add.reduceat(mixed**2, np.arange(0, len(mixed), tenth)).max() / tenth
    floor = shaped(noise(rng, len(mixed), sample_rate), sample_rate, lambda f: (1 + f / 100) ** -colour)
    mixed = mixed + floor * math.sqrt(power * 10 ** (-snr / 10) / np.mean(floor**2))

    mixed = shaped(mixed, sample_rate, lambda f: (f / _RUMBLE) ** 2 / (1 + (f / _RUMBLE) ** 2))
    mixed *= ramp(times, 0.0, _FADE) * ramp(times, times[-1] - _FADE, -_FADE)
    # A cricket above Nyquist leaves nothing: silence stays silence.
    loudest = float(np.abs(mixed).max()) or 1.0
    recorded: NDArray[np.float32] = (mixed * (level / loudest)).astype(np.float32)
    return recorded
