"""Base class of embedders: sounds to vectors, batched or one by one, reproducible to the bit."""

from __future__ import annotations

import hashlib
import json
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from soundloom.components import digest_of
from soundloom.embedder.threads import alone
from soundloom.embedding_model import EmbeddingModel
from soundloom.errors import ModelError

if TYPE_CHECKING:
    from soundloom.embedder.stream import Stream

__all__ = ["Embedder", "Frames"]

MIN_SAMPLES = "min_samples"
"""What `Embedder.undeclared_state` calls the shortest sound that is not padded."""

_SCHEME = "2:"


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


class Embedder(nn.Module, EmbeddingModel):
    """Sounds in, embeddings out, as a PyTorch module: one alone, or in batches, with gradients.

    It is printed as a line of facts; the front-ends and encoders of its `streams` are printed with their modules.
    """

    # That of nn.Module fills pages.
    __repr__ = EmbeddingModel.__repr__

    @abstractmethod
    def frames(self, waveforms: Float[Tensor, "batch samples"]) -> Frames:
        """Vectors over time of equally long waveforms."""

    @abstractmethod
    def embed_equal(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch dim"]:
        """Embeddings of equally long waveforms, not shorter than ``min_samples``."""

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

    @property
    def shares_frames(self) -> bool:
        """Whether windows of a long sound can share the frames of a part or more."""
        return False

    def shared_frames(
        self,
        waveforms: Float[Tensor, "batch samples"],  # noqa: ARG002
        lead: float = 0.0,  # noqa: ARG002
    ) -> tuple[Frames | None, ...]:
        """The frames of every part that windows of a long sound can share, each on times of its own, for `pool_shared`.

        A frame depends on the sound within a second of it alone. A part without such frames gives None.

        Args:
            waveforms: a stretch of the sound.
            lead: seconds at its beginning whose frames are not wanted: up to 2 s, for what comes after to depend on.
        """
        return (None,) * len(self.embedders)

    def pool_shared(
        self,
        frames: Sequence[Frames | None],  # noqa: ARG002
        waveforms: Float[Tensor, "batch samples"],
    ) -> Float[Tensor, "batch dim"]:
        """The embedding of a window, from the frames of `shared_frames` in it.

        Args:
            frames: of every part; a part without frames embeds the waveforms.
            waveforms: of the window, not shorter than ``min_samples``.
        """
        return self.embed_equal(waveforms)

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
            self._warn_of_padding(waveforms.shape[1])
            return self.embed_equal(self.padded(waveforms))
        if lengths.shape != waveforms.shape[:1] or int(lengths.min()) < 1 or int(lengths.max()) > waveforms.shape[1]:
            raise ModelError(
                f"lengths must be {waveforms.shape[0]} numbers from 1 to {waveforms.shape[1]}, got {lengths.tolist()}"
            )
        self._warn_of_padding(int(lengths.min()))
        out = waveforms.new_empty(waveforms.shape[0], self.dim)
        for length in sorted(set(lengths.tolist())):
            rows = torch.nonzero(lengths == length).squeeze(1).to(waveforms.device)
            out = out.index_copy(0, rows, self.embed_equal(self.padded(waveforms[rows, :length])))
        return out

    def embed_samples(self, samples: Float[np.ndarray, " samples"]) -> Float[np.ndarray, " dim"]:
        """Embed one waveform, in one piece, alone and on one thread: what libraries store."""
        with alone(self):
            return self.embed_equal(self.batch_of(samples))[0].cpu().numpy()

    def embed_frames_of(
        self, samples: Float[np.ndarray, " samples"]
    ) -> tuple[Float[np.ndarray, "time dim"], Float[np.ndarray, " time"]]:
        """Embed one waveform over time, as `embed_samples`; with the seconds at which the vectors are centred."""
        with alone(self):
            frames = self.frames(self.batch_of(samples))
        return frames.values[0].T.cpu().numpy(), frames.times.cpu().numpy()

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

    def batch_of(self, samples: Float[np.ndarray, " samples"]) -> Float[Tensor, "1 _samples"]:
        """One waveform as a batch on the model's device, at least ``min_samples`` long.

        Raises:
            ModelError: the model's numbers are not float32.
        """
        # Buffers first: every front-end has them, and walking a whole model takes as long as a short sound.
        tensors = (tensor for tensor in chain(self.buffers(), self.parameters()) if tensor.is_floating_point())
        held = next(tensors, torch.zeros(0))
        if held.dtype != torch.float32:
            raise ModelError(f"{self.name!r} was made {held.dtype}: embeddings are of float32, use model.float()")
        return self.padded(torch.from_numpy(np.ascontiguousarray(samples, dtype=np.float32))[None].to(held.device))

    def padded(self, waveforms: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch _samples"]:
        """Waveforms, followed by silence up to ``min_samples``."""
        missing = self.min_samples - waveforms.shape[1]
        return nn.functional.pad(waveforms, (0, missing)) if missing > 0 else waveforms
