"""Storage forms of cached clips: waveform -> rows on disk -> sounds -> the representation that an encoder takes.

    MelEnergies   a row is a frame of mel energies; samplers add, mix and shift these
    Represented   a row is the whole representation of one chunk of so many seconds
    Samples       a row is 10 ms of the waveform (`waveform_format`), for sounds that are changed before the front-end

Which form a stream's clips have is stated by its front-end (``Frontend.storage_form``; `form_of`, `editable_form_of`).

A waveform comes in blocks of any lengths and is stored piece by piece: of a clip of hours only its rows are held, 46 MB
an hour for 64 bands every 10 ms. Block boundaries change nothing. All is computed on one thread, which rounds one way.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from jaxtyping import Float, Shaped
from numpy.typing import NDArray
from torch import Tensor

from soundloom.embedder import Stream, Window
from soundloom.embedder.undeclared_state import undeclared_state
from soundloom.errors import FeatureCacheError, InvalidArgumentError
from soundloom.feature_cache.chunks import overlapping
from soundloom.frontends import EnergyFrontend, Frontend
from soundloom.one_thread import one_thread

__all__ = ["CHUNK_SECONDS", "Form", "MelEnergies", "Represented", "form_of"]

CHUNK_SECONDS = 1.0
"""Length of a chunk of `Represented`, and of training windows where a stream has none of its own."""

# Codes of mel energies. Code 0 is zero, code c > 0 is 2^((c - 1) / STEPS + LOWEST). The 65,535 codes above zero with
# 768 steps an octave reach over 65534 / 768 = 85.3 octaves, from 2^-48 = 3.6e-15 to 2^37.3 = 1.7e11: powers and
# magnitudes alike, from the rounding noise of 24-bit sound to full scale under the longest windows. A value is at
# most half a step from its code, so it is wrong by a factor of 2^(1/1536) or 4.5e-4 at most; float32 adds 3e-6.
# Whatever is less than half a step below the lowest code is silence: the floors of the logarithms that published
# models take are 1e-10 and more, and a magnitude of digital silence, 1e-19, must come out as the zero it stands for.
STEPS = 768
LOWEST = -48
_LAST = 65535

# Frames that are computed at once: 41 s at 10 ms. A power of two, so that a clip in pieces is cut for the Fourier
# transform where the clip in one piece would be (`frontends.frames.BLOCK`), and rounds alike.
_FRAMES = 4096


class Form(ABC):
    """A way to store a clip.

    Attributes:
        sample_rate: of the waveforms it takes, in hertz.
        min_samples: the shortest waveform that gives a row; a shorter clip is padded with silence.
        hop: seconds from one row to the next.
        shape: of a row.
        dtype: of a row as it is stored.
        sounds_are: what `sounds` gives, where samplers can make new sounds of it; None where they cannot.
    """

    sample_rate: int
    min_samples: int
    hop: float
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sounds_are: ClassVar[Literal["energies", "waveforms"] | None] = None

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything that decides the rows of a waveform, as plain JSON data: equal settings give equal rows."""

    @abstractmethod
    def keep_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> NDArray[Any]:
        """The rows of a clip whose waveform comes in blocks ``[samples]``: ``[rows, *shape]`` of ``dtype``.

        Raises:
            InvalidArgumentError: there are no samples.
            FeatureCacheError: a value is too large to be kept.
        """

    @abstractmethod
    def restore(self, kept: Tensor) -> Tensor:
        """What was kept, ``[..., *shape]`` of ``dtype``, as float32; on the device where it lies."""

    @abstractmethod
    def window_rows(self, window: Window | None) -> int:
        """Rows of a training window for an encoder that takes so much at once (None for any length)."""

    @abstractmethod
    def represent(
        self, sounds: Float[Tensor, "batch ..."], frontend: Frontend
    ) -> Float[Tensor, "batch channel frequency time"]:
        """What `sounds` gave, as an encoder behind this front-end takes it, normalised if the front-end does that.

        Raises:
            InvalidArgumentError: sounds of this form are not for such a front-end.
        """

    def sounds(self, kept: Shaped[Tensor, "batch rows *shape"]) -> Float[Tensor, "batch ..."]:
        """Windows of rows as sounds: energies [B, T, F], chunks [B, R, C, F, T], or waveforms [B, N].

        Raises:
            InvalidArgumentError: rows of another shape than the form's.
        """
        if tuple(kept.shape[2:]) != self.shape:
            raise InvalidArgumentError(
                f"windows must be [batch, rows, {', '.join(map(str, self.shape))}], got {list(kept.shape)}: "
                "were they drawn from another form than the objective was given?"
            )
        return self.restore(kept)

    def representation(
        self, kept: Shaped[Tensor, "batch rows *shape"], stream: Stream
    ) -> Float[Tensor, "batch channel frequency time"]:
        """Windows of rows as the stream's encoder takes them: `sounds`, then `represent`.

        Raises:
            InvalidArgumentError: as for these.
        """
        return self.represent(self.sounds(kept), stream.frontend)

    def keep(self, waveform: Float[Tensor, " samples"]) -> NDArray[Any]:
        """The rows of a clip as they are kept: ``[rows, *shape]`` of ``dtype``; see `keep_blocks`."""
        return self.keep_blocks([waveform.detach().cpu().numpy()])

    def _waveform(self, samples: NDArray[np.float32], shortest: int) -> Float[Tensor, "1 _samples"]:
        """Samples as a batch of one, padded with silence to the shortest length."""
        if not samples.size:
            raise InvalidArgumentError("a clip without samples has no rows: leave it out")
        missing = max(0, shortest - len(samples))
        return torch.nn.functional.pad(torch.from_numpy(samples), (0, missing))[None]


class MelEnergies(Form):
    """Frames of mel energies as 16-bit logarithmic codes, right to 5e-4; 0 is silence.

    The energies are those before the front-end's logarithm, so that sounds can be added; front-ends that differ in
    the logarithm alone share what is kept.

    Frames are those of the whole clip in one piece. A front-end that does not centre its frames gives the same codes
    bit by bit; one that does (padding "reflect" or "zeros") is given the neighbouring sound of each piece, and its
    energies may differ in float32's last digit, which now and then moves a code by one.

    Args:
        frontend: whose energies; it is copied, so that what happens to it later changes nothing.
    """

    dtype = np.dtype(np.uint16)

    sounds_are = "energies"

    def __init__(self, frontend: EnergyFrontend) -> None:
        self._frontend = copy.deepcopy(frontend).cpu()
        self.sample_rate, self.hop = frontend.sample_rate, frontend.hop
        self.min_samples = frontend.min_samples
        self.shape = (frontend.bins,)

    def settings(self) -> dict[str, Any]:
        """The front-end's settings but the logarithm's, and the codes'."""
        settings = {"form": "mel energies", "steps": STEPS, "lowest": LOWEST, **self._frontend.energy_settings()}
        return settings | _undeclared(self._frontend)

    def keep_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.uint16]:
        """The codes of every frame, ``[frames, bins]``."""
        framing = self._frontend.framing_settings
        hop = framing.hop_length
        # A piece begins at the sample on which its frame 0 is placed. Centred frames reach n_fft // 2 samples back:
        # the first `lead` frames of a piece would see its padding, not the sound before it, so the piece before
        # computes them. Its last frame, lead + _FRAMES - 1, reaches `ahead` samples beyond the one it is placed on.
        back = 0 if framing.padding == "none" else framing.n_fft // 2
        ahead = framing.win_length if framing.padding == "none" else framing.n_fft - back
        lead = -(-back // hop)
        step = _FRAMES * hop
        size = (lead + _FRAMES - 1) * hop + ahead
        kept: list[NDArray[np.uint16]] = []
        # There is a next piece only where it is long enough for the front-end.
        pieces = overlapping(blocks, size=size, step=step, enough=max(size, step + self.min_samples))
        for piece, last in pieces:
            with one_thread, torch.inference_mode():
                energies = self._frontend.energies(self._waveform(piece, 0 if kept else self.min_samples))[0]
                frames = energies if last else energies[:, : lead + _FRAMES]
                kept.append(_encode(frames[:, lead:] if kept else frames))
        return np.concatenate(kept)

    def restore(self, kept: Tensor) -> Tensor:
        """The energies, ``[..., bins]``."""
        codes = kept.float()
        silent = codes == 0
        # The sum of integers is exact in float32, so that only the quotient and the power round.
        return codes.add_(LOWEST * STEPS - 1).div_(STEPS).exp2_().masked_fill_(silent, 0)

    def window_rows(self, window: Window | None) -> int:
        """The encoder's window if its length is fixed, else `CHUNK_SECONDS`, or what the encoder takes at most."""
        frames = round(CHUNK_SECONDS / self.hop)
        if window is None:
            return frames
        return window.frames if window.fixed else min(window.frames, frames)

    def represent(
        self, sounds: Float[Tensor, "batch time bins"], frontend: Frontend
    ) -> Float[Tensor, "batch channel frequency time"]:
        """Compressed by the front-end itself, time last, then normalised."""
        base = frontend.base
        if base.storage_form != "energies":
            raise InvalidArgumentError(
                f"frames of mel energies are for a front-end such as a log-mel spectrogram, this one is "
                f"{type(base).__name__}: prepare the corpus as Represented(frontend, seconds=1.0)"
            )
        compressed = cast(EnergyFrontend, base).compress(sounds)
        return frontend.normalise(compressed.transpose(1, 2).unsqueeze(1))


class Represented(Form):
    """The representation of one chunk of a clip after another, as float16.

    A chunk is represented alone, as if it were a whole sound. What is left of a clip at its end, less than a chunk,
    is a chunk padded with silence if it is at least half a chunk, or if the clip has no other.

    Args:
        frontend: what represents; it is copied, so that what happens to it later changes nothing.
        seconds: the length of a chunk.
        hop: seconds from one chunk to the next; the length of a chunk if not given.

    Raises:
        InvalidArgumentError: a chunk is too short for the front-end, or the hop is less than a sample.
    """

    dtype = np.dtype(np.float16)

    def __init__(self, frontend: Frontend, seconds: float, hop: float | None = None) -> None:
        self._frontend = copy.deepcopy(frontend).cpu()
        self.sample_rate = frontend.sample_rate
        self.size = round(seconds * frontend.sample_rate)
        self.step = self.size if hop is None else round(hop * frontend.sample_rate)
        self.min_samples = frontend.min_samples
        if self.size < self.min_samples or self.step < 1:
            raise InvalidArgumentError(
                f"chunks of {seconds} s every {hop if hop is not None else seconds} s are {self.size} samples every "
                f"{self.step} at {self.sample_rate} Hz: {type(frontend).__name__} needs {self.min_samples} samples or "
                "more, and the hop is one sample or more"
            )
        self.hop = self.step / self.sample_rate
        self.shape = tuple(self._represent(np.zeros(self.size, np.float32)).shape)

    def settings(self) -> dict[str, Any]:
        """The front-end with all its settings and learned numbers, and the chunks'."""
        digest = hashlib.sha256()
        for name, tensor in sorted(self._frontend.state_dict().items()):
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.contiguous().numpy().tobytes())
        return {
            "form": "represented",
            "frontend": repr(self._frontend),
            "weights": digest.hexdigest(),
            "size": self.size,
            "step": self.step,
        } | _undeclared(self._frontend)

    def keep_blocks(self, blocks: Iterable[NDArray[np.float32]]) -> NDArray[np.float16]:
        """The representation of every chunk, ``[chunks, channel, frequency, time]``."""
        kept: list[NDArray[np.float16]] = []
        for chunk, last in overlapping(blocks, size=self.size, step=self.step, enough=self.size):
            # Of the rest only sound that no chunk holds counts, and only if it is half a chunk or more.
            uncovered = len(chunk) > max(0, self.size - self.step)
            if not last or not kept or (uncovered and 2 * len(chunk) >= self.size):
                kept.append(self._represent(chunk))
        return np.stack(kept)

    def restore(self, kept: Tensor) -> Tensor:
        """The representation, ``[..., channel, frequency, time]``."""
        return kept.float()

    def window_rows(self, window: Window | None) -> int:  # noqa: ARG002 (a chunk is a window)
        """One: a row is a whole chunk."""
        return 1

    def represent(
        self, sounds: Float[Tensor, "batch rows channel frequency time"], frontend: Frontend
    ) -> Float[Tensor, "batch channel frequency _time"]:
        """Chunks joined along time, then normalised."""
        return frontend.normalise(sounds.movedim(1, 3).flatten(3))

    def _represent(self, chunk: NDArray[np.float32]) -> NDArray[np.float16]:
        with one_thread, torch.inference_mode():
            representation = self._frontend(self._waveform(chunk, self.size))[0].half()
        if not representation.isfinite().all():
            raise FeatureCacheError(
                f"{type(self._frontend).__name__} gives numbers beyond 65,504, the largest that float16 holds: take a "
                "front-end with a logarithm"
            )
        kept: NDArray[np.float16] = representation.numpy()
        return kept


def form_of(stream: Stream) -> Form:
    """How clips are stored for a stream, as its front-end states."""
    base = stream.frontend.base
    if base.storage_form == "energies":
        return MelEnergies(cast(EnergyFrontend, base))
    return Represented(base, seconds=CHUNK_SECONDS)


def _undeclared(frontend: Frontend) -> dict[str, Any]:
    """What decides a front-end's output besides its settings and weights; no key where nothing does.

    Raises:
        ComponentError: an attribute has no identity that another process could compare.
    """
    undeclared = undeclared_state(frontend)
    return {"undeclared": undeclared} if undeclared else {}


def _encode(energies: Float[Tensor, "bins frames"]) -> NDArray[np.uint16]:
    """The codes of energies, frames first."""
    codes = energies.log2().sub_(LOWEST).mul_(STEPS).add_(1).round_().clamp_min_(0)
    if (codes > _LAST).any():
        raise FeatureCacheError(
            f"a mel energy of {float(energies.max()):.3g} is beyond {2 ** ((_LAST - 1) / STEPS + LOWEST):.3g}, the "
            "largest that is kept: is the waveform within [-1, 1]?"
        )
    kept: NDArray[np.uint16] = codes.T.contiguous().numpy().astype(np.uint16)
    return kept
