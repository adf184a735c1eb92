"""Weather, water and machines: rain, wind, bubbles, engines, sirens and clicks.

Bubbles ring at the frequency that Minnaert (1933) derived from their radius and rise in pitch as van
den Doel (ACM TAP 2(4), 2005) models it. Rain is many tiny drops over a hiss, wind a noise whose
colour drifts, an engine a train of uneven exhaust pulses through the resonances of its pipes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from soundloom.synth.signals import (
    Signal,
    drift,
    log_uniform,
    noise,
    ramp,
    resonance,
    ringing,
    shaped,
    sprinkle,
    swell,
    timeline,
    tone,
)

__all__ = ["bubbles", "clicks", "engine", "rain", "siren", "wail", "wind"]


def rain(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """Drizzle to downpour: drops that each ring for a few milliseconds, over the hiss of those far away."""
    seconds = log_uniform(rng, 1.0, 3.3)
    times = timeline(seconds, sample_rate)
    density = log_uniform(rng, 60.0, 1500.0)
    hiss = rng.uniform(0.1, 0.5)
    bright = log_uniform(rng, 2500.0, 6000.0)
    short = timeline(0.03, sample_rate)
    kinds = 8
    total = np.zeros_like(times)
    for _ in range(kinds):
        drops = int(rng.poisson(density * seconds / kinds))
        moments = rng.uniform(0, seconds, drops)
        # Few drops fall near, many fall far: their loudness is spread over orders of magnitude.
        weights = rng.lognormal(-1.0, 0.9, drops)
        centre = log_uniform(rng, 1200.0, 6500.0)
        splash = ringing(noise(rng, len(short), sample_rate), sample_rate, centre, 1.5)
        splash *= np.exp(-short / log_uniform(rng, 0.0015, 0.005))
        total += sprinkle(times, sample_rate, moments, weights, splash)
    far = ringing(noise(rng, len(times), sample_rate), sample_rate, bright, 0.4)
    return (total + hiss * far * (1 + 0.15 * drift(rng, times, 1.5))) * swell(rng, times, 0.02, 0.5)


def wind(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """Gusts: low noise whose spectral centre and loudness wander together, some with a howl round a corner."""
    times = timeline(log_uniform(rng, 1.5, 3.5), sample_rate)
    centre = log_uniform(rng, 120.0, 400.0)
    reach = rng.uniform(0.5, 1.4)
    howl = rng.uniform(0.05, 0.5) if rng.random() < 0.5 else 0.0
    gust = drift(rng, times, rng.uniform(0.6, 2.0))
    flutter = 1 + 0.3 * drift(rng, times, 9.0)
    height = np.log2(centre) + reach * gust

    # A filter that moves: the noise is split into bands once, and each band's loudness follows its distance, in
    # octaves, from the moving centre. Below the centre wind falls off slowly, above it fast.
    white = noise(rng, len(times), sample_rate)
    total = np.zeros_like(times)
    for band in np.arange(np.log2(50), np.log2(6000), 0.5):
        part = ringing(white, sample_rate, 2**band, 2.0, order=2)
        above = band - height
        level = 10 ** (-np.where(above > 0, 13 * above, -4 * above) / 20)
        total += part * level
    whistle = tone(2 ** (height + 1.5) * (1 + 0.04 * drift(rng, times, 40.0)), sample_rate)
    total += howl * whistle * (1 + drift(rng, times, 12.0))
    return total * flutter * 10 ** (0.4 * gust) * swell(rng, times, 0.05, 0.6)


def bubbles(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """Single drips to a running brook: bubbles of a few millimetres, smaller ones higher and shorter."""
    seconds = log_uniform(rng, 0.8, 3.0)
    times = timeline(seconds, sample_rate)
    density = log_uniform(rng, 2.0, 70.0)
    mean = log_uniform(rng, 1.5e-3, 4.5e-3)
    count = max(2, int(rng.poisson(density * seconds)))
    total = np.zeros_like(times)
    for onset in rng.uniform(0, seconds - 0.1, count):
        radius = float(np.clip(mean * rng.lognormal(0, 0.4), 0.8e-3, 9e-3))
        # Minnaert: f = 3 m/s / r. Damping and the rise of a bubble on its way to the surface: van den Doel, section 3.
        pitch, damping = 3 / radius, 0.13 / radius + 0.0072 * radius**-1.5
        rise = rng.uniform(0.0, 0.15) * damping
        start = round(onset * sample_rate)
        t = times[: min(round(7 / damping * sample_rate), len(times) - start)]
        ring = tone(pitch * (1 + rise * t), sample_rate) * np.exp(-damping * t) * ramp(t, 0.0, 0.001)
        total[start : start + len(t)] += ring * rng.uniform(0.2, 1.0) * (radius / mean)
    flow = ringing(noise(rng, len(times), sample_rate), sample_rate, 900.0, 0.6)
    return total + 2e-4 * density * flow * (1 + 0.4 * drift(rng, times, 8.0)) * swell(rng, times, 0.05, 0.3)


def engine(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A motor that idles, hurries or labours: uneven exhaust pulses, pipe resonances and mechanical noise."""
    times = timeline(log_uniform(rng, 1.0, 3.4), sample_rate)
    firing = log_uniform(rng, 18.0, 110.0)
    cylinders = int(rng.choice([1, 2, 4, 6]))
    effort = rng.choice([0.0, 0.0, 0.6, 1.2]) * rng.uniform(-0.5, 1.0)
    pattern = 1 + 0.3 * rng.uniform(-1, 1, cylinders)
    sharpness = rng.uniform(6, 16)
    rattle = log_uniform(rng, 0.01, 0.08)
    pipes = log_uniform(rng, 70.0, 130.0), log_uniform(rng, 220.0, 450.0), log_uniform(rng, 700.0, 1400.0)

    speed = 2 ** (effort * ramp(times, 0.2 * times[-1], 0.6 * times[-1]) + 0.04 * drift(rng, times, 3.0))
    turn = np.cumsum(firing * speed) / sample_rate
    stroke, since = np.divmod(turn, 1)
    strokes = stroke.astype(int)
    uneven = rng.spawn(1)[0].normal(1, 0.08, strokes[-1] + 1)
    pulse = pattern[strokes % cylinders] * uneven[strokes] * since * np.exp(1 - sharpness * since) * sharpness
    hiss = rattle * noise(rng, len(times), sample_rate)
    # An exhaust is loud where its pipes ring and dull above a few kilohertz.
    exhaust = shaped(
        pulse,
        sample_rate,
        lambda f: (
            (resonance(f, pipes[0], 1.5) + 0.8 * resonance(f, pipes[1], 4.0) + 0.5 * resonance(f, pipes[2], 4.0))
            / (1 + 1j * f / 2500)
        ),
    )
    gears = ringing(hiss * (0.3 + pulse), sample_rate, 1400.0, 0.8, order=2)
    return (exhaust + gears) * swell(rng, times, 0.03, 0.5)


def wail(times: Float[Signal, " samples"], *, low: float, high: float, period: float) -> Float[Signal, " samples"]:
    """The frequency in hertz of a siren that climbs from ``low`` to ``high`` and back every ``period`` seconds."""
    swing = 0.5 - 0.5 * np.cos(2 * np.pi * times / period)
    return low * (high / low) ** swing


def siren(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A wail, a fast yelp, or two tones in turn, through a horn."""
    times = timeline(log_uniform(rng, 1.2, 3.4), sample_rate)
    low = log_uniform(rng, 380.0, 750.0)
    kind = int(rng.integers(3))
    if kind == 2:
        half = rng.uniform(0.35, 0.7)
        interval = rng.choice([5, 4, 7]) / 12
        second = 0.5 + 0.5 * np.tanh(np.sin(np.pi * times / half) / 0.03)
        frequency = low * 2 ** (interval * second)
    else:
        period = (rng.uniform(1.5, 3.5), rng.uniform(0.2, 0.45))[kind]
        frequency = wail(times, low=low, high=low * rng.uniform(1.7, 2.6), period=period)
    edge = rng.uniform(0.6, 1.4)
    harmonics = tuple(1 / k**edge for k in range(1, 9))
    throat = log_uniform(rng, 900.0, 1800.0)
    blown = ringing(tone(frequency, sample_rate, harmonics), sample_rate, throat, 0.8)
    approach = 1 + 0.5 * drift(rng, times, 0.5)
    return blown * approach * swell(rng, times, 0.04, 0.5)


def clicks(rng: np.random.Generator, sample_rate: int) -> Float[Signal, " samples"]:
    """A ticking clock, a mouse button, or hurried typing: resonances of a few milliseconds, sharp on purpose."""
    seconds = log_uniform(rng, 0.5, 3.0)
    times = timeline(seconds, sample_rate)
    short = timeline(0.06, sample_rate)
    kind = int(rng.integers(3))
    if kind == 0:
        onsets = np.arange(0.01, seconds, 1 / log_uniform(rng, 1.5, 6.0))
    elif kind == 1:
        presses = np.sort(rng.uniform(0, seconds - 0.25, int(rng.integers(1, 4))))
        onsets = np.concatenate([presses, presses + rng.uniform(0.07, 0.16)])
    else:
        onsets = np.cumsum(0.06 + rng.gamma(1.5, 0.06, int(4 + 6 * seconds)))
    centres = [log_uniform(rng, 1200.0, 6000.0) for _ in range(2)]
    total = np.zeros_like(times)
    for side, centre in enumerate(centres):
        quality = log_uniform(rng, 1.5, 8.0)
        tick = ringing(noise(rng, len(short), sample_rate), sample_rate, centre, quality)
        tick *= np.exp(-short / log_uniform(rng, 0.0008, 0.004))
        own = onsets[side::2]
        total += sprinkle(times, sample_rate, own, rng.uniform(0.5, 1.0, len(own)), tick)
    return total
