"""Laws of the synthetic sounds: repeatable, in bounds, and each family with its own physics."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundloom.synth import FAMILIES, Sound, render, write_set
from soundloom.synth.music import kick, plucked
from soundloom.synth.signals import decaying_partials, drift, noise, resonance, shaped, timeline, tone
from soundloom.synth.surroundings import wail

RATE = 16_000


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def spectrum(samples: np.ndarray, sample_rate: int) -> tuple[np.ndarray, np.ndarray]:
    return np.fft.rfftfreq(len(samples), 1 / sample_rate), np.abs(np.fft.rfft(samples)) ** 2


def centroid(sound: Sound) -> float:
    frequencies, power = spectrum(sound.samples.astype(float), sound.sample_rate)
    return float((frequencies * power).sum() / power.sum())


def short_spectra(samples: np.ndarray, window: int = 512, hop: int = 256) -> np.ndarray:
    padded = np.pad(samples.astype(float), window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    return np.abs(np.fft.rfft(frames * np.hanning(window))) ** 2


def decibels(power: float) -> float:
    return 10 * np.log10(power)


# One sound


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_sound_twice_and_another_index_another_sound(family):
    sound, again, other, elsewhere = (render(family, *which) for which in ((3, 1), (3, 1), (4, 1), (3, 2)))
    np.testing.assert_array_equal(sound.samples, again.samples)
    for different in (other, elsewhere):
        overlap = min(len(sound.samples), len(different.samples))
        assert not np.array_equal(sound.samples[:overlap], different.samples[:overlap])


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_is_a_well_formed_sound_of_the_same_length_at_every_rate(family):
    for index in range(2):
        durations = []
        for sample_rate in (8000, 11_025, 16_000, 44_100, 48_000):
            sound = render(family, index, sample_rate=sample_rate)
            samples = sound.samples
            durations.append(len(samples) / sample_rate)
            assert samples.dtype == np.float32
            assert samples.ndim == 1
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() < 0.95
            assert abs(samples.mean()) < 1e-3, "DC"
            assert abs(samples[0]) < 1e-6
            assert abs(samples[-1]) < 1e-6
            if sample_rate >= RATE:
                assert np.abs(samples).max() > 0.05, "inaudible"
        assert 0.4 <= min(durations) <= max(durations) <= 4.0
        assert max(durations) - min(durations) < 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_the_dry_sound_is_what_the_table_promises(family):
    dry = FAMILIES[family](generator(), RATE)
    assert 0.4 <= len(dry) / RATE <= 3.6
    assert np.isfinite(dry).all()
    assert render(family, 0).tags == (family, *FAMILIES[family].tags)
    assert len(FAMILIES[family].tags) >= 2


def test_members_of_a_family_differ_in_level_and_length():
    sounds = [render("vowel", index).samples for index in range(15)]
    peaks = [np.abs(samples).max() for samples in sounds]
    lengths = [len(samples) for samples in sounds]
    assert max(peaks) > 3 * min(peaks)
    assert max(lengths) > 2 * min(lengths)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("oboe", 0), r"no family 'oboe': there are string, piano"),
        (("bell", -1), r"count from 0, got index -1"),
        (("bell", 0, -2), r"seed -2"),
        (("bell", 0, 0, 4000), r"8000 Hz or more, got 4000"),
    ],
)
def test_impossible_sounds_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        render(*arguments)


# The building blocks


def test_decaying_partials_are_the_sum_written_out():
    rng = generator()
    times = timeline(0.13, 8000)
    frequencies, amplitudes = rng.uniform(50, 5000, 7), rng.uniform(0, 1, 7)
    decays, phases = rng.uniform(0.05, 2, 7), rng.uniform(0, 6, 7)
    expected = np.zeros_like(times)
    for f, a, d, p in zip(frequencies, amplitudes, decays, phases, strict=True):
        if f < 0.48 * 8000:
            expected += a * 10 ** (-3 * times / d) * np.sin(2 * np.pi * f * times + p)
    np.testing.assert_allclose(
        decaying_partials(times, 8000, frequencies, amplitudes, decays, phases), expected, atol=1e-10
    )


def test_a_resonator_passes_its_centre_and_falls_six_decibels_an_octave():
    gains = np.abs(resonance(np.array([0.0, 125.0, 1000.0, 8000.0, 16_000.0]), 1000.0, 4.0))
    assert gains[0] == 0.0
    assert gains[2] == pytest.approx(1.0)
    assert gains[1] == pytest.approx(gains[3])  # symmetrical over octaves
    assert 20 * np.log10(gains[3] / gains[4]) == pytest.approx(6.02, abs=0.2)


def test_a_resonator_rings_after_a_pulse_and_not_before_it():
    pulse = np.zeros(4000)
    pulse[2000] = 1.0
    ringing = shaped(pulse, RATE, lambda f: resonance(f, 500.0, 10.0))
    assert np.sum(ringing[:1990] ** 2) < 0.01 * np.sum(ringing[2000:] ** 2)


def test_no_harmonic_of_a_tone_comes_back_from_beyond_nyquist():
    samples = tone(np.full(8000, 1500.0), 8000, (1.0, 1.0, 1.0, 1.0))
    frequencies, power = spectrum(samples * np.hanning(8000), 8000)
    near = (np.abs(frequencies - 1500) < 20) | (np.abs(frequencies - 3000) < 20)
    assert power[near].sum() > 1e6 * power[~near].sum()


def test_noise_is_as_dense_at_every_rate():
    density = {
        rate: np.mean(spectrum(noise(generator(), 4 * rate, rate), rate)[1]) / (4 * rate * rate)
        for rate in (8000, 48_000)
    }
    assert density[8000] == pytest.approx(density[48_000], rel=0.03)


def test_samples_do_not_use_up_the_numbers_that_a_sound_draws_for_itself():
    rng, untouched = generator(), generator()
    noise(rng, 1000, RATE)
    curve = drift(rng, timeline(1.0, RATE), 7.0)
    assert rng.random() == untouched.random()
    assert np.abs(curve).max() <= 1.0
    assert np.abs(np.diff(curve)).max() < 2 * 1.5 * 7 / RATE  # a smoothstep climbs at most 1.5 times its mean slope


# Physics of the families


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
@pytest.mark.parametrize("pitch", [82.4, 110.0, 233.1, 440.0, 659.3])
def test_a_plucked_string_has_the_pitch_it_was_given(pitch, sample_rate):
    samples = plucked(generator(), sample_rate, pitch=pitch, seconds=1.0, decay=3.0)[sample_rate // 4 :]
    power = np.abs(np.fft.rfft(samples, 2 * len(samples))) ** 2
    correlation = np.fft.irfft(power)[: len(samples) // 2]
    lags = np.arange(int(0.7 * sample_rate / pitch), int(1.4 * sample_rate / pitch))
    best = lags[correlation[lags].argmax()]
    left, middle, right = correlation[best - 1 : best + 2]
    lag = best + 0.5 * (left - right) / (left - 2 * middle + right)
    assert sample_rate / lag == pytest.approx(pitch, rel=0.004)  # 7 cents


def test_a_plucked_string_dies_away_in_the_time_it_was_given():
    samples = plucked(generator(), RATE, pitch=200.0, seconds=2.0, decay=1.5, softness=0.0)
    late, later = samples[RATE // 2 : RATE * 3 // 4], samples[RATE : RATE * 5 // 4]
    # 60 dB in 1.5 s are 20 dB in the half second between the two.
    assert decibels(np.sum(late**2) / np.sum(later**2)) == pytest.approx(20, abs=0.1)


def test_a_string_plucked_in_the_middle_lacks_its_even_harmonics():
    def even_to_odd(position: float) -> float:
        samples = plucked(generator(), 44_100, pitch=150.0, seconds=1.0, position=position)
        frequencies, power = spectrum(samples * np.hanning(len(samples)), 44_100)
        strength = [power[np.abs(frequencies - 150 * k) < 20].sum() for k in (1, 2, 3)]
        return strength[1] / (strength[0] + strength[2])

    assert even_to_odd(0.5) < 0.02 < even_to_odd(0.2)


def test_a_pitch_above_what_the_rate_carries_is_refused():
    with pytest.raises(ValueError, match=r"pitch of 3000\.0 Hz is too high for 8000 Hz"):
        plucked(generator(), 8000, pitch=3000.0, seconds=1.0)


def test_a_kick_falls_in_level_and_in_pitch():
    samples = kick(generator(), RATE, seconds=1.0, low=50.0, decay=0.4)
    parts = [np.sum(part**2) for part in np.split(samples[: RATE // 2], 5)]
    assert all(decibels(a / b) > 10 for a, b in itertools.pairwise(parts))
    # Zero crossings of the sine: 2 a period. The click is over after the first 20 ms.
    crossings = np.flatnonzero(np.diff(np.sign(samples[int(0.02 * RATE) : int(0.3 * RATE)])))
    gaps = np.diff(crossings)
    assert gaps[0] < gaps[-1]
    assert RATE / (2 * gaps[-1]) == pytest.approx(50.0, rel=0.05)


def test_a_sirens_frequency_sweeps_between_its_limits():
    times = timeline(2.0, RATE)
    asked = wail(times, low=500.0, high=1200.0, period=2.0)
    spectra = short_spectra(tone(asked, RATE), window=1024)
    heard = spectra.argmax(1) * RATE / 1024
    middle = asked[:: 1024 // 4][: len(heard)]
    np.testing.assert_allclose(heard[4 : len(middle) - 4], middle[4:-4], atol=40)
    assert heard[4:-4].min() < 530
    assert heard[4:-4].max() > 1170


def test_wind_is_duller_than_rain_and_an_engine_duller_than_applause():
    medians = {
        family: np.median([centroid(render(family, index)) for index in range(9)])
        for family in ("wind", "rain", "engine", "applause", "cricket")
    }
    assert 3 * medians["wind"] < medians["rain"]
    assert 3 * medians["engine"] < medians["applause"]
    assert 2500 < medians["cricket"] < 5200


def test_bells_ring_where_no_harmonic_is_and_flutes_do_not():
    def inharmonicity(family: str, index: int) -> float:
        """How far the strongest peaks lie from multiples of the best fundamental, as a fraction of it."""
        dry = FAMILIES[family](generator(index), RATE)[RATE // 10 :]
        frequencies, power = spectrum(dry * np.hanning(len(dry)), RATE)
        peaks = []
        for _ in range(5):
            peaks.append(frequencies[power.argmax()])
            power[np.abs(frequencies - peaks[-1]) < 60] = 0.0
        candidates = np.arange(200.0, 1600.0, 1.0)[:, None]
        multiples = np.array(peaks) / candidates
        return float(np.abs(multiples - np.round(multiples)).mean(1).min())

    bells = np.median([inharmonicity("bell", index) for index in range(9)])
    flutes = np.median([inharmonicity("flute", index) for index in (2, 6, 7, 8, 12, 13)])
    assert flutes < bells


def test_steady_families_are_steady_and_struck_ones_are_not():
    def crest(family: str) -> float:
        factors = []
        for index in range(7):
            dry = FAMILIES[family](generator(index), RATE)
            factors.append(np.abs(dry).max() / np.sqrt(np.mean(dry**2)))
        return float(np.median(factors))

    assert max(map(crest, ("siren", "flute"))) < 6 < min(map(crest, ("clicks", "drum", "footsteps")))


def mel_statistic(sound: Sound) -> np.ndarray:
    """Mean and deviation over time of 40 mel bands in decibels, 60 below the loudest."""
    power = short_spectra(sound.samples)
    edges = 700 * np.expm1(np.linspace(np.log1p(50 / 700), np.log1p(8000 / 700), 42))
    f = np.fft.rfftfreq(512, 1 / RATE)
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weights = np.maximum(0, np.minimum((f - low) / (centre - low), (high - f) / (high - centre)))
    mel = 10 * np.log10(power @ weights.T + 1e-12)
    mel = np.maximum(mel - mel.max(), -60)
    return np.concatenate([mel.mean(0), mel.std(0)])


def test_families_can_be_told_apart_but_not_by_everyone():
    names = np.array([family for family in FAMILIES for _ in range(10)])
    table = np.stack([mel_statistic(render(family, index)) for family in FAMILIES for index in range(10)])
    table = (table - table.mean(0)) / table.std(0)
    distance = ((table[:, None] - table[None]) ** 2).sum(-1)
    np.fill_diagonal(distance, np.inf)
    accuracy = np.mean(names[distance.argmin(1)] == names)
    assert 0.5 < accuracy < 0.97  # chance: 1 / 16


# A folder of them


def test_a_written_set_holds_the_sounds_in_several_formats(tmp_path: Path):
    paths = write_set(tmp_path / "new" / "sounds", count=7, seed=3)
    assert [path.parent.name for path in paths[::7]] == list(FAMILIES)
    assert paths[0] == tmp_path / "new" / "sounds" / "string" / "string-00.wav"
    assert sorted(paths) == sorted(path for path in (tmp_path / "new" / "sounds").rglob("*") if path.is_file())
    assert {path.suffix for path in paths} == {".wav", ".flac", ".ogg"}
    infos = [soundfile.info(path) for path in paths]
    assert {info.samplerate for info in infos} == {16_000, 22_050, 44_100, 48_000}
    assert {info.channels for info in infos} == {1, 2}
    assert {info.subtype for info in infos} == {"PCM_16", "VORBIS"}

    for index, path in enumerate(paths[14:21]):  # the bells
        samples, rate = soundfile.read(path, always_2d=True)
        sound = render("bell", index, 3, rate)
        assert len(samples) == len(sound.samples)
        if path.suffix == ".ogg":
            assert np.corrcoef(samples[:, 0], sound.samples)[0, 1] > 0.9
        else:
            np.testing.assert_allclose(samples[:, 0], sound.samples, atol=2**-15)
        if samples.shape[1] == 2:  # one sound, from the left
            late = round(4e-4 * rate)
            np.testing.assert_allclose(samples[late:, 1], 0.7 * samples[:-late, 0], atol=2**-14)


def test_a_set_written_again_is_the_same(tmp_path: Path):
    first, second = (write_set(tmp_path / name, count=1, seed=5, sample_rate=22_050) for name in "ab")
    for one, other in zip(first, second, strict=True):
        assert one.read_bytes() == other.read_bytes()
    with pytest.raises(ValueError, match="count must be 1 or more, got 0"):
        write_set(tmp_path, count=0)
