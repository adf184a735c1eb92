"""A model as X-ARES wants its encoders: waveforms in, vectors every 50 ms out.

    from soundloom.xares import XaresEncoder
    encoder = XaresEncoder("loom")

The vectors are the timestamp embeddings of `soundloom.hear`, which says how they are made.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from soundloom.embedder import Embedder
from soundloom.hear import HOP, HearModel
from soundloom.models import DEFAULT, load

__all__ = ["XaresEncoder"]


class XaresEncoder(nn.Module):
    """An encoder for X-ARES, frozen.

    Args:
        model: a model or its name.

    Attributes:
        sampling_rate: of the audio it takes, in hertz.
        output_dim: numbers in a vector.
        hop_size_in_ms: from one vector to the next.
    """

    hop_size_in_ms = HOP

    def __init__(self, model: str | Embedder = DEFAULT) -> None:
        super().__init__()
        self.model = HearModel(load(model) if isinstance(model, str) else model)
        self.sampling_rate = self.model.sample_rate
        self.output_dim = self.model.timestamp_embedding_size

    def forward(self, audio: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch time dim"]:
        """Embed a batch of equally long mono waveforms in [-1, 1].

        Raises:
            ModelError: the batch is not two-dimensional, or empty.
        """
        return self.model.timestamps(audio)[0]
