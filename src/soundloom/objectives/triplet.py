"""Triplet objective: hinge loss over triplets of sounds that should sound alike or not (Jansen 2017, section 3.1).

    L(T) = sum_i [ |g(x_a) - g(x_p)|^2 - |g(x_a) - g(x_n)|^2 + margin ]_+                                 (equation 1)

with embeddings g at unit length. Anchors and positives of a batch are embedded in one pass; every one of them, on every
device, that is not known to be like an anchor may be its negative, and "the available negatives are reassigned to the
anchors-positives to make more difficult triplets" (`mining`). The mean over the batch is minimised, not the sum, so
that the rate does not depend on the batch.

Anchors and second windows are drawn by `triplet_batches`. Positives are made of them by `samplers`, where clips are
kept as mel energies, and by `waveform_samplers`, where they are kept as samples for any front-end.

When not: labels of good quality for all the sounds; cross-entropy (`labels`) then learns faster.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import Form, editable_form_of
from soundloom.objectives import samplers, waveform_samplers
from soundloom.objectives.base import Batch, Objective, TrainingData, WindowSampler, register_objective
from soundloom.objectives.mining import Known, negatives_of
from soundloom.objectives.triplet_batches import TripletSettings, triplet_sampler
from soundloom.objectives.triplet_pairs import Recordings

__all__ = ["TripletObjective"]


@register_objective("triplet", TripletSettings, title="Triplet loss: similar sounds lie closer than others.")
class TripletObjective(Objective):
    """The triplet loss of a batch that `triplet_sampler` drew.

    What the samplers draw on the device comes from torch's generators: seeded before the step with the step's number
    (and the process's, where there are several), a step is the same whenever it is taken.

    Args:
        settings: samplers and loss.
        form: how the windows are kept: mel energies, or samples.

    Raises:
        InvalidArgumentError: they are kept in another form, of which no positives can be made.
    """

    def __init__(self, settings: TripletSettings, form: Form) -> None:
        super().__init__()
        makers = {"energies": samplers.POSITIVES, "waveforms": waveform_samplers.POSITIVES}.get(form.sounds_are or "")
        if makers is None:
            raise InvalidArgumentError(
                f"positives are made of energies or waveforms, and not of what {type(form).__name__} stores: prepare "
                "the corpus as MelEnergies(frontend) or Samples(sample_rate)"
            )
        self.settings = settings
        self.form = form
        self._samplers = makers

    @classmethod
    def storage_form(cls, stream: Stream) -> Form:
        """Energies, or waveforms where the front-end has none."""
        return editable_form_of(stream)

    @classmethod
    def sampler(
        cls, settings: TripletSettings, data: TrainingData, clips: Int[np.ndarray, " chosen"], *, batch: int, seed: int
    ) -> WindowSampler:
        """Anchors, their samplers, and second windows; see `triplet_batches`."""
        corpus, dataset = data.corpus, data.dataset
        labels = corpus.label_matrix() if settings.labelled else None
        recordings = Recordings.of(corpus)
        return triplet_sampler(
            settings, dataset, recordings, clips, batch, seed, labels, frames=data.window, hop=dataset.form.hop
        )

    @classmethod
    def create(cls, settings: TripletSettings, stream: Stream, data: TrainingData) -> Self:  # noqa: ARG003
        """For the form of the cached clips."""
        return cls(settings, data.dataset.form)

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss, and how hard the triplets are.

        Args:
            stream: what learns; of log-mel windows, if the form is mel energies.
            batch: as `triplet_sampler` gives it.

        Returns:
            ``loss``; ``violations``, the share of triplets whose margin is not kept; ``positive distance`` and
            ``negative distance``, mean squared distances from the anchor.

        Raises:
            InvalidArgumentError: an anchor without any negative, or mel energies for a stream whose front-end has none.
        """
        anchors = self.form.sounds(batch["anchor"])
        positives, known = self._positives(anchors, batch)
        representation = self.form.represent(torch.cat([anchors, positives]), stream.frontend)
        embeddings = functional.normalize(stream.embed_window(representation).float(), dim=1)
        return self.loss(embeddings, known)

    def loss(self, embeddings: Float[Tensor, "both dim"], known: Known) -> dict[str, Tensor]:
        """What `forward` returns, of unit embeddings of all anchors and then all their positives.

        Raises:
            InvalidArgumentError: an anchor without any negative.
        """
        anchors, positives = embeddings.chunk(2)
        near = (anchors - positives).square().sum(dim=1)
        far, found = negatives_of(anchors, near.detach(), embeddings, known, self.settings.mining)
        hinge = (near - far + self.settings.margin).relu()
        # Last, when all work on the device is queued: reading the result waits for the device.
        if not bool(found.all()):
            raise InvalidArgumentError(
                f"{int((~found).sum())} of {len(found)} anchors have no negative in the batch, all its sounds being "
                "of one recording or class: take a larger batch, or more recordings"
            )
        return {
            "loss": hinge.mean(),
            "violations": (hinge > 0).float().mean().detach(),
            "positive distance": near.mean().detach(),
            "negative distance": far.mean().detach(),
        }

    def _positives(self, anchors: Tensor, batch: Batch) -> tuple[Tensor, Known]:
        """The positive of each anchor by its sampler, of its shape, and what is then known of all."""
        known, positives = Known.of(batch), self.form.sounds(batch["positive"])
        for name in self.settings.shares:
            if name not in self._samplers:
                continue
            rows, sampler = batch["sampler"] == samplers.SAMPLERS.index(name), self._samplers[name]
            others = anchors
            if sampler.mixes:
                partners = known.partners()
                known, others = known.mixed(rows, partners), anchors[partners]
            # For every row, though only some are kept: selecting them would wait for the device.
            made = sampler.make(anchors, others, self.settings)
            positives = torch.where(rows.reshape(-1, *[1] * (made.ndim - 1)), made, positives)
        return positives, known
