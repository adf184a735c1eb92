"""Learning which note sounds, from sounds whose note is known.

The stream's embedding is the root of a share for each note (`soundloom.encoders.PitchEncoder`): there is no head, and
what is minimised is the cross-entropy of the shares themselves, so that the numbers of the embedding are the notes.

When not: streams whose embedding is not notes; learn labels instead, by a head (`labels`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from soundloom.embedder import Stream
from soundloom.feature_cache.formats import Form
from soundloom.objectives.base import Batch, Objective
from soundloom.objectives.windows import representation

__all__ = ["PitchObjective"]


class PitchObjective(Objective):
    """Cross-entropy of a window's notes.

    Args:
        form: what the windows' rows are.
    """

    def __init__(self, form: Form) -> None:
        super().__init__()
        self.form = form

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss, and ``right``: the share of windows whose strongest note is theirs.

        Args:
            stream: what learns.
            batch: ``windows``, rows as they are kept [B, R, *shape]; ``targets``, zeros and a one [B, notes].
        """
        shares = stream.embed_window(representation(batch["windows"], self.form, stream)).square()
        tiny = torch.finfo(shares.dtype).tiny
        given = (shares * batch["targets"]).sum(dim=1) / shares.sum(dim=1).clamp_min(tiny)
        right = shares.detach().argmax(dim=1) == batch["targets"].argmax(dim=1)
        return {"loss": -given.clamp_min(tiny).log().mean(), "right": right.float().mean()}
