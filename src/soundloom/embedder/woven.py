"""Concatenation of several embedders into one, whose parts keep their names and columns."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from itertools import chain
from math import ceil, inf
from typing import TYPE_CHECKING, Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from soundloom.embedder.base import Embedder, Frames
from soundloom.embedder.resampler import resampler
from soundloom.errors import ModelError

if TYPE_CHECKING:
    from soundloom.embedder.stream import Stream

__all__ = ["Woven"]


class Woven(Embedder):
    """Several embedders side by side: their embeddings concatenated, their columns remembered.

    Waveforms come at the highest of the parts' sample rates; parts of a lower rate resample them.

    Args:
        embedders: the parts, in order; names must differ, and parts that are woven themselves are unravelled.
        name: what the whole is called; its parts' names, joined by '+', if not given.
        balance: as for `Embedder`; that of the embedders if not given.
        centred: likewise.

    Raises:
        ModelError: fewer than two parts, or a name twice.
    """

    def __init__(
        self,
        embedders: Sequence[Embedder],
        name: str | None = None,
        balance: Mapping[str, float] | None = None,
        centred: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        flat = [part for embedder in embedders for part in embedder.embedders]
        names = [embedder.name for embedder in flat]
        self.balance = dict(ChainMap(*(dict(each.balance) for each in embedders)) if balance is None else balance)
        if not self.balance.keys() <= set(names) or any(not 0 < share < inf for share in self.balance.values()):
            raise ModelError(f"balance is a number above 0 for each of {', '.join(names)}, got {self.balance}")
        self.centred = tuple(part for each in embedders for part in each.centred) if centred is None else tuple(centred)
        if not set(self.centred) <= set(names):
            raise ModelError(f"centred names parts, of {', '.join(names)}; got {', '.join(self.centred)}")
        if len(flat) < 2:
            raise ModelError(f"weaving takes two parts or more, got {names}")
        if len(set(names)) < len(names):
            raise ModelError(f"parts must have different names, got {names}")
        self.name = name or "+".join(names)
        self.sample_rate = max(embedder.sample_rate for embedder in flat)
        self._modules_of_parts = nn.ModuleList(flat)
        self._resamplers = nn.ModuleList(resampler(self.sample_rate, embedder.sample_rate) for embedder in flat)
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
    def embedders(self) -> tuple[Embedder, ...]:
        """The parts, in order."""
        return cast(tuple[Embedder, ...], tuple(self._modules_of_parts))

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The parts that are streams, in order."""
        return tuple(chain.from_iterable(embedder.streams for embedder in self.embedders))

    def with_streams(self, change: Callable[[Stream], Stream]) -> Woven:
        """The same weaving of other streams."""
        twin = copy(self)
        parts = nn.ModuleList(embedder.with_streams(change) for embedder in self.embedders)
        twin._modules = {**self._modules, "_modules_of_parts": parts}
        return twin

    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Frames of all parts on the times of the part with the fewest; the others give their nearest frame."""
        every = [embedder.frames(resampled) for embedder, resampled in self._each(waveforms)]
        grid = min(every, key=lambda frames: frames.values.shape[-1])
        aligned = []
        for frames in every:
            nearest = (grid.times[:, None] - frames.times[None, :]).abs().argmin(dim=1)
            aligned.append(frames.values[..., nearest.to(frames.values.device)])
        return Frames(values=torch.cat(aligned, dim=1), times=grid.times, weights=grid.weights)

    @property
    def shares_frames(self) -> bool:
        """Whether a part does."""
        return any(embedder.shares_frames for embedder in self.embedders)

    def shared_frames(self, waveforms: Float[Tensor, "batch samples"], lead: float = 0.0) -> tuple[Frames | None, ...]:
        """The frames of every part that shares them, in order."""
        return tuple(
            chain.from_iterable(part.shared_frames(resampled, lead) for part, resampled in self._each(waveforms))
        )

    def pool_shared(
        self, frames: Sequence[Frames | None], waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch dim"]:
        """The embedding of a window, from the frames that its parts share, and its waveform."""
        every = zip(self.embedders, self._resamplers, frames, strict=True)
        pooled = [
            # What its frames are known of is not resampled again.
            part.pool_shared((own,), waveforms if own is not None else part.padded(resample(waveforms)))
            for part, resample, own in every
        ]
        return torch.cat(pooled, dim=1)

    def undeclared_state(self) -> dict[str, str]:
        """That of every part.

        Raises:
            ComponentError: as for `fingerprint`.
        """
        return {
            f"{embedder.name}/{key}": value
            for embedder in self.embedders
            for key, value in embedder.undeclared_state().items()
        }

    def settings(self) -> dict[str, Any]:
        """The settings of every part, in order."""
        return {"parts": [[embedder.name, embedder.settings()] for embedder in self.embedders]}

    def embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """The embeddings of the parts, side by side."""
        return torch.cat([embedder.embed_equal(resampled) for embedder, resampled in self._each(waveforms)], dim=1)

    def _each(self, waveforms: Tensor) -> Iterator[tuple[Embedder, Tensor]]:
        """Every part with the waveforms at its own rate, at least as long as it needs."""
        for embedder, resample in zip(self.embedders, self._resamplers, strict=True):
            yield embedder, embedder.padded(resample(waveforms))
