"""Batch sampler of triplets: anchors, and the second windows that some positives need.

Jansen 2017, section 4.1: "We then process these per-recording spectrograms into nonoverlapping 0.96 second context
windows, such that each training example is a F = 64 by T = 96 matrix." Of streams without mel bands a window
is a second of samples, 100 rows of 10 ms. Every window is as likely an anchor as any other; each anchor has its sampler
by the samplers' shares. What is left of a clip after its last whole window is not used; a clip shorter than a window
is one window, silence at its end. A batch whose anchors all came of one recording,
which then had no negatives, is drawn anew, every recording being as likely.

    noise, translation, mixing   any window; the positive is made of it later, on the device (`samplers`,
                                 `waveform_samplers`)
    proximity                    a window with another of the same recording that begins at most delta_t away and does
                                 not overlap it; the positive is one of those
    labelled                     a class, two of its clips, a window of each

A batch is a function of the seed and the step's number alone:

    anchor       windows as they are kept, [B, T, *shape of a row]
    positive     the second windows, as much; the anchors again where samplers make them
    sampler      number of each anchor's sampler, its index in `SAMPLERS`, int64 [B]
    recordings   number of the anchor's and the positive's recording, int64 [B, 2]
    labels       their classes, bool [B, 2, classes]; only with labels
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Int

from soundloom.corpora import CorpusError
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import FeatureDataset
from soundloom.objectives.base import Batch
from soundloom.objectives.mining import MINING, Known
from soundloom.objectives.samplers import SAMPLERS
from soundloom.objectives.triplet_pairs import Classmates, Neighbours, Recordings, WindowIndex, pick

__all__ = ["TripletBatchSampler", "TripletSettings", "only", "triplet_sampler"]

ATTEMPTS = 100
"""How often a batch without negatives is drawn anew, before the corpus is given up."""


@dataclass(frozen=True, kw_only=True)
class TripletSettings:
    """The samplers and the loss; the defaults are those of the paper's joint model.

    Attributes:
        margin: what a negative must be farther than the positive, in squared distance of unit vectors (0 to 4). The
            paper does not report its own; 0.2 is that of Schroff 2015, the source of its mining.
        mining: "semi-hard", "hardest", or "none" for a negative at random; see `mining`.
        noise: weight of the sampler, its share of the triplets being its weight among all weights; 0 does without it.
        translation: weight of the sampler.
        mixing: weight of the sampler.
        proximity: weight of the sampler.
        labelled: weight of the sampler, which needs labels: the supervised topline.
        sigma: deviation of the noise, as a share of a cell's energy.
        shift: the farthest translation in frequency (the paper's S), in mel bins or, of streams without mel
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
        weights = {name: getattr(self, name) for name in SAMPLERS}
        if any(not 0 <= weight < math.inf for weight in weights.values()) or not any(weights.values()):
            raise InvalidArgumentError(f"sampler weights must be 0 or more and not all 0, got {weights}")

    @property
    def shares(self) -> Mapping[str, float]:
        """Sampler -> its share of the triplets, of those that have one."""
        weights = {name: float(getattr(self, name)) for name in SAMPLERS}
        total = sum(weights.values())
        return {name: weight / total for name, weight in weights.items() if weight > 0}


def only(*names: str) -> dict[str, Any]:
    """The weights with which these samplers share all triplets: fields of `TripletSettings`.

    >>> TripletSettings(**only("noise", "mixing")).shares
    {'noise': 0.5, 'mixing': 0.5}

    Raises:
        InvalidArgumentError: no such sampler.
    """
    unknown = [name for name in names if name not in SAMPLERS]
    if unknown or not names:
        raise InvalidArgumentError(f"no sampler {unknown}: choose from {', '.join(SAMPLERS)}")
    return {name: float(name in names) for name in SAMPLERS}


class TripletBatchSampler:
    """Step number -> batch; see the module's text. Made by `triplet_sampler`.

    Args:
        settings: samplers.
        dataset: the windows' rows.
        windows: what may be drawn.
        batch: anchors a step.
        seed: of everything drawn.
        labels: true where a clip has a class, if labels are known.
    """

    def __init__(
        self,
        settings: TripletSettings,
        dataset: FeatureDataset,
        windows: WindowIndex,
        batch: int,
        seed: int,
        labels: Bool[np.ndarray, "clips classes"] | None,
    ) -> None:
        self.settings, self.dataset, self.windows, self.batch, self.seed = settings, dataset, windows, batch, seed
        self.labels = labels
        shares = settings.shares
        self.samplers = np.array([SAMPLERS.index(name) for name in shares])
        self.shares = np.array(list(shares.values()))
        self.neighbours = Neighbours(windows, settings.delta_t) if "proximity" in shares else None
        self.classes = Classmates(windows, labels) if "labelled" in shares and labels is not None else None

    def __len__(self) -> int:
        """How many windows there are to draw from."""
        return len(self.windows.clips)

    @property
    def clips(self) -> Int[np.ndarray, " windows"]:
        """The clip of each window."""
        return self.windows.clips

    @property
    def starts(self) -> Int[np.ndarray, " windows"]:
        """The first row of each window."""
        return self.windows.starts

    @property
    def size(self) -> int:
        """Rows of a window."""
        return self.windows.frames

    def __call__(self, step: int) -> Batch:
        """The batch of a step."""
        generator = np.random.default_rng([self.seed, step])
        for attempt in range(ATTEMPTS):
            sampler, anchors, positives = self._pairs(generator, evenly=attempt > 0)
            known = self._known(sampler, anchors, positives)
            if Known.of(known).have_negatives():
                break
        else:
            raise CorpusError(
                f"{ATTEMPTS} draws of {self.batch} anchors in a row had an anchor without a negative, all their sounds "
                "being of one recording or class: take a larger batch, or more recordings"
            )
        windows = self.windows
        starts = windows.starts[anchors], windows.starts[positives]
        if self.settings.grid == "anywhere":
            starts = windows.moved(anchors, positives, generator)
        return {
            "anchor": self.dataset.take(windows.clips[anchors], starts[0], windows.frames),
            "positive": self.dataset.take(windows.clips[positives], starts[1], windows.frames),
            **known,
        }

    def _pairs(self, generator: np.random.Generator, *, evenly: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The sampler of each anchor, the anchors and their second windows, by their places among the windows."""
        sampler = generator.choice(self.samplers, self.batch, p=self.shares)
        anchors = pick(np.arange(len(self)), self.windows.recordings, self.batch, generator, evenly=evenly)
        positives = anchors.copy()
        if self.neighbours is not None:
            rows = np.flatnonzero(sampler == SAMPLERS.index("proximity"))
            anchors[rows], positives[rows] = self.neighbours.sample(len(rows), generator, evenly=evenly)
        if self.classes is not None:
            rows = np.flatnonzero(sampler == SAMPLERS.index("labelled"))
            anchors[rows], positives[rows] = self.classes.sample(len(rows), generator)
        return sampler, anchors, positives

    def _known(self, sampler: np.ndarray, anchors: np.ndarray, positives: np.ndarray) -> Batch:
        """What a batch says of its windows: samplers, recordings and labels."""
        pairs = np.stack([anchors, positives], axis=1)
        known = {
            "sampler": torch.from_numpy(sampler),
            "recordings": torch.from_numpy(self.windows.recordings[pairs]),
        }
        if self.labels is not None:
            known["labels"] = torch.from_numpy(self.labels[self.windows.clips[pairs]])
        return known


def triplet_sampler(
    settings: TripletSettings,
    dataset: FeatureDataset,
    recordings: Recordings,
    clips: Int[np.ndarray, " chosen"],
    batch: int,
    seed: int,
    labels: Bool[np.ndarray, "clips classes"] | None = None,
    *,
    frames: int = 96,
    hop: float = 0.01,
) -> TripletBatchSampler:
    """Draw triplets from some clips of a corpus.

    Args:
        settings: samplers and their shares.
        dataset: the corpus, as mel energies or samples.
        recordings: where its clips were cut from.
        clips: the clips to draw from, by their places in the corpus.
        batch: anchors a step.
        seed: of everything drawn.
        labels: true where a clip of the corpus has a class (`Corpus.label_matrix`); for the labelled sampler, and to
            keep sounds of a class from being each other's negatives. Leave out to learn without labels.
        frames: rows of a window.
        hop: seconds from row to row.

    Raises:
        CorpusError: no clip could be decoded, all are of one recording (or class), no recording has two windows for the
            proximity sampler, or the labelled one has no labels or no class of two clips.
        InvalidArgumentError: a batch of fewer than two anchors.
    """
    if batch < 2:
        raise InvalidArgumentError(f"batch must be at least 2, got {batch}: an anchor's negatives are among the others")
    windows = WindowIndex.of(dataset, recordings, clips, frames, hop)
    if not len(windows.clips):
        raise CorpusError(f"none of the {len(clips)} training clips could be decoded; see dataset.failures")
    shares = settings.shares
    if set(shares) != {"labelled"} and len(np.unique(windows.recordings)) < 2:
        raise CorpusError(
            f"all {len(windows.clips)} windows are of one recording, and negatives come from another: add files, or "
            "learn from labels alone (labelled 1, every other sampler 0)"
        )
    if "labelled" in shares and labels is None:
        raise CorpusError(
            f"the labelled sampler has the share {shares['labelled']:.2f}, and there are no labels: set it to 0"
        )
    return TripletBatchSampler(settings, dataset, windows, batch, seed, labels)
