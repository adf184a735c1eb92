"""The HEAR 2021 interface: ``load_model``, ``get_scene_embeddings``, ``get_timestamp_embeddings``.

What the benchmark's evaluation kit calls (hearbenchmark.com/hear-api.html), for any model of soundloom:

    heareval.embeddings.runner soundloom.hear --model "cnn14#3#6" --tasks-dir tasks

A scene embedding is the model's embedding; of more than a minute, the mean over minutes by duration, as in
`Embedder.embed`. Timestamps stand every 50 ms, the coarsest that HEAR advises, beginning with 25 ms:

    fine models     whose frames come at least so often: the mean of the frames within each 50 ms
    coarse models   whose frames are longer, or that have none: the embedding of the second of sound centred on the
                    timestamp, silence beyond the sound's ends; where the model takes windows of one fixed length
                    (VGGish 0.975 s, COALA 2.2 s) just so much as fills one

so that all are regular whatever the model. Coarse models compute twenty windows a second of sound: a matter of a GPU
where the model is large. Memory is bounded at any length: a minute of sound, or of windows, is computed at a time.

HEAR knows five sample rates. A model of another takes the next higher and resamples inside. The functions compute no
gradients, as the benchmark is of frozen models. ``python -m soundloom.hear_check`` holds a model against the rules.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from soundloom.audio.decoders.base import LARGEST_PEAK
from soundloom.embedder import BLOCK, Embedder
from soundloom.embedder.resampler import resampler
from soundloom.errors import ModelError
from soundloom.models import DEFAULT, MODELS, load
from soundloom.models.saved_model import CONFIG, WEIGHTS
from soundloom.models.weights.published_checkpoints import CHECKPOINTS

__all__ = ["HOP", "SAMPLE_RATES", "HearModel", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

SAMPLE_RATES = (16000, 22050, 32000, 44100, 48000)
"""The sample rates that HEAR allows, in hertz."""

HOP = 50
"""Milliseconds from one timestamp to the next."""

_SECOND = 1.0


class HearModel(nn.Module):
    """A model as HEAR wants it.

    Attributes:
        sample_rate: of the audio it takes, in hertz; one of `SAMPLE_RATES`.
        scene_embedding_size: numbers in a scene embedding.
        timestamp_embedding_size: numbers in a timestamp embedding.
        embedder: what does the work.
        context: seconds of sound around a timestamp that its embedding covers; None if frames are fine enough.
    """

    def __init__(self, embedder: Embedder) -> None:
        super().__init__()
        self.embedder = embedder.eval()
        rate = embedder.sample_rate
        self.sample_rate = next((legal for legal in SAMPLE_RATES if legal >= rate), SAMPLE_RATES[-1])
        self._resampler = resampler(self.sample_rate, rate)
        self.context = None if _is_fine(embedder) else _context(embedder)
        self.scene_embedding_size = embedder.dim
        self.timestamp_embedding_size = embedder.frame_dim if self.context is None else embedder.dim

    @torch.no_grad()
    def scenes(self, audio: Shaped[Tensor, "sounds samples"]) -> Float[Tensor, "sounds dim"]:
        """One embedding a sound."""
        waveforms = self._heard(audio)
        total = waveforms.new_zeros(len(waveforms), self.embedder.dim, dtype=torch.float64)
        for first, last in self._blocks(waveforms.shape[1]):
            total += (last - first) * self._embedded(waveforms[:, first:last]).double()
        return (total / waveforms.shape[1]).float()

    @torch.no_grad()
    def timestamps(
        self, audio: Shaped[Tensor, "sounds samples"]
    ) -> tuple[Float[Tensor, "sounds times dim"], Float[Tensor, "sounds times"]]:
        """Embeddings over time and the milliseconds that they stand for."""
        waveforms = self._heard(audio)
        duration = 1000 * audio.shape[1] / self.sample_rate
        count = max(1, 1000 * audio.shape[1] // (HOP * self.sample_rate))
        # A sound shorter than half a hop has its one timestamp at its end.
        times = (HOP * (torch.arange(count, device=audio.device) + 0.5)).clamp_max(duration)
        values = self._fine(waveforms, count) if self.context is None else self._coarse(waveforms, count, self.context)
        return values.float(), times.float().expand(len(audio), -1)

    def _fine(self, waveforms: Tensor, count: int) -> Tensor:
        """The mean of the frames in each cell of 50 ms, [sounds, count, frame dim], block by block."""
        parts, done = [], 0
        for first, last in self._blocks(waveforms.shape[1]):
            # Blocks are whole minutes, and so whole cells, but for the last.
            cells = (last - first) * 1000 // (HOP * self.embedder.sample_rate)
            cells = count - done if last == waveforms.shape[1] else cells
            block = waveforms[:, first:last]
            parts.append(torch.cat([self._cells(rows, cells) for rows in self._few(block)]))
            done += cells
        return torch.cat(parts, dim=1)

    def _cells(self, waveforms: Tensor, count: int) -> Tensor:
        frames = self.embedder.frames(_at_least(waveforms, self.embedder.min_samples))
        times = frames.times.to(waveforms.device)
        cells = (times * (1000 / HOP)).long().clamp_max(count - 1)
        sums = frames.values.new_zeros(*frames.values.shape[:2], count).index_add_(2, cells, frames.values)
        numbers = torch.bincount(cells, minlength=count)
        # Windows that leave out a rest at the end can leave the last cell without a frame: the nearest serves.
        centres = (torch.arange(count, device=times.device) + 0.5) * (HOP / 1000)
        nearest = frames.values[..., (centres[:, None] - times).abs().argmin(dim=1)]
        return torch.where(numbers > 0, sums / numbers.clamp_min(1), nearest).transpose(1, 2)

    def _coarse(self, waveforms: Tensor, count: int, context: float) -> Tensor:
        """The embedding of the sound around each timestamp, [sounds, count, dim], a minute of windows at a time."""
        rate = self.embedder.sample_rate
        size = round(context * rate)
        # Window k covers size samples around the middle of cell k, to the nearest sample. Padded by half a window
        # on both sides, sample m of the sound is the middle of the window that begins with m.
        padded = nn.functional.pad(waveforms, (size // 2, size + HOP * rate // 1000))
        every = padded.unfold(1, size, 1)
        middles = (torch.arange(count, device=waveforms.device) + 0.5) * (HOP * rate / 1000)
        values = []
        for starts in torch.split(middles.round().long(), max(1, round(BLOCK / context))):
            windows = every[:, starts].flatten(0, 1)
            values.append(self._embedded(windows).reshape(len(waveforms), len(starts), -1))
        return torch.cat(values, dim=1)

    def _embedded(self, waveforms: Tensor) -> Tensor:
        padded = _at_least(waveforms, self.embedder.min_samples)
        return torch.cat([self.embedder(rows) for rows in self._few(padded)])

    def _few(self, waveforms: Tensor) -> tuple[Tensor, ...]:
        """Rows in groups of a minute of sound, or one by one where a row is as long."""
        return torch.split(waveforms, max(1, round(BLOCK * self.embedder.sample_rate) // waveforms.shape[1]))

    def _heard(self, audio: Tensor) -> Tensor:
        if audio.ndim != 2 or 0 in audio.shape:
            raise ModelError(f"audio must be [sounds, samples] and not empty, got shape {list(audio.shape)}")
        if not audio.is_floating_point():
            raise ModelError(
                f"audio must be floating point in [-1, 1] at {self.sample_rate} Hz, got {audio.dtype}: divide integers "
                "by the largest value of their type"
            )
        # Comparisons with NaN are false.
        if not bool((audio.abs() <= LARGEST_PEAK).all()):
            raise ModelError(
                f"audio must be finite and within [-1, 1], got a value of {float(audio.abs().max()):g}: divide it by "
                "its full scale, 32768 for 16 bits"
            )
        resampled: Tensor = self._resampler(audio)
        return resampled

    def _blocks(self, samples: int) -> Iterator[tuple[int, int]]:
        """Minutes from first sample to last; a rest of less than a quarter joins the one before (`audio.segments`)."""
        size = round(BLOCK * self.embedder.sample_rate)
        starts = [first for first in range(0, samples, size) if not first or samples - first >= size / 4]
        yield from pairwise([*starts, samples])


def load_model(model_file_path: str = "") -> HearModel:
    """Make a model.

    Args:
        model_file_path: empty for the default model, else a model's name (``cnn14#3#6``), the folder of a saved
            model or its weights file, a published weights file under its published name, or ``NAME=FILE``.

    Raises:
        ModelError: there is no such model, or its weights cannot be had.
    """
    path = Path(model_file_path).expanduser()
    if model_file_path and path.is_file():
        if path.name == WEIGHTS and (path.parent / CONFIG).is_file():
            return HearModel(load(str(path.parent.absolute())))
        words = [word for word, row in MODELS.items() if row.checkpoint and _is_published(path, row.checkpoint)]
        if not words:
            raise ModelError(f"{model_file_path!r} may be the weights of any model: say of which, as NAME=FILE")
        return HearModel(load(words[0], weights=path))
    name, separator, file = ("", "", "") if path.is_dir() else model_file_path.partition("=")
    return HearModel(load(name, weights=file) if separator else load(model_file_path or DEFAULT))


def get_scene_embeddings(audio: Shaped[Tensor, "sounds samples"], model: HearModel) -> Float[Tensor, "sounds dim"]:
    """One embedding a sound.

    Args:
        audio: mono, in [-1, 1], at the model's sample rate, on its device.
        model: from `load_model`.

    Raises:
        ModelError: the audio is not two-dimensional, or empty.
    """
    return model.scenes(audio)


def get_timestamp_embeddings(
    audio: Shaped[Tensor, "sounds samples"], model: HearModel
) -> tuple[Float[Tensor, "sounds times dim"], Float[Tensor, "sounds times"]]:
    """Embeddings over time.

    Args:
        audio: mono, in [-1, 1], at the model's sample rate, on its device.
        model: from `load_model`.

    Returns:
        The embeddings, and the milliseconds at the middle of what each stands for.

    Raises:
        ModelError: the audio is not two-dimensional, or empty.
    """
    return model.timestamps(audio)


def _is_published(path: Path, checkpoint: str) -> bool:
    # A safetensors file called model.safetensors could be anybody's.
    return path.name == CHECKPOINTS[checkpoint].source.filename != WEIGHTS


def _at_least(waveforms: Tensor, samples: int) -> Tensor:
    """Padded with silence, without the notice that the embedder itself would give."""
    return nn.functional.pad(waveforms, (0, max(0, samples - waveforms.shape[1])))


@torch.no_grad()
def _is_fine(embedder: Embedder) -> bool:
    """Whether frames come every 50 ms or more often, found by embedding a second of silence."""
    samples = max(round(_SECOND * embedder.sample_rate), embedder.min_samples)
    device = next((tensor.device for tensor in embedder.buffers()), torch.device("cpu"))
    gaps = embedder.frames(torch.zeros(1, samples, device=device)).times.diff()
    return len(gaps) > 0 and float(gaps.max()) <= HOP / 1000 + 1e-9


def _context(embedder: Embedder) -> float:
    """Seconds around a timestamp that a coarse model needs: the most that any of its parts asks for."""
    return max(_wanted(part) for part in embedder.embedders)


def _wanted(part: Embedder) -> float:
    for stream in part.streams:
        if (window := stream.window) is not None and window.fixed and window.fill is None:
            longest = round(window.frames * stream.frontend.hop * stream.sample_rate) + stream.min_samples
            return bisect_left(range(longest), window.frames, key=stream.frontend.frames) / stream.sample_rate
    return max(_SECOND, part.min_samples / part.sample_rate)
