"""The handful of signal ideas that every synthetic sound is made of.

Oscillators, noise, filters and events, in plain numpy and without loops over samples. Filters are
drawn as frequency responses and applied with one Fourier transform: right for sounds of seconds that
are held whole, wrong for streams. Everything is computed in float64.

Randomness that fills samples (noise, drift) comes from a child of the generator, never from the
generator itself. So the numbers that a sound draws for itself (its pitch, its length) do not depend
on the sample rate, and the same sound can be rendered at any rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Complex, Float, Num
from numpy.typing import NDArray

__all__ = [
    "Response",
    "Signal",
    "convolve",
    "decaying_partials",
    "drift",
    "log_uniform",
    "noise",
    "ramp",
    "resonance",
    "ringing",
    "shaped",
    "sprinkle",
    "swell",
    "timeline",
    "tone",
]


Signal = NDArray[np.float64]
"""What all sounds are until they are placed: float64, so that long sums stay exact."""

Response = Callable[[NDArray[np.floating[Any]]], Num[NDArray[Any], " bins"]]
"""A filter: frequencies in hertz to gains, real (no delay) or complex."""


def timeline(seconds: float, sample_rate: int) -> Float[Signal, " samples"]:
    """The time of every sample of so many seconds, in seconds from the first."""
    return np.arange(round(seconds * sample_rate)) / sample_rate


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A draw between two positive limits in which every octave is as likely as any other."""
    return float(low * (high / low) ** rng.random())


def ramp(times: Float[Signal, " samples"], start: float, seconds: float) -> Float[Signal, " samples"]:
    """A smooth rise from 0 to 1 that begins at ``start`` and takes ``seconds``; falls 1 to 0 when negative."""
    x = np.clip((times - start) / abs(seconds), 0.0, 1.0)
    rise = x * x * (3 - 2 * x)
    return rise if seconds > 0 else 1 - rise


def swell(
    rng: np.random.Generator, times: Float[Signal, " samples"], shortest: float, longest: float
) -> Float[Signal, " samples"]:
    """How a lasting sound comes and goes: a rise and a fall, each of a drawn length in seconds."""
    rise, fall = log_uniform(rng, shortest, longest), log_uniform(rng, shortest, longest)
    return ramp(times, 0.0, rise) * ramp(times, times[-1] - fall, -fall)


def noise(rng: np.random.Generator, samples: int, sample_rate: int) -> Float[Signal, " samples"]:
    """White Gaussian noise with the same power in every hertz whatever the rate; variance 1 at 16 kHz."""
    child: np.random.Generator = rng.spawn(1)[0]
    return child.normal(0.0, math.sqrt(sample_rate / 16_000), samples)


def drift(rng: np.random.Generator, times: Float[Signal, " samples"], rate: float) -> Float[Signal, " samples"]:
    """A smooth random curve in [-1, 1] that heads for a new value ``rate`` times a second."""
    child: np.random.Generator = rng.spawn(1)[0]
    place = times * rate
    before = place.astype(int)
    values = child.uniform(-1, 1, before[-1] + 2)
    curve: Signal = values[before] + (values[before + 1] - values[before]) * ramp(place - before, 0.0, 1.0)
    return curve


def convolve(waveform: Float[Signal, " samples"], kernel: Float[Signal, " taps"]) -> Float[Signal, " samples"]:
    """The waveform through the kernel, cut to the waveform's length."""
    size = 1 << (len(waveform) + len(kernel) - 1).bit_length()
    product = np.fft.rfft(waveform, size) * np.fft.rfft(kernel, size)
    return np.fft.irfft(product, size)[: len(waveform)]


def shaped(
    waveform: Float[Signal, " samples"],
    sample_rate: int,
    response: Response,
) -> Float[Signal, " samples"]:
    """The waveform through a filter given as its response, real or complex, at frequencies in hertz."""
    # As many zeros as there are samples, but no more than a quarter of a second, keep the filter's ringing from
    # wrapping around to the other end.
    size = 1 << (len(waveform) + min(len(waveform), sample_rate // 4)).bit_length()
    spectrum = np.fft.rfft(waveform, size)
    spectrum *= response(np.fft.rfftfreq(size, 1 / sample_rate))
    return np.fft.irfft(spectrum, size)[: len(waveform)]


def resonance(
    frequencies: Float[NDArray[np.floating[Any]], " bins"], centre: float, quality: float
) -> Complex[NDArray[np.complex128], " bins"]:
    """A causal band-pass resonator's response: 1 at the centre, 6 dB an octave far from it."""
    # H = 1 / (1 + jQ(f/c - c/f)), written over a common denominator so that f = 0 gives 0.
    ratio = frequencies / centre
    return 1j * ratio / (1j * ratio + quality * (1 - ratio**2))


def ringing(
    waveform: Float[Signal, " samples"], sample_rate: int, centre: float, quality: float, order: int = 1
) -> Float[Signal, " samples"]:
    """The waveform through so many equal resonators in a row: what is left is what rings."""
    return shaped(waveform, sample_rate, lambda f: resonance(f, centre, quality) ** order)


def decaying_partials(
    times: Float[Signal, " samples"],
    sample_rate: int,
    frequencies: Float[Signal, " partials"],
    amplitudes: Float[Signal, " partials"],
    decays: Float[Signal, " partials"],
    phases: Float[Signal, " partials"],
) -> Float[Signal, " samples"]:
    """A sum of sines that die away, which is what anything struck sounds like.

    Args:
        times: the samples' times, from :func:`timeline`; only their number matters.
        sample_rate: hertz.
        frequencies: of the partials, in hertz. Those the rate cannot carry are left out.
        amplitudes: at the first sample.
        decays: seconds to fall by 60 dB.
        phases: of the sines at the first sample, in radians.
    """
    # Partial k is Im(c_k z_k^n). Write n = aM + b, so that z^n = (z^M)^a z^b: the whole sum is then a product of
    # two small matrices, [a, k] and [k, b], and only about 2 sqrt(n) exponentials a partial are ever computed.
    carried = frequencies < 0.48 * sample_rate
    pole = (-np.log(1000) / decays[carried] + 2j * np.pi * frequencies[carried]) / sample_rate
    start = amplitudes[carried] * np.exp(1j * phases[carried])
    samples = len(times)
    block = int(np.sqrt(samples)) + 1
    steps = np.arange(block)
    coarse = start * np.exp(np.outer(steps * block, pole))
    fine = np.exp(np.outer(pole, steps))
    # Im(xy) = Re x Im y + Im x Re y: two real products instead of four.
    total: Signal = coarse.real @ fine.imag + coarse.imag @ fine.real
    return total.ravel()[:samples]


def tone(
    frequency: Float[Signal, " samples"], sample_rate: int, harmonics: Sequence[float] = (1.0,)
) -> Float[Signal, " samples"]:
    """An oscillator whose frequency moves: harmonic k has amplitude ``harmonics[k - 1]``, and fades out at Nyquist."""
    phase = 2 * np.pi * np.cumsum(frequency) / sample_rate
    total = np.zeros_like(phase)
    for k, amplitude in enumerate(harmonics, start=1):
        carried = ramp(k * frequency / sample_rate, 0.42, -0.06)
        total += amplitude * carried * np.sin(k * phase)
    return total


def sprinkle(
    times: Float[Signal, " samples"],
    sample_rate: int,
    onsets: Float[Signal, " events"],
    amplitudes: Float[Signal, " events"],
    kernel: Float[Signal, " taps"],
) -> Float[Signal, " samples"]:
    """One small sound, the kernel, started at every onset (seconds); onsets outside the timeline are left out."""
    places = np.round(onsets * sample_rate).astype(int)
    inside = (places >= 0) & (places < len(times))
    impulses = np.zeros_like(times)
    np.add.at(impulses, places[inside], amplitudes[inside])
    return convolve(impulses, kernel)
