"""The forms in which clips are kept: what comes back is what the front-end gives, in pieces or in one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundloom.feature_cache import FeatureCacheError, Form, MelEnergies, Represented, Samples, formats
from soundloom.feature_cache.chunks import overlapping
from soundloom.frontends import FramedWaveform, Frontend, LogMel, NormalisedFrontend, PeakMap
from soundloom.frontends.mel import LogMelSettings

RATE = 16000
PRESETS = {"jansen": LogMel.jansen, "coala": LogMel.coala, "panns": LogMel.panns}
RIGHT_TO = 5e-4


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    """A noise that fades, so that loud and soft occur."""
    samples = np.random.default_rng(0).normal(0, 0.2, round(seconds * rate))
    return (samples * np.exp(-np.linspace(0, 12, len(samples)))).clip(-1, 1).astype(np.float32)


@pytest.fixture
def mel() -> MelEnergies:
    return MelEnergies(LogMel.jansen())


class TestMelEnergies:
    @pytest.mark.parametrize("preset", PRESETS)
    def test_energies_come_back_right_to_the_promise(self, preset: str) -> None:
        frontend = PRESETS[preset]()
        form = MelEnergies(frontend)
        wave = torch.from_numpy(noise(2.0, rate=frontend.sample_rate))
        kept = form.keep(wave)
        assert kept.dtype == form.dtype == np.uint16
        assert kept.shape[1:] == form.shape
        expected = frontend.energies(wave[None])[0].T
        torch.testing.assert_close(form.restore(torch.from_numpy(kept)), expected, rtol=RIGHT_TO, atol=0)

    def test_the_codes_keep_their_promise_over_their_whole_range(self) -> None:
        low, high = 2.0**formats.LOWEST, 2.0 ** (formats.LOWEST + 65534 / formats.STEPS)
        assert (low, high) == (pytest.approx(3.6e-15, rel=0.02), pytest.approx(1.7e11, rel=0.02))
        values = torch.exp(torch.linspace(np.log(low), np.log(high), 200_001).double()).float().clamp(low, high)
        restored = MelEnergies(LogMel.jansen()).restore(torch.from_numpy(formats._encode(values[:, None])[0]))
        errors = (restored.double() / values.double() - 1).abs()
        assert errors.max() < RIGHT_TO
        assert (restored.diff() >= 0).all()

    def test_every_code_is_its_own(self) -> None:
        codes = torch.arange(65536).to(torch.uint16)
        energies = MelEnergies(LogMel.jansen()).restore(codes)
        assert torch.equal(torch.from_numpy(formats._encode(energies[:, None])[0]).int(), codes.int())

    def test_digital_silence_is_exactly_zero(self, mel: MelEnergies) -> None:
        kept = mel.keep(torch.zeros(RATE))
        assert not kept.any()
        assert not mel.restore(torch.from_numpy(kept)).any()

    def test_what_cannot_be_kept_is_refused(self, mel: MelEnergies) -> None:
        with pytest.raises(FeatureCacheError, match=r"energy of .* is beyond 1.*e\+11.*within \[-1, 1\]"):
            mel.keep(torch.full((RATE,), 1e12))
        with pytest.raises(ValueError, match="without samples"):
            mel.keep(torch.zeros(0))

    def test_a_sound_shorter_than_a_frame_is_padded_with_silence(self, mel: MelEnergies) -> None:
        short = torch.from_numpy(noise(0.01))
        padded = torch.nn.functional.pad(short, (0, mel.min_samples - len(short)))
        assert np.array_equal(mel.keep(short), mel.keep(padded))
        assert len(mel.keep(short)) == 1

    # 4,096 frames are a piece; these end around its edges.
    @pytest.mark.parametrize("frames", [4095, 4096, 4097, 8192, 9000])
    def test_a_long_sound_in_pieces_has_the_codes_of_one_piece(self, mel: MelEnergies, frames: int) -> None:
        wave = torch.from_numpy(noise((frames - 1) * 0.01 + 0.03))
        whole = formats._encode(LogMel.jansen().energies(wave[None])[0])
        assert np.array_equal(mel.keep(wave), whole)

    @pytest.mark.parametrize("padding", ["reflect", "zeros"])
    @pytest.mark.parametrize(("n_fft", "hop"), [(512, 160), (512, 256), (512, 300), (400, 800), (255, 64)])
    @pytest.mark.parametrize("extra", [0, 1, 63, 200, 511, 1000])
    def test_centred_frames_in_pieces_are_those_of_one_piece(
        self, padding: str, n_fft: int, hop: int, extra: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(formats, "_FRAMES", 8)
        frontend = LogMel(
            LogMelSettings(
                sample_rate=RATE,
                n_fft=n_fft,
                win_length=n_fft,
                hop_length=hop,
                bins=8,
                fmin=100,
                fmax=7000,
                padding=padding,
            )
        )
        wave = torch.from_numpy(noise(1.0)[: 16 * hop + extra])
        form = MelEnergies(frontend)
        expected = frontend.energies(wave[None])[0].T
        restored = form.restore(torch.from_numpy(form.keep(wave)))
        torch.testing.assert_close(restored, expected, rtol=RIGHT_TO, atol=0)

    def test_centred_codes_rarely_differ_and_by_one(self) -> None:
        frontend = LogMel.panns()
        wave = torch.from_numpy(noise(90.0, rate=frontend.sample_rate))
        whole = formats._encode(frontend.energies(wave[None])[0]).astype(int)
        away = np.abs(MelEnergies(frontend).keep(wave) - whole)
        assert away.max() <= 1
        assert away.mean() < 1e-4

    def test_front_ends_that_differ_in_the_logarithm_share_what_is_kept(self) -> None:
        settings = LogMel.jansen().settings
        louder = LogMelSettings(**{**vars(settings), "floor": 1.0, "logarithm": "decibel"})
        wider = LogMelSettings(**{**vars(settings), "bins": 32})
        assert MelEnergies(LogMel(louder)).settings() == MelEnergies(LogMel(settings)).settings()
        assert MelEnergies(LogMel(wider)).settings() != MelEnergies(LogMel(settings)).settings()


class TestRepresented:
    @pytest.mark.parametrize(
        "frontend", [PeakMap.verma(), LogMel.coala(), FramedWaveform()], ids=lambda f: type(f).__name__
    )
    def test_a_row_is_the_representation_of_a_chunk_alone(self, frontend: Frontend) -> None:
        form = Represented(frontend, seconds=1.0)
        wave = torch.from_numpy(noise(3.0, rate=frontend.sample_rate))
        kept = form.keep(wave)
        assert (kept.shape, kept.dtype) == ((3, *form.shape), np.float16)
        for row, chunk in zip(kept, wave.split(frontend.sample_rate), strict=True):
            expected = frontend(chunk[None])[0].half().float()
            assert torch.equal(form.restore(torch.from_numpy(row)), expected)

    @pytest.mark.parametrize(
        ("seconds", "hop", "rows"),
        [
            (0.2, 1.0, 1),  # too short for half a chunk, but all there is
            (1.0, 1.0, 1),
            (1.4, 1.0, 1),  # less than half is left
            (1.5, 1.0, 2),
            (2.0, 1.0, 2),
            (2.0, 0.5, 3),  # the next would begin at 1.5 s and hold only what was heard
            (2.2, 0.5, 4),
            (2.2, 0.25, 6),
            (4.2, 2.0, 2),  # from 4 s on there is less than half
            (4.5, 2.0, 3),
            (3.5, 2.0, 2),
        ],
    )
    def test_what_is_left_at_the_end(self, seconds: float, hop: float, rows: int) -> None:
        form = Represented(FramedWaveform(), seconds=1.0, hop=hop)
        wave = noise(seconds)
        kept = form.keep(torch.from_numpy(wave))
        assert len(kept) == rows
        chunks = [wave[begin : begin + RATE] for begin in range(0, rows * form.step, form.step)]
        for row, chunk in zip(kept, chunks, strict=True):
            heard = row[0].T.reshape(-1)
            assert np.array_equal(heard[: len(chunk)], chunk.astype(np.float16))
            assert not heard[len(chunk) :].any()

    def test_a_front_end_that_changes_later_changes_nothing(self) -> None:
        frontend = NormalisedFrontend(FramedWaveform())
        form = Represented(frontend, seconds=0.2)
        before, settings = form.keep(torch.ones(3200)), form.settings()
        frontend.scale.fill_(2.0)
        assert np.array_equal(form.keep(torch.ones(3200)), before)
        assert form.settings() == settings != Represented(frontend, seconds=0.2).settings()

    def test_impossible_chunks_and_values_are_refused(self) -> None:
        with pytest.raises(ValueError, match="FramedWaveform needs 1600 samples or more"):
            Represented(FramedWaveform(), seconds=0.05)
        with pytest.raises(ValueError, match="one sample or more"):
            Represented(FramedWaveform(), seconds=1.0, hop=0.0)
        with pytest.raises(FeatureCacheError, match=r"FramedWaveform gives numbers beyond 65,504"):
            Represented(FramedWaveform(), seconds=0.1).keep(torch.full((1600,), 1e6))


@pytest.mark.parametrize(
    "form", [MelEnergies(LogMel.jansen()), Represented(FramedWaveform(), seconds=0.3, hop=0.2), Samples(RATE)]
)
def test_where_blocks_end_changes_nothing(form: Form) -> None:
    wave = noise(50.0)
    whole = form.keep(torch.from_numpy(wave))
    for lengths in ([1, 2, 3, 100], [65536], [700_000, 5]):
        edges = np.cumsum(np.resize(lengths, 2000))
        blocks = [block for block in np.split(wave, edges[edges < len(wave)]) if len(block)]
        assert np.array_equal(form.keep_blocks(blocks), whole)


@pytest.mark.parametrize(("size", "step", "enough"), [(5, 5, 5), (5, 2, 7), (3, 8, 3)])
def test_pieces_are_the_slices_of_the_whole(size: int, step: int, enough: int) -> None:
    wave = np.arange(31, dtype=np.float32)
    for length in range(32):
        pieces = list(overlapping(np.array_split(wave[:length], 4), size=size, step=step, enough=enough))
        assert [last for _, last in pieces] == [False] * (len(pieces) - 1) + [True]
        for number, (piece, last) in enumerate(pieces):
            begin = number * step
            assert (length - begin < enough) == last
            assert np.array_equal(piece, wave[begin:length] if last else wave[begin : begin + size])


class TestSamples:
    def test_samples_come_back_within_half_a_step_of_their_row_s_loudest(self) -> None:
        form = Samples(RATE)
        wave = noise(1.0)
        kept = form.keep(torch.from_numpy(wave))
        assert (kept.shape, kept.dtype) == ((100, *form.shape), np.int16)
        restored = form.restore(torch.from_numpy(kept)).numpy()
        rows = wave.reshape(100, 160)
        loudest = np.abs(rows).max(axis=1, keepdims=True)
        assert (np.abs(restored - rows) <= loudest / 65534 * 1.01).all()

    def test_silence_and_what_lies_beyond_a_clip_are_zero(self) -> None:
        form = Samples(RATE)
        kept = form.keep(torch.cat([torch.zeros(160), torch.ones(10)]))
        assert not kept[0].any()
        restored = form.restore(torch.from_numpy(np.stack([*kept, np.zeros_like(kept[0])])))
        assert restored.sum(dim=1).tolist() == [0, pytest.approx(10, rel=1e-5), 0]

    def test_the_quietest_sound_is_not_blown_up(self) -> None:
        form = Samples(RATE)
        quiet = torch.full((160,), 3e-45)
        assert (form.restore(torch.from_numpy(form.keep(quiet))).abs() <= 1e-40).all()

    def test_what_cannot_be_kept_is_refused(self) -> None:
        with pytest.raises(ValueError, match="11025 Hz is no whole number of samples"):
            Samples(11025)
        with pytest.raises(ValueError, match="without samples"):
            Samples(RATE).keep(torch.zeros(0))
        with pytest.raises(FeatureCacheError, match="samples that are no numbers"):
            Samples(RATE).keep(torch.tensor([0.0, torch.nan]))
