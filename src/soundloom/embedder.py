"""Embedders: a front-end, an encoder, fused layers and a pooling; and several of them woven into one.

    waveform -> front-end -> encoder -> layers -> (fusion) frames -> (pooling) embedding

A `Stream` is one such chain. A `Woven` embedder holds several and remembers which columns came from
which part, so that a search can weigh the parts and an ablation can leave them out.

Three promises hold for both. The same sound gives the same embedding whatever the batch it came in,
because rows of unequal length are never padded to each other: equal lengths are computed together. A
sound of any length has an embedding: shorter than the model's minimum it is padded with silence, and
longer than the model's window it is cut into windows whose frames are pooled together, weighted by how
much of each is sound. And `Embedder.embed` is reproducible to the bit: it computes each sound alone, on
one thread, so that neither order nor company can change a rounding.
"""

from __future__ import annotations

import hashlib
import json
import threading
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain
from math import ceil
from os import PathLike
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy.typing import NDArray
from torch import Tensor, nn

from soundloom import audio, fusion
from soundloom.encoders.base import Encoder
from soundloom.errors import ModelError
from soundloom.frontends.base import Frontend

__all__ = ["Embedder", "Frames", "ShortAudioWarning", "Stream", "Window", "Woven", "one_thread"]

BLOCK = 60.0
"""Seconds of a file that are embedded at once; a longer file is embedded block by block."""

Source = str | PathLike[str] | NDArray[Any] | Tensor
"""A sound: a file, or a mono waveform in [-1, 1] at the model's sample rate."""


class ShortAudioWarning(UserWarning):
    """A sound was shorter than the model can hear and was padded with silence."""


@dataclass(frozen=True, kw_only=True)
class Window:
    """How much an encoder takes at once, in frames of the front-end.

    Attributes:
        frames: the most it takes.
        fixed: whether it takes exactly so many, so that a shorter rest must be filled; else a rest is
            heard at its own length.
        fill: what a rest is filled with, in the representation; None fills the waveform with silence.
    """

    frames: int
    fixed: bool
    fill: float | None = None


@dataclass(frozen=True)
class Frames:
    """Embeddings over time of equally long sounds.

    Attributes:
        values: one vector a frame, ``[batch, dim, time]``.
        times: the frames' centres in seconds, ``[time]``.
        weights: the share of each frame that is sound and not padding, ``[time]``, in (0, 1].
    """

    values: Float[Tensor, "batch dim time"]
    times: Float[Tensor, " time"]
    weights: Float[Tensor, " time"]


class Embedder(nn.Module, ABC):
    """Sounds in, embeddings out: the interface that libraries, evaluations and the command line ask.

    Attributes:
        name: the model's name, as `soundloom.load` takes it.
        sample_rate: the rate in hertz of the waveforms it takes.
        dim: the size of an embedding.
        parts: part name -> its columns of an embedding; one part, named like the model, unless woven.
        frame_dim: the size of a frame's vector.
        min_samples: shorter waveforms are padded with silence to this many samples.
    """

    name: str
    sample_rate: int
    dim: int
    parts: Mapping[str, slice]
    frame_dim: int
    min_samples: int

    @abstractmethod
    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Vectors over time of equally long waveforms."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything but the weights that decides an embedding, as plain JSON data."""

    @abstractmethod
    def _embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Embeddings of equally long waveforms, not shorter than ``min_samples``."""

    def forward(
        self, waveforms: Float[Tensor, "batch samples"], lengths: Int[Tensor, " batch"] | None = None
    ) -> Float[Tensor, "batch dim"]:
        """Embed a batch; differentiable.

        Args:
            waveforms: mono, in [-1, 1], at ``sample_rate``, padded behind to the longest.
            lengths: how many samples of each row are sound; all of them if not given.

        Raises:
            ModelError: the batch is not two-dimensional, is empty, or lengths do not fit it.
        """
        if waveforms.ndim != 2 or 0 in waveforms.shape:
            raise ModelError(
                f"waveforms must be [batch, samples] and not empty, got shape {list(waveforms.shape)}: "
                "for one sound use model(waveform[None])"
            )
        if lengths is None:
            return self._embed_equal(self._padded(waveforms))
        if lengths.shape != waveforms.shape[:1] or int(lengths.min()) < 1 or int(lengths.max()) > waveforms.shape[1]:
            raise ModelError(
                f"lengths must be {waveforms.shape[0]} numbers from 1 to {waveforms.shape[1]}, got {lengths.tolist()}"
            )
        out = waveforms.new_empty(waveforms.shape[0], self.dim)
        for length in sorted(set(lengths.tolist())):
            rows = torch.nonzero(lengths == length).squeeze(1).to(waveforms.device)
            out = out.index_copy(0, rows, self._embed_equal(self._padded(waveforms[rows, :length])))
        return out

    def embed(self, source: Source, start: float = 0.0, end: float | None = None) -> Float[np.ndarray, " dim"]:
        """Embed one sound, reproducible to the bit.

        A file longer than a minute is embedded minute by minute, so that memory does not grow with its
        length; the result is the mean of the blocks' embeddings, weighted by duration.

        Args:
            source: a file, or a mono waveform in [-1, 1] at ``sample_rate``.
            start: where to begin, in seconds.
            end: where to stop, in seconds; the end of the sound if not given.

        Raises:
            AudioError: the file cannot be read, or the region lies outside it.
            ModelError: the waveform is not one-dimensional, is empty, or is not finite.
        """
        total, seconds = np.zeros(self.dim, np.float64), 0.0
        for block in self._blocks(source, start, end):
            duration = block.end - block.start
            with _alone(self):
                vector = self._embed_equal(self._padded(self._row(block.samples)))[0].cpu().numpy()
            total += duration * vector.astype(np.float64)
            seconds += duration
        return (total / seconds).astype(np.float32)

    def embed_frames(
        self,
        source: Source,
        start: float = 0.0,
        end: float | None = None,
        *,
        av: audio.AvProcess | None = None,
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]:
        """Embed one sound over time, reproducible to the bit.

        Args:
            source: as for `embed`.
            start: as for `embed`.
            end: as for `embed`.
            av: a child process for the codecs that need one, if several files are embedded at a time.

        Returns:
            The frames' vectors and the seconds, from the beginning of the sound, at which they are centred.

        Raises:
            AudioError, ModelError: as for `embed`.
        """
        values, times = [], []
        for block in self._blocks(source, start, end, av):
            with _alone(self):
                frames = self.frames(self._padded(self._row(block.samples)))
            values.append(frames.values[0].T.cpu().numpy())
            times.append(frames.times.cpu().numpy() + block.start)
        return np.concatenate(values), np.concatenate(times)

    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, alone and on one thread: what libraries store.

        One shorter than ``min_samples`` is padded without a notice: whoever embeds many files counts them.
        """
        with _alone(self):
            return self._embed_equal(self._padded(self._row(samples), notice=False))[0].cpu().numpy()

    def fingerprint(self) -> str:
        """A hash of the settings and every weight: equal fingerprints give equal embeddings."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _blocks(
        self, source: Source, start: float, end: float | None, av: audio.AvProcess | None = None
    ) -> Iterator[audio.Segment]:
        """The sound in blocks of about a minute, each with its times from the beginning of the sound."""
        if isinstance(source, str | PathLike):
            blocks = audio.stream(source, self.sample_rate, start, end, av=av)
        else:
            samples = np.asarray(source.detach().cpu() if isinstance(source, Tensor) else source, dtype=np.float32)
            _check_waveform(samples)
            stop = None if end is None else round(end * self.sample_rate)
            samples = samples[round(start * self.sample_rate) : stop]
            if not samples.size:
                raise ModelError(f"no samples between {start} s and {end} s: the region lies outside the waveform")
            blocks = iter([samples])
        for block in audio.segments(blocks, self.sample_rate, BLOCK, BLOCK):
            yield replace(block, start=block.start + start, end=block.end + start)

    def _row(self, samples: Float[np.ndarray, " samples"]) -> Float[Tensor, "1 samples"]:
        # Buffers first: every front-end has them, and walking a whole model takes as long as a short sound.
        device = next((tensor.device for tensor in chain(self.buffers(), self.parameters())), torch.device("cpu"))
        return torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None].to(device)

    def _padded(
        self, waveforms: Float[Tensor, "batch samples"], *, notice: bool = True
    ) -> Float[Tensor, "batch _samples"]:
        missing = self.min_samples - waveforms.shape[1]
        if missing <= 0:
            return waveforms
        if notice:
            warnings.warn(
                f"a sound of {waveforms.shape[1] / self.sample_rate:.3f} s is shorter than the "
                f"{self.min_samples / self.sample_rate:.3f} s that {self.name} needs: padded with silence",
                ShortAudioWarning,
                stacklevel=3,
            )
        return nn.functional.pad(waveforms, (0, missing))


class Stream(Embedder):
    """A front-end, an encoder, the layers to fuse and how to pool them over time.

    Args:
        name: what the stream is called.
        frontend: waveforms to representation.
        encoder: representation to layers.
        layers: the layers to fuse, by the encoder's numbers; None for the encoder's customary embedding.
        pooling: one of `soundloom.fusion.POOLINGS`.
        window: the longest stretch the encoder takes at once; None for any length.
        min_samples: the shortest waveform the encoder takes, where that is more than the front-end's.

    Raises:
        ModelError: the encoder has no such layer, or there is no such pooling.
    """

    def __init__(
        self,
        name: str,
        frontend: Frontend,
        encoder: Encoder,
        *,
        layers: Sequence[int] | None,
        pooling: str,
        window: Window | None = None,
        min_samples: int | None = None,
    ) -> None:
        super().__init__()
        if pooling not in fusion.POOLINGS:
            raise ModelError(f"{name}: no pooling {pooling!r}: choose from {', '.join(fusion.POOLINGS)}")
        if layers is not None:
            try:
                encoder.check_wanted(layers)
            except ValueError as error:
                raise ModelError(f"{name}: {error}") from None
        self.name = name
        self.sample_rate = frontend.sample_rate
        self.frontend = frontend
        self.encoder = encoder
        self.wanted = None if layers is None else tuple(layers)
        self.pooling = pooling
        self.window = window
        self.min_samples = frontend.min_samples if min_samples is None else min_samples
        self.frame_dim = self._measured_frame_dim()
        self.dim = fusion.pooled_size(pooling, self.frame_dim)
        self.parts = {name: slice(0, self.dim)}

    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Fused frames of equally long waveforms (Niizumi 2022, equations 1 and 2), windows joined along time."""
        heard = self.frontend.frames(waveforms.shape[1])
        pieces = [self._frames_of(windows, first, heard) for first, windows in self._windows(waveforms, heard)]
        return Frames(
            values=torch.cat([piece.values for piece in pieces], dim=-1),
            times=torch.cat([piece.times for piece in pieces]),
            weights=torch.cat([piece.weights for piece in pieces]),
        )

    def settings(self) -> dict[str, Any]:
        """The front-end and encoder with their own settings, the layers, the pooling and the window."""
        return {
            "frontend": f"{type(self.frontend).__name__}({self.frontend.extra_repr()})",
            "encoder": f"{type(self.encoder).__name__}({self.encoder.extra_repr()})",
            "layers": self.wanted,
            "pooling": self.pooling,
            "window": repr(self.window),
        }

    def _embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        frames = self.frames(waveforms)
        return fusion.pool(frames.values, frames.weights, self.pooling)

    def _windows(self, waveforms: Tensor, heard: int) -> Iterator[tuple[int, Tensor]]:
        """The representation in windows of equal length, ``[batch, windows, channel, frequency, time]``.

        Each comes with the number of its first frame. There is one group, or two: the whole windows and
        a shorter rest. A rest too short for the encoder stays with the last whole window.
        """
        if self.window is None:
            yield 0, self.frontend(waveforms).unsqueeze(1)
            return
        size = self.window.frames
        if self.window.fixed:
            count = ceil(heard / size)
            if self.window.fill is None:
                representation = self.frontend(
                    nn.functional.pad(waveforms, (0, self._silence(waveforms, count * size)))
                )
                representation = representation[..., : count * size]
            else:
                missing = count * size - heard
                representation = nn.functional.pad(self.frontend(waveforms), (0, missing), value=self.window.fill)
        else:
            representation = self.frontend(waveforms)
            count = heard // size
            if heard % size and self._too_short(heard % size):
                count -= 1
        if count > 0:
            whole = representation[..., : count * size]
            yield 0, whole.reshape(*whole.shape[:-1], count, size).movedim(-2, 1)
        if count * size < heard:
            first = max(0, count) * size
            yield first, representation[..., first:].unsqueeze(1)

    def _silence(self, waveforms: Tensor, frames: int) -> int:
        """How many samples of silence a waveform needs to give so many frames."""
        missing = 0
        while (given := self.frontend.frames(waveforms.shape[1] + missing)) < frames:
            missing += max(1, round((frames - given) * self.frontend.hop * self.sample_rate))
        return missing

    def _too_short(self, frames: int) -> bool:
        """Whether the encoder cannot take so few frames."""
        return frames < self.frontend.frames(self.min_samples)

    def _frames_of(self, windows: Tensor, first: int, heard: int) -> Frames:
        """Fused frames of windows that follow each other from the representation's frame ``first`` on."""
        batch, count, *_, size = windows.shape
        representation = windows.flatten(0, 1)
        if self.wanted is None:
            values = self.encoder.baseline(representation)
        else:
            stride = self.encoder.stride
            layers = self.encoder.layers(representation, self.wanted)
            values = fusion.fuse(layers, 1 if stride is None else max(1, size // stride))
        per_window = values.shape[-1]
        values = values.reshape(batch, count, -1, per_window).movedim(1, -2).flatten(-2)
        # A fused frame covers so many of the front-end's, and weighs as much of them as was sound.
        share = min(size, self.encoder.stride or size) if self.wanted is not None else size / per_window
        numbers = torch.arange(count * per_window, dtype=torch.float64)
        begins = first + numbers // per_window * size + numbers % per_window * share
        weights = ((heard - begins) / share).clamp(0, 1)
        kept = count * per_window
        if self.window is not None and self.window.fixed:
            # Frames wholly of filling are at the end of the last window.
            last = first + (count - 1) * size
            kept -= sum(last + frame * share >= heard for frame in range(per_window))
        centres = self.frontend.times(1) + (begins + (share - 1) / 2) * self.frontend.hop
        return Frames(values=values[..., :kept], times=centres[:kept], weights=weights[:kept].to(values))

    def with_encoder(self, encoder: Encoder) -> Stream:
        """The same stream around another encoder that gives the same layers; the front-end is shared."""
        twin = copy(self)
        twin._modules = {**self._modules, "encoder": encoder}
        return twin

    @torch.no_grad()
    def _measured_frame_dim(self) -> int:
        """The size of a fused frame, found by hearing the shortest silence the chain accepts."""
        training = self.training
        self.eval()
        dim = self.frames(torch.zeros(1, self.min_samples)).values.shape[1]
        self.train(training)
        return dim


class Woven(Embedder):
    """Several embedders side by side: their embeddings concatenated, their columns remembered.

    Waveforms come at the highest of the parts' sample rates; parts of a lower rate resample them.

    Args:
        embedders: the parts, in order; names must differ, and parts that are woven themselves are unravelled.

    Raises:
        ModelError: fewer than two parts, or a name twice.
    """

    def __init__(self, embedders: Sequence[Embedder]) -> None:
        super().__init__()
        flat: list[Embedder] = []
        for embedder in embedders:
            flat.extend(embedder.embedders if isinstance(embedder, Woven) else [embedder])
        names = [embedder.name for embedder in flat]
        if len(flat) < 2:
            raise ModelError(f"weaving takes two parts or more, got {names}")
        if len(set(names)) < len(names):
            raise ModelError(f"parts must have different names to be told apart, got {names}")
        self.name = "+".join(names)
        self.sample_rate = max(embedder.sample_rate for embedder in flat)
        self._modules_of_parts = nn.ModuleList(flat)
        self._resamplers = nn.ModuleList(_resampler(self.sample_rate, embedder.sample_rate) for embedder in flat)
        self.min_samples = max(
            ceil(embedder.min_samples * self.sample_rate / embedder.sample_rate) for embedder in flat
        )
        offset, self.parts = 0, {}
        for embedder in flat:
            self.parts[embedder.name] = slice(offset, offset + embedder.dim)
            offset += embedder.dim
        self.dim = offset
        self.frame_dim = sum(embedder.frame_dim for embedder in flat)

    @property
    def embedders(self) -> list[Embedder]:
        """The parts, in order."""
        return [module for module in self._modules_of_parts if isinstance(module, Embedder)]

    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Frames of all parts on the times of the part with the fewest; the others give their nearest frame."""
        every = [embedder.frames(heard) for embedder, heard in self._each(waveforms)]
        grid = min(every, key=lambda frames: frames.values.shape[-1])
        aligned = []
        for frames in every:
            nearest = (grid.times[:, None] - frames.times[None, :]).abs().argmin(dim=1)
            aligned.append(frames.values[..., nearest.to(frames.values.device)])
        return Frames(values=torch.cat(aligned, dim=1), times=grid.times, weights=grid.weights)

    def settings(self) -> dict[str, Any]:
        """The settings of every part, in order."""
        return {"parts": [[embedder.name, embedder.settings()] for embedder in self.embedders]}

    def _embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        return torch.cat([embedder._embed_equal(heard) for embedder, heard in self._each(waveforms)], dim=1)

    def _each(self, waveforms: Tensor) -> Iterator[tuple[Embedder, Tensor]]:
        """Every part with the waveforms at its own rate, at least as long as it needs."""
        for embedder, resampler in zip(self.embedders, self._resamplers, strict=True):
            heard = resampler(waveforms)
            missing = embedder.min_samples - heard.shape[1]
            yield embedder, nn.functional.pad(heard, (0, missing)) if missing > 0 else heard


def _resampler(old: int, new: int) -> nn.Module:
    if old == new:
        return nn.Identity()
    import julius

    # Longer filters than its default: the error falls from 1.6e-5 to 1e-6 of full scale, for little time.
    resampler: nn.Module = julius.ResampleFrac(old, new, zeros=64)
    return resampler


def _check_waveform(samples: NDArray[np.float32]) -> None:
    if samples.ndim != 1 or not samples.size:
        raise ModelError(f"a sound must be one mono waveform [samples], not empty, got shape {list(samples.shape)}")
    if not np.isfinite(samples).all():
        raise ModelError(f"the waveform is not finite from sample {int(np.argmin(np.isfinite(samples)))} on")


class _OneThread:
    """While anyone is inside, torch computes on one thread in every thread that enters.

    The number of threads decides how sums are split and so how they round; one thread rounds one way.
    The setting is partly the process's and partly the thread's, so only the last one out puts it back.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before = 1

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._before = torch.get_num_threads()
            self._inside += 1
            if torch.get_num_threads() != 1:
                torch.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._before != 1:
                torch.set_num_threads(self._before)


one_thread = _OneThread()
"""Enter it around many `Embedder.embed_samples` calls, so that the setting is not changed for each."""


@contextmanager
def _alone(model: nn.Module) -> Iterator[None]:
    """Evaluate on one thread, without gradients or dropout, and put everything back."""
    training = model.training
    if training:
        model.eval()
    try:
        with one_thread, torch.inference_mode():
            yield
    finally:
        if training:
            model.train()
