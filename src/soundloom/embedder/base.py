"""Base class of embedders: sounds to vectors, batched or one by one, reproducible to the bit."""

from __future__ import annotations

import hashlib
import json
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from soundloom import audio
from soundloom.components import digest_of
from soundloom.embedder.sources import Source, each_sound, sound_blocks
from soundloom.embedder.threads import alone
from soundloom.errors import ModelError
from soundloom.html_table import facts_table

if TYPE_CHECKING:
    from soundloom.embedder.stream import Stream

__all__ = ["BLOCK", "Embedder", "Frames", "ShortAudioWarning", "Source"]

BLOCK = 60.0
"""Seconds of a file that are embedded at once; a longer file is embedded block by block."""

MIN_SAMPLES = "min_samples"
"""What `Embedder.undeclared_state` calls the shortest sound that is not padded."""

_SCHEME = "2:"


class ShortAudioWarning(UserWarning):
    """A sound was shorter than the model's shortest input and was padded with silence."""


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
        balance: part name -> how much it counts in a search that weighs all parts evenly; 1 for those not named.
        engine: what computes its encoders, as `soundloom.engines` names it.
    """

    name: str
    sample_rate: int
    dim: int
    parts: Mapping[str, slice]
    frame_dim: int
    min_samples: int
    balance: Mapping[str, float] = MappingProxyType({})
    engine: str = "plain"

    @abstractmethod
    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Vectors over time of equally long waveforms."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Everything but the weights that decides an embedding, as plain JSON data."""

    @abstractmethod
    def _embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Embeddings of equally long waveforms, not shorter than ``min_samples``."""

    def _repr_html_(self) -> str:
        parts = ", ".join(f"{name} {columns.stop - columns.start}" for name, columns in self.parts.items())
        facts = {"embedder": self.name, "numbers of an embedding": self.dim, "parts": parts}
        return facts_table(facts | {"sample rate": f"{self.sample_rate:,} Hz", "engine": self.engine})

    @property
    def embedders(self) -> tuple[Embedder, ...]:
        """One embedder a part, in order; itself unless woven."""
        return (self,)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The parts that are streams, in order: all of them, unless an embedder is of a class of one's own."""
        return ()

    @property
    def class_layer(self) -> nn.Linear | None:
        """The linear map from a frame's vector to logits of `classes`; None without one."""
        return None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the outputs of `class_layer`, in order; empty without one."""
        return ()

    def stream_frames(self, waveforms: Float[Tensor, "batch samples"]) -> tuple[Frames, ...]:  # noqa: ARG002
        """Fused frames of every stream, before pooling, each on times of its own; `pool_frames` takes them.

        Raises:
            ModelError: a part is of a class of one's own, and no stream.
        """
        raise ModelError(f"{self.name!r} is no stream: it has no frames before pooling")

    def pool_frames(self, frames: Sequence[Frames]) -> Float[Tensor, "batch dim"]:  # noqa: ARG002
        """The embedding of a stretch of sound, from the frames of every stream in it; raises as `stream_frames`."""
        raise ModelError(f"{self.name!r} is no stream: it has no frames before pooling")

    def with_layers(self, layers: Sequence[int], pooling: str | None = None) -> Stream:  # noqa: ARG002
        """Other layers of the same weights; see `Stream.with_layers`.

        Raises:
            ModelError: it is no single stream, or its encoder has no such layer.
        """
        raise ModelError(
            f"layers {', '.join(map(str, layers))} were asked of {self.name!r}, which is woven of "
            f"{', '.join(self.parts)}: layers are of a single stream"
        )

    def with_streams(self, change: Callable[[Stream], Stream]) -> Embedder:  # noqa: ARG002
        """The same embedder with other streams, a function of those it has; a part that is no stream stays."""
        return self

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

    def embed(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
    ) -> Float[np.ndarray, "*sounds dim"]:
        """Embed a sound, or a list of sounds one by one, reproducible to the bit.

        A sound longer than a minute is embedded minute by minute, so that memory does not grow with its
        length; the result is the mean of the blocks' embeddings, weighted by duration.

        Args:
            source: a file, or a mono waveform ``[samples]``: floating point in [-1, 1], or integers, which are scaled
                by their type. A list or tuple of these gives a row for each.
            sample_rate: of a waveform, in hertz; it is resampled as a file would be. If not given, floating point is
                taken to have the model's rate. A file knows its own.
            start: where to begin, in seconds of the sound.
            end: where to stop, in seconds of the sound; its end if not given.
            options: how files are decoded.
            notices: a list to which is added what is noticed of the sound, such as silence.

        Raises:
            AudioError: the file cannot be read; the waveform is not one-dimensional, not finite, far beyond full
                scale, or of integers without their rate; the region lies outside the sound.
        """
        if isinstance(source, list | tuple):
            rows = [
                self.embed(one, sample_rate, start=start, end=end, options=options, notices=notices)
                for one in each_sound(source)
            ]
            return np.stack(rows) if rows else np.zeros((0, self.dim), np.float32)
        total, seconds = np.zeros(self.dim, np.float64), 0.0
        for block in self._blocks(source, sample_rate, start, end, options, notices=notices):
            duration = block.end - block.start
            with alone(self):
                vector = self._embed_equal(self._padded(self._row(block.samples)))[0].cpu().numpy()
            total += duration * vector.astype(np.float64)
            seconds += duration
        return (total / seconds).astype(np.float32)

    @overload
    def embed_frames(
        self,
        source: Source,
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]: ...

    @overload
    def embed_frames(
        self,
        source: list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> list[tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]]: ...

    def embed_frames(
        self,
        source: Source | list[Any] | tuple[Any, ...],
        sample_rate: float | None = None,
        *,
        start: float = 0.0,
        end: float | None = None,
        options: audio.DecodeOptions = audio.DEFAULT_OPTIONS,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Any:
        """Embed a sound over time, or a list of sounds one by one, reproducible to the bit.

        Arguments are those of `embed`, and ``av``, a child process for the codecs that need one, if several files are
        embedded at a time.

        Returns:
            The frames' vectors and the seconds, from the beginning of the sound, at which they are centred.

        Raises:
            AudioError: as for `embed`.
        """
        if isinstance(source, list | tuple):
            return [
                self.embed_frames(one, sample_rate, start=start, end=end, options=options, notices=notices, av=av)
                for one in each_sound(source)
            ]
        values, times = [], []
        for block in self._blocks(source, sample_rate, start, end, options, notices=notices, av=av):
            with alone(self):
                frames = self.frames(self._padded(self._row(block.samples)))
            values.append(frames.values[0].T.cpu().numpy())
            times.append(frames.times.cpu().numpy() * options.speed + block.start)
        return np.concatenate(values), np.concatenate(times)

    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, alone and on one thread: what libraries store.

        One shorter than ``min_samples`` is padded without a warning; callers that embed many files count them.
        """
        with alone(self):
            return self._embed_equal(self._padded(self._row(samples), notice=False))[0].cpu().numpy()

    def fingerprint(self) -> str:
        """A hash of all state: equal fingerprints give equal embeddings.

        Raises:
            ComponentError: an attribute of a part has no identity that another process could compare; names it.
        """
        return self.fingerprints()[0]

    def fingerprints(self) -> tuple[str, ...]:
        """The fingerprint, and those that earlier versions of soundloom gave the same model.

        Of a model that is what its settings and weights make it, the fingerprint is a hash of these; else a hash of
        that and of the rest, marked ``2:``. Earlier ones covered settings and weights alone; they are this model's if
        nothing else decides its embeddings but the shortest sound that is not padded.

        Raises:
            ComponentError: as for `fingerprint`.
        """
        declared, undeclared = self._declared(), self.undeclared_state()
        if not undeclared:
            return (declared,)
        text = json.dumps([declared, undeclared], sort_keys=True)
        current = _SCHEME + hashlib.sha256(text.encode()).hexdigest()
        covered = all(name.rpartition("/")[2] == MIN_SAMPLES for name in undeclared)
        return (current, declared) if covered else (current,)

    def undeclared_state(self) -> dict[str, str]:
        """The state that neither `settings` nor the weights hold: what it is -> its digest; empty for most models.

        Raises:
            ComponentError: as for `fingerprint`.
        """
        kind = type(self)
        held = {name: value for name, value in vars(self).items() if name not in vars(nn.Module())}
        return {name: digest_of(value, f"{self.name}.{name}") for name, value in held.items()} | {
            "class": f"{kind.__module__}:{kind.__qualname__}"
        }

    def _declared(self) -> str:
        """A hash of the settings and every weight."""
        digest = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for key, tensor in sorted(self.state_dict().items()):
            digest.update(f"{key} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()

    def _blocks(
        self,
        source: Source,
        sample_rate: float | None,
        start: float,
        end: float | None,
        options: audio.DecodeOptions,
        *,
        notices: list[audio.Notice] | None = None,
        av: audio.AvProcess | None = None,
    ) -> Iterator[audio.AudioSegment]:
        """The sound in blocks of about a minute, each with its times in seconds from the beginning of the sound."""
        blocks = sound_blocks(source, self.sample_rate, sample_rate, start, end, options, notices=notices, av=av)
        for block in audio.segments(blocks, self.sample_rate, BLOCK, BLOCK):
            yield replace(block, start=block.start * options.speed + start, end=block.end * options.speed + start)

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
