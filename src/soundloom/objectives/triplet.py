"""Learning from what should sound alike: the triplet loss (Jansen 2017, section 3.1).

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

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache.formats import Form, MelEnergies
from soundloom.feature_cache.waveform_format import Samples
from soundloom.objectives import samplers, waveform_samplers
from soundloom.objectives.base import Batch, Objective
from soundloom.objectives.mining import MINING, Known, negatives_of
from soundloom.objectives.windows import represented, restored

__all__ = ["TripletObjective", "TripletSettings", "only"]


@dataclass(frozen=True, kw_only=True)
class TripletSettings:
    """The samplers and the loss; the defaults are those of the paper's joint model.

    Attributes:
        margin: what a negative must be farther than the positive, in squared distance of unit vectors (0 to 4). The
            paper does not tell its own; 0.2 is that of Schroff 2015, from whom it has the mining.
        mining: "semi-hard", "hardest", or "none" for a negative at random; see `mining`.
        noise: weight of the sampler, its share of the triplets being its weight among all weights; 0 does without it.
        translation: weight of the sampler.
        mixing: weight of the sampler.
        proximity: weight of the sampler.
        labelled: weight of the sampler, which needs labels: the supervised topline.
        sigma: deviation of the noise, as a share of a cell's energy.
        shift: the farthest translation in frequency (the paper's S), in mel bins or, of streams that do not hear mel
            bands, semitones.
        alpha: the share of its energy that is mixed into an anchor.
        delta_t: the longest time between the starts of an anchor and its positive in a recording, in seconds; None
            for any.
        grid: where windows begin: "aligned" side by side from a clip's start as in section 4.1, or "anywhere", up to
            half a window off that.
    """

    margin: float = 0.2
    mining: Literal["semi-hard", "hardest", "none"] = "semi-hard"
    noise: float = 1.0
    translation: float = 1.0
    mixing: float = 1.0
    proximity: float = 1.0
    labelled: float = 0.0
    sigma: float = 0.5
    shift: int = 10
    alpha: float = 0.25
    delta_t: float | None = None
    grid: Literal["aligned", "anywhere"] = "aligned"

    def __post_init__(self) -> None:
        if not 0 <= self.margin < 4:
            raise InvalidArgumentError(
                f"margin must be at least 0 and below 4, got {self.margin}: the squared distance of unit vectors "
                "is 4 at most"
            )
        if self.mining not in MINING:
            raise InvalidArgumentError(f"mining is one of {', '.join(MINING)}, got {self.mining!r}")
        if self.grid not in ("aligned", "anywhere"):
            raise InvalidArgumentError(f"grid is 'aligned' or 'anywhere', got {self.grid!r}")
        for name in ("sigma", "alpha"):
            if not 0 < getattr(self, name) < math.inf:
                raise InvalidArgumentError(
                    f"{name} must be above 0, got {getattr(self, name)}: else positives equal their anchors"
                )
        if self.shift < 0:
            raise InvalidArgumentError(f"shift must be 0 or more bins, got {self.shift}: it goes as far down as up")
        if self.delta_t is not None and not self.delta_t > 0:
            raise InvalidArgumentError(f"delta_t must be above 0 seconds, or None for any distance, got {self.delta_t}")
        weights = {name: getattr(self, name) for name in samplers.SAMPLERS}
        if any(not 0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
            raise InvalidArgumentError(f"sampler weights must be 0 or more and not all 0, got {weights}")

    @property
    def shares(self) -> Mapping[str, float]:
        """Sampler -> its share of the triplets, of those that have one."""
        weights = {name: float(getattr(self, name)) for name in samplers.SAMPLERS}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items() if weight > 0}


def only(*names: str) -> dict[str, Any]:
    """The weights with which these samplers share all triplets: fields of `TripletSettings`.

    >>> TripletSettings(**only("noise", "mixing")).shares
    {'noise': 0.5, 'mixing': 0.5}

    Raises:
        InvalidArgumentError: no such sampler.
    """
    unknown = [name for name in names if name not in samplers.SAMPLERS]
    if unknown or not names:
        raise InvalidArgumentError(f"no sampler {unknown}: choose from {', '.join(samplers.SAMPLERS)}")
    return {name: float(name in names) for name in samplers.SAMPLERS}


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
        if not isinstance(form, MelEnergies | Samples):
            raise InvalidArgumentError(
                f"positives are made of mel energies or samples, and not of what {type(form).__name__} keeps: "
                "prepare the corpus as MelEnergies(frontend) or Samples(sample_rate)"
            )
        self.settings = settings
        self.form = form
        self._making = samplers if isinstance(form, MelEnergies) else waveform_samplers

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss, and what tells how hard the triplets are.

        Args:
            stream: what learns; of log-mel windows, if the form is mel energies.
            batch: as `triplet_sampler` gives it.

        Returns:
            ``loss``; ``violations``, the share of triplets whose margin is not kept; ``positive distance`` and
            ``negative distance``, mean squared distances from the anchor.

        Raises:
            InvalidArgumentError: an anchor without any negative, or mel energies for a stream that does not hear them.
        """
        anchors = restored(batch["anchor"], self.form)
        positives, known = self._positives(anchors, batch)
        representation = represented(torch.cat([anchors, positives]), self.form, stream)
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
        # Asked last, when all work on the device is under way: the answer has to be waited for.
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
        known, making = Known.of(batch), self._making
        positives = restored(batch["positive"], self.form)
        for name in self.settings.shares:
            if name not in samplers.MADE:
                continue
            rows = batch["sampler"] == samplers.SAMPLERS.index(name)
            # Made for every row and kept for some: which those are need not be waited for.
            if name == "noise":
                made = making.noisy(anchors, self.settings.sigma)
            elif name == "translation":
                made = making.translated(anchors, self.settings.shift)
            else:
                partners = known.partners()
                made = making.mixed(anchors, anchors[partners], self.settings.alpha)
                known = known.mixed(rows, partners)
            positives = torch.where(rows.reshape(-1, *[1] * (made.ndim - 1)), made, positives)
        return positives, known
