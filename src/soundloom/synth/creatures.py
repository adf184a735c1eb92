"""Sounds of people and animals: vowels, birds, crickets, footsteps and applause.

A vowel is a source through a filter (Fant 1960): Rosenberg's glottal pulse (JASA 49, 1971) through
resonances at the formants that Peterson and Barney measured (JASA 24, 1952). Birds are gliding
whistles, crickets a gated carrier, steps and claps short bursts of noise through resonances.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from soundloom.synth.signals import (
    Response,
    Signal,
    drift,
    log_uniform,
    noise,
    ramp,
    ringing,
    shaped,
    sprinkle,
    swell,
    timeline,
    tone,
)

__all__ = ["applause", "bird", "cricket", "footsteps", "vowel"]

# First three formants of men's vowels in hertz: the ten of Peterson and Barney 1952, from "heed" to "herd".
_FORMANTS = (
    (270, 2290, 3010),
    (390, 1990, 2550),
    (530, 1840, 2480),
    (660, 1720, 2410),
    (730, 1090, 2440),
    (570, 840, 2410),
    (440, 1020, 2240),
    (300, 870, 2240),
    (640, 1190, 2390),
    (490, 1350, 1690),
)


def _throat(formants: Float[Signal, " formants"]) -> Response:
    """The response of a vocal tract with these formants, in hertz."""

    def response(frequencies: NDArray[np.floating[Any]]) -> NDArray[np.complex128]:
        total = np.ones(len(frequencies), complex)
        for formant in formants:
            # Fant's formant: two poles, gain 1 at 0 Hz, a bandwidth that grows with frequency.
            width = 50 + 0.04 * formant
            total *= formant**2 / (formant**2 - frequencies**2 + 1j * frequencies * width)
        return total

    return response


def vowel(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A voice on one vowel, or gliding through two or three; a child's throat is shorter than a man's."""
    seconds = log_uniform(rng, 0.4, 2.2)
    times = timeline(seconds, sample_rate)
    pitch = log_uniform(rng, 85.0, 320.0)
    # A higher voice usually belongs to a shorter vocal tract, and all formants scale with its length.
    scale = (pitch / 120) ** 0.25 * rng.uniform(0.95, 1.08)
    vowels = rng.choice(len(_FORMANTS), int(rng.integers(1, 4)), replace=False)
    bend, tilt = rng.uniform(-0.25, 0.25), rng.uniform(0.45, 0.7)
    breath = rng.uniform(0.005, 0.04)

    frequency = pitch * (1 + bend * times / seconds + 0.03 * drift(rng, times, 5.0) + 0.006 * drift(rng, times, 40.0))
    cycle = np.cumsum(frequency) / sample_rate % 1
    opening, closing = 0.65 * tilt, 0.35 * tilt
    flow = np.where(
        cycle < opening,
        0.5 - 0.5 * np.cos(np.pi * cycle / opening),
        np.cos(0.5 * np.pi * np.clip((cycle - opening) / closing, 0, 1)),
    )
    air = noise(rng, len(times), sample_rate)
    # Lips radiate the flow's slope: a difference, scaled to be the same at every rate.
    source = np.diff(flow, prepend=flow[0]) * sample_rate / 16_000 + breath * air * flow

    total = np.zeros_like(times)
    position = np.linspace(0, len(vowels) - 1, len(times))
    for i, row in enumerate(vowels):
        formants = scale * np.array([*_FORMANTS[row], 3500, 4500])

        weight = np.clip(1 - np.abs(position - i), 0, 1)
        total += shaped(source, sample_rate, _throat(formants)) * weight
    loud = 1 + 0.2 * drift(rng, times, 4.0)
    return total * loud * ramp(times, 0.0, 0.04) * ramp(times, seconds - 0.1, -0.1)


def bird(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A phrase of whistled syllables that glide up, down, over an arch or with a warble."""
    seconds = log_uniform(rng, 0.5, 2.8)
    times = timeline(seconds, sample_rate)
    centre = log_uniform(rng, 1800.0, 5000.0)
    length = log_uniform(rng, 0.04, 0.25)
    gap = length * rng.uniform(0.15, 1.2)
    kinds = rng.integers(0, 4, int(rng.integers(1, 4)))
    span = rng.uniform(0.1, 0.7)
    warble = rng.uniform(15, 45)

    logarithm = np.full_like(times, np.log2(centre))
    loudness = np.zeros_like(times)
    start, i = 0.0, 0
    while i == 0 or start + length < seconds:
        x = (times - start) / length
        here = (x >= 0) & (x < 1)
        x = x[here]
        glide = (x - 0.5, 0.5 - x, np.sin(np.pi * x) - 0.5, 0.35 * np.sin(2 * np.pi * warble * length * x))
        height = np.log2(centre) + rng.normal(0, 0.05) + 0.15 * (i % len(kinds))
        logarithm[here] = height + span * glide[kinds[i % len(kinds)]]
        loudness[here] = rng.uniform(0.6, 1.0) * np.sin(np.pi * x) ** 0.7
        start += length + gap * rng.uniform(0.85, 1.15)
        i += 1
        if i % 7 == 6:
            start += rng.uniform(0.05, 0.3)
    return loudness * tone(2**logarithm, sample_rate, (1.0, rng.uniform(0.0, 0.12), 0.02))


def cricket(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """One to three crickets: bursts of pulses on a nearly pure carrier, or an unbroken trill."""
    seconds = log_uniform(rng, 0.8, 3.0)
    times = timeline(seconds, sample_rate)
    total = np.zeros_like(times)
    for i in range(int(rng.integers(1, 4))):
        carrier = log_uniform(rng, 2500.0, 5200.0)
        rate = rng.uniform(25, 70)
        sung = int(rng.integers(2, 20))
        rest = 0 if rng.random() < 0.25 else int(rng.integers(3, 16))
        # Time in pulses of the wing: each is a hump, and only the first few of every verse are sung.
        stroke, since = np.divmod(times * rate + rng.integers(0, sung + rest), 1)
        place = stroke % (sung + rest)
        loudness = np.where(place < sung, (0.4 + 0.6 * (place + 1) / sung) * np.sin(np.pi * since) ** 2, 0.0)
        # The tooth rate sags as the wing closes, and the pitch with it.
        frequency = carrier * (1 - 0.015 * since + 0.003 * drift(rng, times, 3.0))
        total += tone(frequency, sample_rate, (1.0, 0.06)) * loudness * (1.0 if i == 0 else rng.uniform(0.1, 0.4))
    return total * swell(rng, times, 0.02, 0.3)


def footsteps(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """Heel and toe, over a hard floor, over boards, or over gravel whose every grain clicks."""
    pace = log_uniform(rng, 1.4, 3.2)
    steps = int(rng.integers(2, max(3, int(3.0 * pace)) + 1))
    times = timeline(steps / pace + 0.25, sample_rate)
    ground = int(rng.integers(3))
    roll = rng.uniform(0.06, 0.13)
    hollow = log_uniform(rng, 70.0, 180.0)
    bright = log_uniform(rng, 500.0, 1600.0)
    short = timeline(0.25, sample_rate)

    def burst(centre: float, quality: float, seconds: float) -> Signal:
        grain = ringing(noise(rng, len(short), sample_rate), sample_rate, centre, quality)
        return grain * np.exp(-short / seconds)

    total = np.zeros_like(times)
    for i in range(steps):
        heel = i / pace + rng.normal(0, 0.012) + 0.02
        moments = np.array([heel, heel + roll])
        weights = rng.uniform(0.6, 1.0, 2) * (1.0, 0.5)
        foot = 1 + 0.08 * (i % 2)
        thump = burst(hollow * foot, 2.5, (0.03, 0.06, 0.02)[ground]) * (2.0, 4.0, 1.0)[ground]
        slap = burst(bright * foot, 1.0, 0.012) * (1.5, 0.7, 0.3)[ground]
        total += sprinkle(times, sample_rate, moments, weights, thump + slap)
        if ground == 2:
            grains = int(rng.integers(60, 140))
            spread = rng.beta(1.5, 4.0, grains)
            weights = rng.lognormal(-1, 0.8, grains) * (1 - spread) ** 2
            total += sprinkle(times, sample_rate, heel + 0.4 * spread, weights, burst(3500.0, 0.9, 0.003))
    return total


def applause(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """From three to sixty pairs of hands, each with a rate, a distance and cupped or flat palms of its own."""
    seconds = log_uniform(rng, 1.0, 3.2)
    times = timeline(seconds, sample_rate)
    people = round(log_uniform(rng, 3.0, 60.0))
    short = timeline(0.05, sample_rate)
    palms = 6
    onsets: list[list[float]] = [[] for _ in range(palms)]
    weights: list[list[float]] = [[] for _ in range(palms)]
    for person in range(people):
        rate, distance = rng.uniform(2.8, 5.0), log_uniform(rng, 1.0, 5.0)
        claps = int(seconds * rate) + 1
        moments = (np.arange(claps) + rng.random()) / rate + rng.normal(0, 0.012, claps)
        onsets[person % palms].extend(moments)
        weights[person % palms].extend(rng.uniform(0.5, 1.0, claps) / distance)
    total = np.zeros_like(times)
    for moments_, weights_ in zip(onsets, weights, strict=True):
        centre, quality = log_uniform(rng, 700.0, 2600.0), rng.uniform(0.7, 2.0)
        clap = ringing(noise(rng, len(short), sample_rate), sample_rate, centre, quality)
        clap *= np.exp(-short / rng.uniform(0.003, 0.008))
        total += sprinkle(times, sample_rate, np.array(moments_), np.array(weights_), clap)
    return total * swell(rng, times, 0.05, 0.6)
