"""Played notes: plucked strings, struck strings, bells, drums and a flute.

The string is the algorithm of Karplus and Strong (Computer Music Journal 7(2), 1983) with the
fractional tuning of Jaffe and Smith (same issue); struck strings add the stiffness of Fletcher (JASA
36, 1964), bells the partials that founders tune, drums the modes of an ideal membrane (zeros of
Bessel functions). They are caricatures: close enough to be distinguished, not to be played.
"""

from __future__ import annotations

import itertools

import numpy as np
from jaxtyping import Float

from soundloom.errors import InvalidArgumentError
from soundloom.synth.signals import (
    Signal,
    decaying_partials,
    drift,
    log_uniform,
    noise,
    ramp,
    resonance,
    ringing,
    shaped,
    timeline,
    tone,
)

__all__ = ["bell", "drum", "flute", "kick", "piano", "plucked", "string"]

_MINOR_AND_MAJOR_STEPS = (0, 3, 4, 5, 7, 9, 12)

# Ratios to the strike note: a church bell's hum, prime, tierce, quint, nominal and above; a free bar; a tube.
_BELLS = (
    (0.5, 1.0, 1.2, 1.5, 2.0, 2.5, 2.67, 3.0, 4.0, 5.3),
    (1.0, 2.756, 5.404, 8.933),
    (0.81, 1.0, 1.53, 2.08, 2.69, 3.37, 4.12),
)

# Zeros of the Bessel functions over the first: the modes of a round membrane.
_MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.5)


def plucked(
    rng: np.random.Generator,
    sample_rate: int,
    *,
    pitch: float,
    seconds: float,
    decay: float = 2.0,
    softness: float = 0.3,
    brightness: float = 4000.0,
    position: float = 0.15,
) -> Float[Signal, " samples"]:
    """A plucked string: noise in a delay line that softens each time round (Karplus and Strong 1983).

    Args:
        rng: gives the noise.
        sample_rate: hertz.
        pitch: fundamental in hertz.
        seconds: length of the sound.
        decay: seconds to fall by 60 dB, apart from what softness takes.
        softness: weight of the older sample in the loop's average, in [0, 0.5]: more dulls faster.
        brightness: hertz above which the pluck itself is dull.
        position: where the string is plucked, as a fraction of its length: 0.5 cancels the even harmonics.

    Raises:
        InvalidArgumentError: the rate cannot carry the pitch.
    """
    # The loop averages neighbours, (1-s) y[n] + s y[n-1], which delays by s samples; a second such average with
    # weight f supplies the fraction that is left when the period is cut to whole samples. Together they are three
    # taps behind a delay of N samples, N + s + f = sample_rate / pitch.
    period = sample_rate / pitch
    delay = int(period - softness)
    if delay < 3:
        raise InvalidArgumentError(
            f"a pitch of {pitch} Hz is too high for {sample_rate} Hz: it needs 4 samples a period"
        )
    fraction = period - softness - delay
    loss = 10 ** (-3 / (decay * pitch))
    taps = loss * np.convolve([1 - softness, softness], [1 - fraction, fraction])

    burst = noise(rng, delay, sample_rate)
    burst = shaped(burst, sample_rate, lambda f: 1 / (1 + (f / brightness) ** 2))
    burst -= np.roll(burst, round(position * delay))

    # y[n] needs y[n-N] and older only, so that a block of N samples is computed at once from the two blocks before.
    samples = round(seconds * sample_rate)
    line = np.zeros(2 + (samples // delay + 2) * delay)
    line[2 : 2 + delay] = burst
    for start in range(2 + delay, len(line), delay):
        older = line[start - delay - 2 : start]
        line[start : start + delay] = taps[0] * older[2:] + taps[1] * older[1:-1] + taps[2] * older[:-2]
    return line[2 : 2 + samples]


def string(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A note, or a strummed chord, on a guitar- or harp-like string."""
    seconds = log_uniform(rng, 0.6, 3.0)
    pitch = log_uniform(rng, 80.0, 500.0)
    notes = int(rng.choice([1, 1, 1, 3, 4]))
    gap = rng.uniform(0.02, 0.25)
    settings = {
        "decay": log_uniform(rng, 0.8, 4.0),
        "softness": rng.uniform(0.1, 0.5),
        "brightness": log_uniform(rng, 1500.0, 7000.0),
        "position": rng.uniform(0.08, 0.5),
    }
    times = timeline(seconds, sample_rate)
    total = np.zeros_like(times)
    steps = np.sort(rng.choice(_MINOR_AND_MAJOR_STEPS, notes, replace=False)) if notes > 1 else np.zeros(1)
    for i, step in enumerate(steps):
        start = round(i * gap * sample_rate)
        if start < len(times):
            remaining = (len(times) - start) / sample_rate
            total[start:] += plucked(rng, sample_rate, pitch=pitch * 2 ** (step / 12), seconds=remaining, **settings)
    body = log_uniform(rng, 90.0, 220.0)
    return shaped(total, sample_rate, lambda f: 1 + resonance(f, body, 4.0) + 0.7 * resonance(f, 2.1 * body, 6.0))


def piano(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A hammer on two or three stiff strings, not quite in tune with each other; one note or a chord."""
    times = timeline(log_uniform(rng, 0.7, 3.2), sample_rate)
    pitch = log_uniform(rng, 60.0, 900.0)
    stiffness = log_uniform(rng, 1e-4, 1e-3)
    hardness = log_uniform(rng, 600.0, 3000.0)
    held = rng.uniform(0.4, 1.0) * times[-1]
    steps = (0.0,) if rng.random() < 0.6 else (0.0, float(rng.choice([3, 4])), 7.0)

    total = np.zeros_like(times)
    for step in steps:
        k = np.arange(1, 49)
        fundamental = pitch * 2 ** (step / 12)
        modes = fundamental * k * np.sqrt(1 + stiffness * k**2)
        strength = np.abs(np.sin(np.pi * k / 8.2)) / k / (1 + (modes / hardness) ** 2)
        slow = 12 * (fundamental / 60) ** -0.6 / (1 + 0.12 * k)
        # Three strings a note: together they press on the bridge and fade fast, apart they ring on.
        for detune, share, speed in ((0.0, 1.0, 0.25), (rng.normal(0, 4e-4), 0.4, 0.6), (rng.normal(0, 6e-4), 0.3, 1)):
            phases = np.full(len(k), 0.5 * rng.random())
            total += decaying_partials(times, sample_rate, modes * (1 + detune), share * strength, slow * speed, phases)
    thump = shaped(noise(rng, len(times), sample_rate), sample_rate, lambda f: 1 / (1 + (f / 300) ** 2))
    total += 0.3 * thump * np.exp(-times / 0.02)
    return total * ramp(times, 0.0, 0.004) * ramp(times, held, -0.12)


def bell(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A church bell, a free bar or a chime, struck one to three times: inharmonic partials, each a slow beat."""
    times = timeline(log_uniform(rng, 1.0, 3.3), sample_rate)
    ratios = np.array(_BELLS[rng.integers(len(_BELLS))])
    ratios = ratios * (1 + rng.normal(0, 0.01, len(ratios)))
    strike = log_uniform(rng, 300.0, 1500.0)
    ring = log_uniform(rng, 1.8, 6.0)
    strength = rng.uniform(0.4, 1.0, len(ratios)) / ratios**0.2
    split = rng.uniform(0.3, 3.0, len(ratios))
    strikes = int(rng.choice([1, 1, 1, 2, 3]))
    once = np.zeros_like(times)
    for side in (-0.5, 0.5):
        phases = rng.uniform(0, 2 * np.pi, len(ratios))
        decays = ring / ratios**0.5
        once += decaying_partials(times, sample_rate, strike * ratios + side * split, strength, decays, phases)
    clapper = ringing(noise(rng, len(times), sample_rate), sample_rate, 2.5 * strike, 1.5)
    once = (once + 1.5 * clapper * np.exp(-times / 0.008)) * ramp(times, 0.0, 0.002)
    total = np.zeros_like(once)
    for i in range(strikes):
        start = round(i * len(once) / strikes)
        total[start:] += once[: len(once) - start] * rng.uniform(0.6, 1.0)
    return total


def kick(
    rng: np.random.Generator, sample_rate: int, *, seconds: float, low: float = 50.0, decay: float = 0.4
) -> Float[Signal, " samples"]:
    """A bass drum: a sine that falls to ``low`` hertz and by 60 dB in ``decay`` seconds, after a beater's click."""
    times = timeline(seconds, sample_rate)
    fall = low * (1 + 2.5 * np.exp(-times / 0.03))
    click = ringing(noise(rng, len(times), sample_rate), sample_rate, 1800.0, 0.8)
    return tone(fall, sample_rate) * 10 ** (-3 * times / decay) + 0.25 * click * np.exp(-times / 0.004)


def _tom(rng: np.random.Generator, sample_rate: int, seconds: float) -> Float[Signal, " samples"]:
    times = timeline(seconds, sample_rate)
    modes = log_uniform(rng, 80.0, 260.0) * np.array(_MEMBRANE)
    order = np.arange(1.0, len(modes) + 1)
    decays = log_uniform(rng, 0.3, 0.9) / order**0.6
    ring = decaying_partials(times, sample_rate, modes, 1 / order, decays, np.zeros(len(modes)))
    stick = ringing(noise(rng, len(times), sample_rate), sample_rate, 1200.0, 0.7)
    return ring + 0.8 * stick * np.exp(-times / 0.006)


def _snare(rng: np.random.Generator, sample_rate: int, seconds: float) -> Float[Signal, " samples"]:
    times = timeline(seconds, sample_rate)
    modes = log_uniform(rng, 150.0, 240.0) * np.array([1.0, 1.6, 2.2])
    shell = decaying_partials(times, sample_rate, modes, np.array([1.0, 0.6, 0.3]), np.full(3, 0.18), np.zeros(3))
    wires = ringing(noise(rng, len(times), sample_rate), sample_rate, 3500.0, 0.5)
    return shell + 0.7 * wires * 10 ** (-3 * times / log_uniform(rng, 0.15, 0.5))


def _kick(rng: np.random.Generator, sample_rate: int, seconds: float) -> Float[Signal, " samples"]:
    low, decay = log_uniform(rng, 42.0, 75.0), log_uniform(rng, 0.25, 0.7)
    return kick(rng, sample_rate, seconds=seconds, low=low, decay=decay)


def drum(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A kick, a tom or a snare, or two of them in turn, hit once or beaten in an even pattern."""
    pieces = (_kick, _tom, _snare)
    once = [pieces[rng.integers(3)](rng, sample_rate, 1.0)]
    if rng.random() < 0.3:
        once.append(pieces[rng.integers(3)](rng, sample_rate, 1.0))
    hits = int(rng.choice([1, 2, 3, 4, 6]))
    gap = log_uniform(rng, 0.14, 0.45)
    total = np.zeros(round((hits * gap + rng.uniform(0.3, 0.6)) * sample_rate))
    for i in range(hits):
        start = round((i * gap + rng.normal(0, 0.004) * (i > 0)) * sample_rate)
        hit = once[i % len(once)]
        total[start : start + len(hit)] += hit[: len(total) - start] * rng.uniform(0.55, 1.0)
    return total


def flute(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """One to four blown notes: few harmonics, a breathy onset, vibrato that sets in late."""
    seconds = log_uniform(rng, 0.6, 3.0)
    times = timeline(seconds, sample_rate)
    pitch = log_uniform(rng, 260.0, 1000.0)
    notes = int(rng.integers(1, 5))
    bounds = np.linspace(0, seconds, notes + 1)
    depth, speed = rng.uniform(0.0, 0.012), rng.uniform(4.5, 6.5)
    harmonics = (1.0, rng.uniform(0.1, 0.5), rng.uniform(0.05, 0.25), rng.uniform(0.0, 0.08), 0.02)
    breath = rng.uniform(0.03, 0.2)

    frequency = np.full_like(times, pitch)
    loudness = np.zeros_like(times)
    attack = rng.uniform(0.03, 0.09)
    for start, end in itertools.pairwise(bounds):
        step = float(rng.choice(_MINOR_AND_MAJOR_STEPS)) if notes > 1 else 0.0
        sounding = (times >= start) & (times < end)
        late = ramp(times, start + 0.2, 0.3)
        vibrato = depth * late * np.sin(2 * np.pi * speed * times)
        frequency[sounding] = (pitch * 2 ** (step / 12) * (1 + vibrato))[sounding]
        loudness = np.maximum(loudness, ramp(times, start, attack) * ramp(times, end - 0.06, -0.06))
    air = ringing(noise(rng, len(times), sample_rate), sample_rate, 1.8 * pitch, 0.8, order=2)
    blown = tone(frequency, sample_rate, harmonics) * (1 + 0.15 * drift(rng, times, 6.0))
    return loudness * (blown + breath * air)
