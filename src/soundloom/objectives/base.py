"""What every objective is: given a stream and a batch, a loss.

An objective is a module because some learn heads of their own (a classifier, a tag encoder); they are trained with
the stream and thrown away with the objective. Which batches it is given is decided elsewhere: a *draw* is a function
from the number of a step to that step's batch, so that a run that was stopped goes on with the very batches it would
have seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor, nn

from soundloom.embedder import Stream

__all__ = ["Batch", "BatchSampler", "Objective"]

Batch = dict[str, Tensor]
"""Named tensors, the first axis of each being the examples."""

BatchSampler = Callable[[int], Batch]
"""Step number -> its batch, on the CPU; the same number gives the same batch, whatever was drawn before."""


class Objective(nn.Module, ABC):
    """How a stream learns."""

    @abstractmethod
    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss of a batch, and whatever else is worth a curve.

        Returns:
            Scalars by name; ``loss`` is what is minimised.
        """
