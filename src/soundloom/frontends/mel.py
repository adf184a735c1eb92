"""Log-mel spectrogram, in the variants that published models were trained on.

The variants differ in small things that must all be right for published weights to work: the mel scale
(Slaney's Auditory Toolbox or HTK), whether triangles are straight over hertz (librosa) or over mel
(TensorFlow, Kaldi), their area, magnitude or power, centring, and the logarithm. ``LogMelSettings`` has a
field for each and ``LogMel`` a named preset for each published model:

    vggish, jansen   Hershey et al. 2017; Jansen et al. 2017, section 4.1
    coala            Favory et al. 2020, section 3.1, as in its published code
    yamnet           Plakal and Ellis 2019 (tensorflow/models, audioset/yamnet)
    panns            Kong et al. 2020 (CNN14)

The Audio Spectrogram Transformer's Kaldi features are in ``fbank``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Literal, Self

from jaxtyping import Float
from torch import Tensor

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import EnergyFrontend, register_frontend
from soundloom.frontends.filterbank import FilterBank, Norm, Scale, Slope, filter_bank
from soundloom.frontends.frames import Framing, FramingSettings, Padding, Window, in_blocks, magnitude, power

__all__ = ["LogMel", "LogMelSettings"]

Logarithm = Literal["natural", "decibel"]


@dataclass(frozen=True, kw_only=True)
class LogMelSettings:
    """Everything that makes one log-mel spectrogram differ from another.

    Attributes:
        sample_rate: in hertz.
        n_fft: points of the Fourier transform.
        win_length: samples under the window.
        hop_length: samples from one frame to the next.
        bins: mel bands.
        fmin: where the lowest band begins, in hertz.
        fmax: where the highest band ends, in hertz.
        window: see ``FramingSettings``.
        padding: see ``FramingSettings``; "none" does not centre.
        scale: see ``filter_bank``.
        slope: see ``filter_bank``.
        norm: see ``filter_bank``.
        power: 1 for magnitudes, 2 for their squares.
        logarithm: "natural" is log(x + floor), "decibel" is 10 log10(max(x, floor)).
        floor: what keeps the logarithm finite.
    """

    sample_rate: int
    n_fft: int
    win_length: int
    hop_length: int
    bins: int
    fmin: float
    fmax: float
    window: Window = "hann"
    padding: Padding = "reflect"
    scale: Scale = "slaney"
    slope: Slope = "hertz"
    norm: Norm = "area"
    power: Literal[1, 2] = 2
    logarithm: Logarithm = "natural"
    floor: float = 1e-10

    def __post_init__(self) -> None:
        if self.power not in (1, 2):
            raise InvalidArgumentError(f"power is 1 (magnitudes) or 2 (their squares), got {self.power!r}")
        if self.logarithm not in ("natural", "decibel"):
            raise InvalidArgumentError(f"logarithm is 'natural' or 'decibel', got {self.logarithm!r}")
        if not self.floor > 0:
            raise InvalidArgumentError(
                f"floor must be above zero, got {self.floor!r}: the logarithm of silence is infinite"
            )

    @property
    def framing(self) -> FramingSettings:
        """The part that says how waveforms are cut."""
        return FramingSettings(
            n_fft=self.n_fft,
            win_length=self.win_length,
            hop_length=self.hop_length,
            window=self.window,
            padding=self.padding,
        )


@register_frontend(
    "LogMel",
    settings=LogMelSettings,
    presets={
        "vggish": lambda: LogMel.vggish(),
        "yamnet": lambda: LogMel.yamnet(),
        "coala": lambda: LogMel.coala(),
        "panns-16k": lambda: LogMel.panns(16000),
        "panns-32k": lambda: LogMel.panns(32000),
    },
)
class LogMel(EnergyFrontend):
    """Log-mel spectrogram ``[batch, 1, bins, time]``."""

    channels = 1

    def __init__(self, settings: LogMelSettings) -> None:
        super().__init__()
        self.settings = settings
        self.framing = Framing(settings.framing)
        self.bank = FilterBank(
            filter_bank(
                sample_rate=settings.sample_rate,
                n_fft=settings.n_fft,
                bins=settings.bins,
                fmin=settings.fmin,
                fmax=settings.fmax,
                scale=settings.scale,
                slope=settings.slope,
                norm=settings.norm,
            )
        )
        self.sample_rate = settings.sample_rate
        self.hop = settings.hop_length / settings.sample_rate
        self.bins = settings.bins
        self.min_samples = self.framing.min_samples

    @classmethod
    def vggish(cls) -> Self:
        """VGGish: 16 kHz, 25 ms every 10 ms, 64 HTK bands of magnitude from 125 to 7500 Hz, log(x + 0.01)."""
        return cls(
            LogMelSettings(
                sample_rate=16000,
                n_fft=512,
                win_length=400,
                hop_length=160,
                bins=64,
                fmin=125,
                fmax=7500,
                padding="none",
                scale="htk",
                slope="mel",
                norm="none",
                power=1,
                floor=0.01,
            )
        )

    @classmethod
    def jansen(cls) -> Self:
        """Jansen 2017, section 4.1: the settings of VGGish.

        The paper states 64 bands, 25 ms and 10 ms and follows Hershey et al. 2017, whose published front-end
        is VGGish's.
        """
        return cls.vggish()

    @classmethod
    def yamnet(cls) -> Self:
        """YAMNet: the settings of VGGish, but log(x + 0.001)."""
        return cls(replace(cls.vggish().settings, floor=0.001))

    @classmethod
    def coala(cls) -> Self:
        """COALA: 22,000 Hz, 96 Slaney bands of magnitude, 1024 samples every 512, log(x + 1.19e-7).

        As in the published code, which the published weights need. The paper's text says a Hamming window;
        the code leaves librosa's Hann.
        """
        return cls(
            LogMelSettings(
                sample_rate=22000,
                n_fft=1024,
                win_length=1024,
                hop_length=512,
                bins=96,
                fmin=0,
                fmax=11000,
                power=1,
                floor=1.19e-7,
            )
        )

    @classmethod
    def panns(cls, sample_rate: int = 32000) -> Self:
        """PANNs' CNN14 at 32 or 16 kHz: 64 Slaney bands of power every 10 ms, in decibels.

        Raises:
            InvalidArgumentError: no published weights are for that sample rate.
        """
        if sample_rate == 32000:
            n_fft, fmax = 1024, 14000
        elif sample_rate == 16000:
            n_fft, fmax = 512, 8000
        else:
            raise InvalidArgumentError(f"PANNs' CNN14 is published for 16000 and 32000 Hz, got {sample_rate}")
        return cls(
            LogMelSettings(
                sample_rate=sample_rate,
                n_fft=n_fft,
                win_length=n_fft,
                hop_length=sample_rate // 100,
                bins=64,
                fmin=50,
                fmax=fmax,
                logarithm="decibel",
                floor=1e-10,
            )
        )

    @property
    def local(self) -> LogMel:
        """Itself: no frame depends on others."""
        return self

    def energies(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch bins time"]:
        """Mel energies (or magnitudes), before the logarithm.

        Raises:
            InvalidArgumentError: the waveforms are shorter than ``min_samples``.
        """
        self.check_length(waveforms)
        return in_blocks(self._sum_bands, self.framing(waveforms))

    def compress(self, energies: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The settings' logarithm."""
        if self.settings.logarithm == "natural":
            return (energies + self.settings.floor).log_()
        return energies.clamp_min(self.settings.floor).log10_().mul_(10)

    @property
    def framing_settings(self) -> FramingSettings:
        """How waveforms are cut into frames."""
        return self.settings.framing

    def energy_settings(self) -> dict[str, object]:
        """The settings but the logarithm's."""
        return {name: value for name, value in asdict(self.settings).items() if name not in ("logarithm", "floor")}

    def frames(self, samples: int) -> int:
        """How many frames a waveform of so many samples gives."""
        return self.framing.frames(samples)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Frame centres in seconds."""
        return self.framing.centres(frames) / self.sample_rate

    def _sum_bands(self, frames: Tensor) -> Tensor:
        spectrum = magnitude if self.settings.power == 1 else power
        bands: Tensor = self.bank(spectrum(frames * self.framing.window))
        return bands
