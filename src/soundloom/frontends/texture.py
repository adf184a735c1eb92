"""Texture statistics of a log-mel spectrogram, after McDermott and Simoncelli 2011.

Statistics of a log-mel spectrogram in windows of a second, after McDermott and Simoncelli 2011 ("Sound texture
perception via statistics of the auditory periphery"), who synthesise rain and fire from such alone:

    level         mean and deviation of every band
    ripples       strength of spectro-temporal modulations by rate and scale, upward and downward apart, low and
                  high bands apart: twice, in the whole window for slow rates and in thirds of it for fast ones
    togetherness  correlations between groups of bands
    edges         deviation of the change from frame to frame, and the mean cubes of rises and of falls

Modulations are cells of a two-dimensional Fourier transform of patches under a Hann window, instead of the bank of
ripple filters of Chi, Ru and Shamma 2005. Rates here go from 1 to 50 Hz, scales from level to half a cycle a band.
Nothing is learned, and every window is computed alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.errors import InvalidArgumentError
from soundloom.frontends.base import Frontend, register_frontend
from soundloom.frontends.dft import ripple_magnitudes
from soundloom.frontends.mel import LogMel

__all__ = ["Texture", "TextureSettings"]


@dataclass(frozen=True, kw_only=True)
class TextureSettings:
    """Windows and cells; the log-mel is that of Jansen 2017 (64 bands, 10 ms).

    Attributes:
        window: frames of a window, three times the short patch's.
        hop: frames from one window to the next.
        patch_bands: bands of a patch of modulations.
        rates: edges of the cells in cycles a window, ascending.
        short_rates: edges of the cells in cycles a short patch.
        scales: edges of the cells in cycles a patch's bands.
        groups: of bands, between which correlations are taken.
        floor: added to a cell's mean magnitude before its logarithm.
    """

    window: int = 96
    hop: int = 48
    patch_bands: int = 32
    rates: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 9, 13, 20, 32, 49)
    short_rates: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 9, 13, 17)
    scales: tuple[int, ...] = (0, 1, 2, 3, 5, 8, 16)
    groups: int = 16
    floor: float = 0.5

    def __post_init__(self) -> None:
        if self.window % 3 or not 0 < self.hop <= self.window:
            raise InvalidArgumentError(
                f"window must be a multiple of 3 and at least the hop, got {self.window} and {self.hop}"
            )
        for name, highest in (
            ("rates", self.window // 2 + 1),
            ("short_rates", self.window // 6 + 1),
            ("scales", self.patch_bands // 2),
        ):
            edges = getattr(self, name)
            if len(edges) < 2 or list(edges) != sorted(set(edges)) or edges[0] < 0 or edges[-1] > highest:
                raise InvalidArgumentError(f"{name} must ascend from 0 or more to {highest} at most, got {edges}")


@register_frontend("Texture", settings=TextureSettings)
class Texture(Frontend):
    """Statistics of windows, ``[batch, 1, statistics, windows]``.

    The last window ends with the sound, whole hops or not; a sound shorter than a window is followed by silence.
    """

    channels = 1
    exports_any_length = False

    def __init__(self, settings: TextureSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or TextureSettings()
        self.mel = LogMel.jansen()
        bands = self.mel.bins
        if bands % settings.patch_bands or bands % settings.groups:
            raise InvalidArgumentError(
                f"{bands} bands cannot be divided into patches of {settings.patch_bands} or {settings.groups}"
            )
        self.sample_rate, self.min_samples = self.mel.sample_rate, self.mel.min_samples
        self.hop = self.mel.hop * settings.hop
        cells = (len(settings.rates) + len(settings.short_rates) - 2) * (len(settings.scales) - 1)
        pairs = settings.groups * (settings.groups - 1) // 2
        self.bins = 5 * bands + cells * 2 * (bands // settings.patch_bands) + pairs

    @property
    def local(self) -> Texture:
        """Itself: no frame depends on others."""
        return self

    def forward(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch channel frequency time"]:
        """The statistics, the channel axis being 1."""
        self.check_length(waveforms)
        return self.statistics(self._windows(self.mel(waveforms)[:, 0])).movedim(-1, -2).unsqueeze(1)

    def frames(self, samples: int) -> int:
        """How many windows a waveform of so many samples gives."""
        frames = self.mel.frames(samples)
        return 0 if frames < 1 else 1 + -(-max(0, frames - self.settings.window) // self.settings.hop)

    def times(self, frames: int) -> Float[Tensor, " time"]:
        """Centres of the windows in seconds; the last may lie up to a hop before what this says."""
        first = self.mel.times(1) + (self.settings.window - 1) / 2 * self.mel.hop
        return first + torch.arange(frames, dtype=torch.float64) * self.hop

    def statistics(
        self, windows: Float[Tensor, "batch windows bands frames"]
    ) -> Float[Tensor, "batch windows statistics"]:
        """All statistics of windows of log-mel, joined."""
        settings = self.settings
        third = settings.window // 3
        if torch.compiler.is_compiling():
            # The same; other runtimes gather frame by frame what torch takes as a view.
            starts = range(0, settings.window - third + 1, third // 2)
            short = torch.stack([windows[..., start : start + third] for start in starts], dim=-3)
        else:
            short = windows.unfold(-1, third, third // 2).movedim(-2, -3)
        change = windows.diff(dim=-1)
        rises, falls = change.clamp_min(0), (-change).clamp_min(0)
        parts = [
            windows.mean(dim=-1),
            windows.std(dim=-1, correction=0),
            self._ripples(windows, settings.rates),
            self._ripples(short, settings.short_rates).mean(dim=-2),
            self._togetherness(windows),
            change.std(dim=-1, correction=0),
            _cubic_mean(rises),
            _cubic_mean(falls),
        ]
        return torch.cat(parts, dim=-1)

    def _windows(self, mel: Float[Tensor, "batch bands time"]) -> Float[Tensor, "batch windows bands frames"]:
        size, hop, time = self.settings.window, self.settings.hop, mel.shape[-1]
        if time < size:
            mel, time = functional.pad(mel, (0, size - time), value=_silence()), size
        starts = [*range(0, time - size, hop), time - size]
        return torch.stack([mel[..., start : start + size] for start in starts], dim=1)

    def _ripples(self, patches: Tensor, rates: tuple[int, ...]) -> Float[Tensor, "... cells"]:
        """Logarithm of the mean magnitude in every cell; patches ``[..., bands, frames]`` are parted by bands."""
        height, width = self.settings.patch_bands, patches.shape[-1]
        parted = torch.unflatten(patches, -2, (-1, height))
        tapers = (_hann(height, patches), _hann(width, patches))
        residue = _silent_residue(height, width)
        if torch.compiler.is_compiling():
            cells = self._recorded_cells(parted, tapers, rates, residue)
        else:
            centred = parted - parted.mean(dim=(-1, -2), keepdim=True)
            strength = torch.fft.rfft2(centred * (tapers[0][:, None] * tapers[1])).abs()
            by_rate = [strength[..., low:high].mean(dim=-1) for low, high in pairwise(rates)]
            rows = torch.stack(by_rate, dim=-1)
            # Scales of one sign are modulations that rise in pitch, of the other those that fall; scale 0 is in both.
            rising = rows[..., : height // 2, :]
            falling = torch.cat([rows[..., :1, :], rows[..., height // 2 + 1 :, :].flip(-2)], dim=-2)
            both = torch.stack([rising, falling], dim=-3)
            by_scale = [both[..., low:high, :].mean(dim=-2) for low, high in pairwise(self.settings.scales)]
            cells = torch.stack(by_scale, dim=-2)
        return cells.add(self.settings.floor).log().flatten(-4)

    def _recorded_cells(
        self,
        parted: Float[Tensor, "... height width"],
        tapers: tuple[Float[Tensor, " height"], Float[Tensor, " width"]],
        rates: tuple[int, ...],
        residue: float,
    ) -> Float[Tensor, "... 2 scales rates"]:
        """The same in few and large steps, for recorded graphs."""
        height, width = parted.shape[-2:]
        # Other runtimes round the mean of equal numbers, as in silence, otherwise.
        parted = parted - parted[..., :1, :1]
        silent = (parted.abs().amax(dim=(-1, -2), keepdim=True) == 0).to(parted)
        mean = parted.mean(dim=(-1, -2), keepdim=True) - residue * silent
        strength = ripple_magnitudes(parted - mean, tapers)
        return _means(self.settings.scales, height // 2).mT @ (strength @ _means(rates, width // 2 + 1))

    def _togetherness(self, windows: Tensor) -> Float[Tensor, "... pairs"]:
        """Correlations between groups of bands."""
        groups = torch.unflatten(windows, -2, (self.settings.groups, -1)).mean(dim=-2)
        centred = groups - groups.mean(dim=-1, keepdim=True)
        # What does not move has no correlation, rather than that of its rounding.
        standard = centred / (centred.square().mean(dim=-1, keepdim=True).sqrt() + 1e-3)
        matrix = standard @ standard.mT / windows.shape[-1]
        first, second = torch.triu_indices(self.settings.groups, self.settings.groups, 1, device=windows.device)
        pairs: Tensor = matrix[..., first, second]
        return pairs


# Kept, so that no recording has to compute them.
@lru_cache(maxsize=1)
def _silence() -> float:
    """The log-mel of silence."""
    return float(LogMel.jansen().compress(torch.zeros(1)))


@lru_cache(maxsize=32)
def _silent_residue(height: int, width: int) -> float:
    """What rounding leaves of a patch of silence less its mean; embeddings hold it."""
    patch = torch.full((1, 1, 1, height, width), _silence())
    return float((patch - patch.mean(dim=(-1, -2), keepdim=True)).flatten()[0])


def _means(edges: tuple[int, ...], size: int) -> Float[Tensor, "{size} cells"]:
    """What to multiply so many numbers by for their means between the edges."""
    columns = torch.zeros(size, len(edges) - 1)
    for cell, (low, high) in enumerate(pairwise(edges)):
        columns[low:high, cell] = 1 / (high - low)
    return columns


def _cubic_mean(changes: Tensor) -> Tensor:
    """Cube root of the mean cube along the last axis, with a floor of 1e-3."""
    if torch.compiler.is_compiling():
        # Optimisers of recorded graphs take 1e-9 for 0, and their runtimes are slow at powers.
        return ((changes * changes * changes).mean(dim=-1) * 1e9 + 1).pow(1 / 3) * 1e-3
    return changes.pow(3).mean(dim=-1).add(1e-9).pow(1 / 3)


def _hann(length: int, like: Tensor) -> Float[Tensor, " {length}"]:
    return torch.hann_window(length, dtype=like.dtype, device=like.device)
