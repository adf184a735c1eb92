"""Pitch encoder: transposition-equivariant convolutions over a constant-Q frame, after PESTO (Riou 2023).

Frames of a constant-Q transform whose bins are notes go through convolutions along pitch, the last of which reaches
from any bin to any other (a Toeplitz matrix, as in PESTO, Riou 2023): a transposed sound gives a transposed output, but
for what lies beyond the ends of the scale. A softmax over notes follows, weighed by how loud the frame is beside the
loudest one, so that a note's decay and the silence after it count little. Every number of the
embedding is a note: the root of its share, which keeps notes that hardly sound from being next to nothing (Hellinger's
distance instead of Euclid's); or the share itself, of the sound's loudness, so that the numbers are a distribution over
notes and add up to one. Silence has all notes alike.

When not: chords, of which it gives the strongest note or several; noise, over which the notes spread.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from math import log

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.encoders.base import Encoder, register_encoder
from soundloom.encoders.layer_collection import check_shape
from soundloom.errors import InvalidArgumentError

__all__ = ["PitchEncoder", "PitchEncoderSettings"]

# Magnitudes below a frame's strongest that are distinguished: 46 dB.
_FAINT = 5e-3


@dataclass(frozen=True, kw_only=True)
class PitchEncoderSettings:
    """The size of the encoder.

    Attributes:
        bins: notes, the bins of the front-end.
        channels: of the convolutions before the last.
        reach: bins under each of those convolutions, an odd number.
        roots: whether a number is the root of a note's share in a frame, beside the loudest frame; if not, it is the
            share, and the mean over the frames of a sound adds up to one.
    """

    bins: int = 84
    channels: int = 16
    reach: int = 7
    roots: bool = field(default=True, repr=False)

    def __post_init__(self) -> None:
        if min(self.bins, self.channels) < 1 or self.reach < 1 or self.reach % 2 == 0:
            raise InvalidArgumentError(f"bins and channels must be above zero and reach odd, got {self}")


@register_encoder(
    "Notes", settings=PitchEncoderSettings, presets={"pitch": lambda: PitchEncoder()}, aliases=("PitchEncoder",)
)
class PitchEncoder(Encoder):
    """Constant-Q magnitudes in; layer 1 is the number of each note in a frame, ``[batch, 1, bins, time]``."""

    available = (1,)
    stride = 1
    relative = True

    def __init__(self, settings: PitchEncoderSettings | None = None) -> None:
        super().__init__()
        self.settings = settings = settings or PitchEncoderSettings()
        near = settings.reach // 2
        self.near = nn.Sequential(
            nn.Conv1d(1, settings.channels, settings.reach, padding=near),
            nn.ReLU(),
            nn.Conv1d(settings.channels, settings.channels, settings.reach, padding=near),
            nn.ReLU(),
        )
        self.far = nn.Linear(settings.channels * (2 * settings.bins - 1), 1, bias=False)

    def extra_repr(self) -> str:
        """The settings, under the name that stored fingerprints count."""
        return self.architecture if self.settings.roots else f"{self.architecture}, roots=False"

    @property
    def architecture(self) -> str:
        """The sizes: weights are the same for roots and for shares."""
        return repr(self.settings).replace("PitchEncoderSettings", "NotesSettings", 1)

    def with_roots(self, roots: bool) -> PitchEncoder:
        """The same weights, for roots of shares or for shares."""
        twin = PitchEncoder(replace(self.settings, roots=roots)).train(self.training)
        twin.load_state_dict(self.state_dict())
        return twin

    @property
    def local(self) -> PitchEncoder:
        """The same without the division by how loud the sound is, which `finish` makes up for."""
        twin = copy(self)
        twin.relative = False
        return twin

    def finish(self, frames: Float[Tensor, "batch dim time"]) -> Float[Tensor, "batch dim time"]:
        """The frames of a window weighed by how loud it is; the shares of a frame add up to the frame's loudness."""
        if self.relative:
            return frames
        if self.settings.roots:
            return frames / self._loudness(frames.square().sum(dim=1, keepdim=True), time=2).sqrt()
        return frames / self._loudness(frames.sum(dim=1, keepdim=True), time=2)

    def layers(
        self, representation: Float[Tensor, "batch channel frequency time"], wanted: Sequence[int]
    ) -> list[Float[Tensor, "batch _channel _frequency _time"]]:
        """Roots of the notes' shares of every frame, or the shares; these add up to how loud the frame is.

        That is beside the loudest frame, or beside all on average, but for the `local` form.

        Raises:
            InvalidArgumentError: a wanted layer is not in ``available``, or the representation is not one channel of
                so many bins.
        """
        self.check_wanted(wanted)
        check_shape(self, representation, channels=1, bins=self.settings.bins, min_frames=1)
        frames = representation[:, 0].transpose(1, 2).clamp_min(0)
        tiny = torch.finfo(frames.dtype).tiny
        # From 0 for what is too faint, as for what lies beyond the ends of the scale, to 1.
        relative = 1 - (frames / frames.amax(dim=2, keepdim=True).clamp_min(tiny) + _FAINT).log() / log(_FAINT)
        near = self._near(relative).flatten(1)
        notes = (near @ self._toeplitz().flatten(0, 1)).softmax(dim=1).reshape(frames.shape)
        loudness = frames.square().sum(dim=2, keepdim=True).clamp_min(tiny).sqrt()
        shares = notes * (loudness / self._loudness(loudness, time=1) if self.relative else loudness)
        numbers = (shares.clamp_min(tiny).sqrt() if self.settings.roots else shares).transpose(1, 2).unsqueeze(1)
        return [numbers for _ in wanted]

    def _near(self, frames: Float[Tensor, "batch time bins"]) -> Float[Tensor, "frames channels bins"]:
        """The convolutions before the last, of every frame."""
        if not torch.compiler.is_compiling():
            near: Tensor = self.near(frames.flatten(0, 1)[:, None])
            return near
        # The same; other runtimes are made for images, here of frames by bins.
        image = frames[:, None]
        for layer in self.near:
            if isinstance(layer, nn.Conv1d):
                reach = (0, layer.kernel_size[0] // 2)
                image = functional.conv2d(image, layer.weight[:, :, None], layer.bias, padding=reach).relu()
        return image.transpose(1, 2).flatten(0, 1)

    def _loudness(self, frames: Float[Tensor, ...], time: int) -> Float[Tensor, ...]:
        """That of the frame that all are beside: the loudest, or all of them on average."""
        whole = (torch.amax if self.settings.roots else torch.mean)(frames, dim=time, keepdim=True)
        return whole.clamp_min(torch.finfo(frames.dtype).tiny)

    def baseline(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim _frames"]:
        """The numbers of the notes, averaged over time: [B, bins, 1]."""
        (notes,) = self.layers(representation, [1])
        return notes[:, 0].mean(dim=2, keepdim=True)

    def _toeplitz(self) -> Float[Tensor, "channels bins bins"]:
        """From every bin to every note by how far apart they are: a convolution as a matrix, which is faster."""
        notes = torch.arange(self.settings.bins, device=self.far.weight.device)
        apart = notes[:, None] - notes + self.settings.bins - 1
        return self.far.weight.reshape(self.settings.channels, -1)[:, apart]
