"""What is kept of a clip, once, so that an objective can draw from it a thousand times.

A *form* turns a waveform into rows and rows back into what is learned from.

    MelEnergies   a row is a frame of mel energies; samplers that add, mix and shift sounds work on these
    Represented   a row is the whole representation of one chunk of so many seconds
    Samples       a row is 10 ms of the waveform (`samples`), for what is changed before it is represented

A waveform comes in blocks of any lengths and is kept piece by piece, so that what is held of a clip of hours is its
rows, 46 MB an hour for the energies of 64 bands every 10 ms, and not its spectra. Where one block ends and the next
begins changes nothing. Everything is computed on one thread, which rounds one way.
"""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from soundloom.embedder import one_thread
from soundloom.embedder.identity import undeclared_state
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache.chunking import overlapping
from soundloom.feature_cache.errors import FeatureCacheError
from soundloom.frontends import EnergyFrontend, Frontend

__all__ = ["Form", "MelEnergies", "Represented"]

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
# transform where the clip in one piece would be (`frontends.framing.BLOCK`), and rounds alike.
_FRAMES = 4096


class Form(ABC):
    """A way to keep a clip.

    Attributes:
        sample_rate: of the waveforms it takes, in hertz.
        min_samples: the shortest waveform that gives a row; a shorter clip is padded with silence.
        shape: of a row.
        dtype: of a row as it is kept.
    """

    sample_rate: int
    min_samples: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

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

    def __init__(self, frontend: EnergyFrontend) -> None:
        self._frontend = copy.deepcopy(frontend).cpu()
        self.sample_rate = frontend.sample_rate
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
            # Of what is left only sound that no chunk has heard counts, and only if it is half a chunk or more.
            unheard = len(chunk) > max(0, self.size - self.step)
            if not last or not kept or (unheard and 2 * len(chunk) >= self.size):
                kept.append(self._represent(chunk))
        return np.stack(kept)

    def restore(self, kept: Tensor) -> Tensor:
        """The representation, ``[..., channel, frequency, time]``."""
        return kept.float()

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
