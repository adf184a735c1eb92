"""Stream: front-end, encoder, fused layers, pooling and reduction, with windows for long sounds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import copy
from math import ceil
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom import fusion
from soundloom.embedder.base import MIN_SAMPLES, Embedder, Frames
from soundloom.embedder.reduction import Reduction
from soundloom.embedder.undeclared_state import undeclared_state
from soundloom.embedder.window import Window
from soundloom.encoders.base import Encoder
from soundloom.errors import ModelError
from soundloom.frontends.base import Frontend

__all__ = ["Stream"]

_LOCAL = 1.0
"""Seconds of the longest window whose frames count as local."""

_ROUNDING = 1e-6


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
        reduction: what the pooled embedding goes through last; None for nothing.
        fused_dim: numbers of a fused frame before any reduction, where that is known, as it is of a saved model; if
            not given, a short silence is embedded to find out, which takes a second of a large network.

    Raises:
        ModelError: the encoder has no such layer, there is no such pooling, or the reduction takes another size.
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
        reduction: Reduction | None = None,
        fused_dim: int | None = None,
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
        fused = self._measured_fused_dim() if fused_dim is None else fused_dim
        self.frame_dim, self.dim = fused, fusion.pooled_size(pooling, fused)
        self.reduction = reduction
        if reduction is not None:
            wide, dim = reduction.size
            if wide != self.dim:
                raise ModelError(f"{name}: the reduction takes {wide} numbers, the pooled embedding has {self.dim}")
            self.frame_dim = self.dim = dim
        self.parts = {name: slice(0, self.dim)}

    @property
    def fused_dim(self) -> int:
        """Numbers of a fused frame, before pooling and reduction."""
        if self.reduction is None:
            return self.frame_dim
        return self.reduction.size[0] // fusion.pooled_size(self.pooling, 1)

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Itself."""
        return (self,)

    @property
    def class_layer(self) -> nn.Linear | None:
        """The encoder's, if its customary embedding is what comes out: no layers chosen, no reduction."""
        return self.encoder.class_layer if self.wanted is None and self.reduction is None else None

    @property
    def classes(self) -> tuple[str, ...]:
        """The encoder's, where it has a `class_layer`."""
        return () if self.class_layer is None else self.encoder.classes

    def with_streams(self, change: Callable[[Stream], Stream]) -> Stream:
        """What the function makes of it."""
        return change(self)

    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Fused frames of equally long waveforms (Niizumi 2022, equations 1 and 2), windows joined along time.

        Of a stream with a reduction each frame is what a sound of that frame alone would be embedded as.
        """
        fused = self._fused(waveforms)
        if self.reduction is None:
            return fused
        alone = fused.values.movedim(1, -1).flatten(0, 1)[..., None]
        values = torch.unflatten(self._pooled(alone, torch.ones(1)), 0, (len(waveforms), -1)).movedim(-1, 1)
        return Frames(values=values, times=fused.times, weights=fused.weights)

    @property
    def local(self) -> Stream | None:
        """The same for long sounds, each frame of the second before and after it alone; None: it has no such form.

        Of an encoder of windows of a second at most any will do; of another one its `Encoder.local` form.
        """
        frontend, encoder = self.frontend.local, self._local_encoder
        return None if frontend is None or encoder is None else self.with_frontend(frontend).with_encoder(encoder)

    @property
    def shares_frames(self) -> bool:
        """Whether it has a `local` form."""
        return self.local is not None

    def shared_frames(self, waveforms: Float[Tensor, "batch samples"], lead: float = 0.0) -> tuple[Frames | None, ...]:
        """Its fused frames in the `local` form."""
        local = self.local
        if local is None:
            return (None,)
        # Windows of the encoder go on through the lead.
        period = self._seconds(1 if self.window is None else self.window.step)
        before = period * int(lead / period + _ROUNDING)
        fused = local._fused(waveforms[:, round((lead - before) * self.sample_rate) :])
        # Of an end that no frame is centred in, the last one.
        first = min(int(torch.searchsorted(fused.times, before - _ROUNDING)), len(fused.times) - 1)
        return (Frames(fused.values[..., first:], fused.times[first:] - before, fused.weights[first:]),)

    def pool_shared(
        self, frames: Sequence[Frames | None], waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch dim"]:
        """The embedding of a window, from its fused frames, if it has any, or its waveform."""
        (own,) = frames
        if own is None:
            return self.embed_equal(waveforms)
        encoder = self._local_encoder or self.encoder
        return self._pooled(encoder.finish(own.values), own.weights)

    def _fused(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        frames = self.frontend.frames(waveforms.shape[1])
        pieces = [self._frames_of(windows, first, frames) for first, windows in self.windows(waveforms, frames)]
        if len(pieces) == 1:
            return pieces[0]
        return Frames(
            values=torch.cat([piece.values for piece in pieces], dim=-1),
            times=torch.cat([piece.times for piece in pieces]),
            weights=torch.cat([piece.weights for piece in pieces]),
        )

    def embed_window(
        self, representation: Float[Tensor, "batch channel frequency time"]
    ) -> Float[Tensor, "batch _dim"]:
        """Embeddings of windows that were through the front-end before: what objectives train. Differentiable.

        Args:
            representation: as the front-end gives it, not longer than the encoder takes at once.
        """
        frames = self._frames_of(representation.unsqueeze(1), 0, representation.shape[-1])
        return self._pooled(frames.values, frames.weights)

    def undeclared_state(self) -> dict[str, str]:
        """What front-end and encoder hold beyond settings and weights, and a shortest sound of the stream's own.

        Raises:
            ComponentError: as for `fingerprint`.
        """
        found = {} if type(self) is Stream else super().undeclared_state()
        for name, part in (("frontend", self.frontend), ("encoder", self.encoder)):
            found |= {f"{name}/{key}": value for key, value in undeclared_state(part).items()}
        if self.min_samples != self.frontend.min_samples:
            found[MIN_SAMPLES] = str(self.min_samples)
        return found

    def samples_for(self, frames: int, samples: int | None = None) -> int:
        """How long a waveform is that gives so many frames of the front-end.

        Args:
            frames: how many, at least.
            samples: the shortest allowed; ``min_samples`` if not given.
        """
        samples = self.min_samples if samples is None else samples
        while (given := self.frontend.frames(samples)) < frames:
            samples += max(1, round((frames - given) * self.frontend.hop * self.sample_rate))
        return samples

    def renamed(self, name: str) -> Stream:
        """Itself, under another name."""
        self.name, self.parts = name, {name: slice(0, self.dim)}
        return self

    def settings(self) -> dict[str, Any]:
        """The front-end and encoder with their own settings, the layers, the pooling and the window."""
        # A reduction is in the weights, keys and all; no word of it keeps fingerprints of streams without one.
        return {
            "frontend": f"{self.frontend._get_name()}({self.frontend.extra_repr()})",
            "encoder": f"{self.encoder._get_name()}({self.encoder.extra_repr()})",
            "layers": self.wanted,
            "pooling": self.pooling,
            "window": repr(self.window),
        }

    def embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Fused frames, pooled and reduced."""
        frames = self._fused(waveforms)
        return self._pooled(frames.values, frames.weights)

    def _pooled(self, frames: Float[Tensor, "batch _fused time"], weights: Tensor) -> Float[Tensor, "batch dim"]:
        pooled = fusion.pool(frames, weights, self.pooling)
        return pooled if self.reduction is None else self.reduction(pooled)

    def windows(
        self, waveforms: Float[Tensor, "batch samples"], frames: int
    ) -> Iterator[tuple[int, Float[Tensor, "batch windows channel frequency time"]]]:
        """The representation in windows of equal length.

        Each comes with the number of its first frame. There is one group, or two: the whole windows and
        a shorter rest. A rest too short for the encoder stays with the last whole window.
        """
        if self.window is None:
            yield 0, self.frontend(waveforms).unsqueeze(1)
            return
        size = self.window.frames
        if self.window.fixed:
            step = self.window.step
            beyond = max(0, frames - size)
            count = 1 + (beyond // step if self.window.drop else ceil(beyond / step))
            frames = (count - 1) * step + size
            if self.window.fill is None:
                missing = self.samples_for(frames, waveforms.shape[1]) - waveforms.shape[1]
                representation = self.frontend(nn.functional.pad(waveforms, (0, missing)))
            else:
                representation = self.frontend(waveforms)
                missing = max(0, frames - representation.shape[-1])
                representation = nn.functional.pad(representation, (0, missing), value=self.window.fill)
            representation = representation[..., :frames]
            if step < size:
                yield 0, representation.unfold(-1, size, step).movedim(-2, 1)
                return
        else:
            representation = self.frontend(waveforms)
            count = frames // size
            if frames % size and self._too_short(frames % size):
                count -= 1
        if count > 0:
            whole = representation[..., : count * size]
            yield 0, whole.reshape(*whole.shape[:-1], count, size).movedim(-2, 1)
        if count * size < frames:
            first = max(0, count) * size
            yield first, representation[..., first:].unsqueeze(1)

    @property
    def _local_encoder(self) -> Encoder | None:
        brief = self.window is not None and self.window.fixed and self._seconds(self.window.frames) <= _LOCAL
        return self.encoder if brief else self.encoder.local

    def _seconds(self, frames: int) -> float:
        return frames * self.frontend.hop

    def _too_short(self, frames: int) -> bool:
        """Whether the encoder cannot take so few frames."""
        return frames < self.frontend.frames(self.min_samples)

    def _frames_of(self, windows: Tensor, first: int, frames: int) -> Frames:
        """Fused frames of windows that follow each other from the representation's frame ``first`` on."""
        batch, count, *_, size = windows.shape
        values = self._encoded(windows.flatten(0, 1))
        if values.shape[1] != self.fused_dim:
            raise ModelError(
                f"{self.name}: a fused frame has {values.shape[1]} numbers, and {self.fused_dim} were declared: the "
                "settings are of another model; save it again"
            )
        per_window = values.shape[-1]
        values = values.reshape(batch, count, -1, per_window).movedim(1, -2).flatten(-2)
        # A fused frame covers so many of the front-end's, and weighs as much of them as was sound.
        share = min(size, self.encoder.stride or size) if self.wanted is not None else size / per_window
        numbers = torch.arange(count * per_window, dtype=torch.float64)
        step = size if self.window is None or self.window.hop is None else self.window.hop
        begins = first + numbers // per_window * step + numbers % per_window * share
        weights = ((frames - begins) / share).clamp(0, 1)
        kept = count * per_window
        if self.window is not None and self.window.fixed:
            # Frames wholly of filling are at the end of the last window.
            last = first + (count - 1) * step
            kept -= sum(last + frame * share >= frames for frame in range(per_window))
        centres = self.frontend.times(1) + (begins + (share - 1) / 2) * self.frontend.hop
        return Frames(values=values[..., :kept], times=centres[:kept], weights=weights[:kept].to(values))

    def _encoded(self, representation: Tensor) -> Float[Tensor, "batch _fused _frames"]:
        """The encoder's customary embedding, or its wanted layers fused."""
        if self.wanted is None:
            return self.encoder.baseline(representation)
        stride, size = self.encoder.stride, representation.shape[-1]
        layers = self.encoder.layers(representation, self.wanted)
        return fusion.fuse(layers, 1 if stride is None else fusion.frames_of(layers, max(1, size // stride)))

    def with_layers(self, layers: Sequence[int], pooling: str | None = None) -> Stream:
        """The same weights, other layers fused, without a reduction: the model that ``name#layers`` stands for.

        Args:
            layers: by the encoder's numbers.
            pooling: one of `soundloom.fusion.POOLINGS`; if not given, equation 3 of Niizumi 2022, or the mean
                where the encoder has no time axis.

        Raises:
            ModelError: the encoder has no such layer.
        """
        return Stream(
            self.name.partition("#")[0] + "".join(f"#{layer}" for layer in layers),
            self.frontend,
            self.encoder,
            layers=layers,
            pooling=pooling or ("mean" if self.encoder.stride is None else "mean+max"),
            window=self.window,
            min_samples=self.min_samples,
        ).train(self.training)

    def with_reduction(self, reduction: Reduction | None) -> Stream:
        """The same stream with another last step, or none; front-end and encoder are shared.

        Raises:
            ModelError: the reduction is of embeddings of another size.
        """
        return Stream(
            self.name,
            self.frontend,
            self.encoder,
            layers=self.wanted,
            pooling=self.pooling,
            window=self.window,
            min_samples=self.min_samples,
            reduction=reduction,
            fused_dim=self.fused_dim,
        ).train(self.training)

    def with_frontend(self, frontend: Frontend) -> Stream:
        """The same stream on another front-end whose output has the same form; the encoder is shared."""
        twin = copy(self)
        twin._modules = {**self._modules, "frontend": frontend}
        return twin

    def with_encoder(self, encoder: Encoder) -> Stream:
        """The same stream around another encoder that gives the same layers; the front-end is shared."""
        twin = copy(self)
        twin._modules = {**self._modules, "encoder": encoder}
        return twin

    @torch.no_grad()
    def _measured_fused_dim(self) -> int:
        """The numbers of a fused frame, found by embedding the shortest silence that the stream accepts."""
        training = self.training
        self.eval()
        _, windows = next(self.windows(torch.zeros(1, self.min_samples), self.frontend.frames(self.min_samples)))
        dim = self._encoded(windows.flatten(0, 1)).shape[1]
        self.train(training)
        return dim
