"""Distillation objective: a stream learns the embeddings, class scores and relations of one or more larger models.

    loss = m MSE(h(z), t) + c (1 - cos(h(z), t)) + s BCE(g(z), p) + r MSE(cos(z_i, z_j), cos(t_i, t_j))

z is the stream's embedding of a window; t the teacher's, brought to mean 0 and deviation 1; h and g linear heads that
are not part of the model; p the teacher's class probabilities, whose cross-entropy is summed over classes; and the last
term compares the cosines of all pairs of a batch, z and t centred (relational knowledge distillation: Park et al. 2019;
similarity-preserving: Tung and Mori 2019). The stream itself is given the window louder or quieter, coloured, moved and
with stretches of bands and frames masked (SpecAugment: Park et al. 2019); the targets stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Self, cast

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from soundloom.embedder import Stream
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import Form, Samples
from soundloom.objectives.base import Batch, Objective, TrainingData, register_objective
from soundloom.objectives.distillation_windows import (
    DistillationSampler,
    MixtureWindows,
    draw_mixtures,
    plain_windows,
)
from soundloom.objectives.target_store import targets_of
from soundloom.objectives.teachers import Teacher, load_teachers
from soundloom.tags import AlignedTags, Vocabulary
from soundloom.tags.class_head import ClassHead

__all__ = ["TERMS", "DistillationObjective", "DistillationSettings"]

TERMS = ("squares", "cosine", "classes", "relations")
"""The terms of the loss, which are also the settings that weigh them."""

# The least deviation that a teacher's number is divided by: this, or this share of the deviation of all numbers.
_LEAST_DEVIATION, _SHARE_OF_DEVIATION = 1e-4, 0.05

# Points between which a random filter is linear.
_CONTROL_POINTS = 6


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """Teachers, terms of the loss, and what is done to the sounds.

    Attributes:
        teachers: models to learn from, as `soundloom.load` takes their names.
        weights: of the teachers: "published" or a file for each; nothing for published ones.
        window: seconds of a window; 0.98 s are the 96 frames of 25 ms every 10 ms that YAMNet takes at once.
        hop: seconds from one plain window to the next.
        mixtures: mixtures of two or three sounds for each plain window.
        squares: weight of the squared error of embeddings.
        cosine: weight of their cosine distance.
        classes: weight of the cross-entropy of class scores.
        relations: weight of the squared error of the cosines between the windows of a batch.
        quieter: most decibels by which a window is made quieter.
        louder: most decibels by which a window is made louder.
        colour: deviation of a random smooth filter, in decibels.
        shift: farthest translation in frequency, in bins.
        masks: stretches of bands and of frames that are masked.
        mask_share: longest masked stretch, as a share of the bands or frames.
    """

    teachers: tuple[str, ...] = ("yamnet",)
    weights: tuple[str, ...] = ()
    window: float = 0.98
    hop: float = 0.98
    mixtures: float = 2.0
    squares: float = 1.0
    cosine: float = 1.0
    classes: float = 0.05
    relations: float = 5.0
    quieter: float = 18.0
    louder: float = 6.0
    colour: float = 3.0
    shift: int = 1
    masks: int = 1
    mask_share: float = 0.15

    def __post_init__(self) -> None:
        for name in ("window", "hop"):
            if not getattr(self, name) > 0:
                raise InvalidArgumentError(f"{name} must be above 0 seconds, got {getattr(self, name)}")
        names = (
            "mixtures",
            "squares",
            "cosine",
            "classes",
            "relations",
            "quieter",
            "louder",
            "colour",
            "shift",
            "masks",
        )
        for name in names:
            if getattr(self, name) < 0:
                raise InvalidArgumentError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if not 0 <= self.mask_share < 1:
            raise InvalidArgumentError(f"mask_share must be from 0 to below 1, got {self.mask_share}")
        if not any(getattr(self, name) for name in TERMS):
            raise InvalidArgumentError(
                "one weight of squares, cosine, classes and relations must be above 0, got 0 for all"
            )


@register_objective("distillation", DistillationSettings, title="A stream learns to embed as larger models do.")
class DistillationObjective(Objective):
    """The distillation loss of a batch of waveforms.

    Args:
        settings: terms and augmentation.
        dim: size of the stream's embedding.
        sizes: of each teacher's embedding and class scores.

    Attributes:
        embedders: linear heads to the teachers' embeddings.
        classifiers: linear heads to their class scores, in the order of the teachers that have some.
        class_names: of each teacher, the names of its class scores; empty unless `create` made the objective.
    """

    def __init__(self, settings: DistillationSettings, *, dim: int, sizes: list[tuple[int, int]]) -> None:
        super().__init__()
        self.settings = settings
        self.class_names: tuple[tuple[str, ...], ...] = ()
        self.embedders = nn.ModuleList(nn.Linear(dim, size) for size, _ in sizes)
        self.classifiers = nn.ModuleDict(
            {str(number): nn.Linear(dim, classes) for number, (_, classes) in enumerate(sizes) if classes}
        )
        for number, (size, _) in enumerate(sizes):
            self.register_buffer(f"centre{number}", torch.zeros(size))
            self.register_buffer(f"scale{number}", torch.ones(size))

    @classmethod
    def storage_form(cls, stream: Stream) -> Form:
        """Waveforms, which are mixed before any front-end."""
        return Samples(stream.sample_rate)

    @classmethod
    def sampler(
        cls,
        settings: DistillationSettings,
        data: TrainingData,
        clips: Int[np.ndarray, " chosen"],
        *,
        batch: int,
        seed: int,
    ) -> DistillationSampler:
        """Plain windows and mixtures of some clips, with every teacher's targets."""
        everything = _everything(settings, data)
        mine = np.isin(everything.clips[:, 0], clips)
        windows = [everything.of(mine)]
        count = round(settings.mixtures * len(windows[0]))
        if count:
            windows.append(draw_mixtures(windows[0], data.corpus.split_groups(), count, seed))
        targets: dict[str, list[np.ndarray]] = {}
        for number, teacher in enumerate(_teachers(settings, data)):
            tables = [targets_of(everything, teacher).of(mine), *(targets_of(part, teacher) for part in windows[1:])]
            targets[f"embeddings{number}"] = [table.embeddings for table in tables]
            scores = [table.scores for table in tables if table.scores is not None]
            if scores:
                targets[f"scores{number}"] = scores
        return DistillationSampler(windows, targets, batch, seed)

    @classmethod
    def create(cls, settings: DistillationSettings, stream: Stream, data: TrainingData) -> Self:
        """With heads for the teachers' sizes, and the mean and deviation of their targets over the plain windows."""
        teachers = _teachers(settings, data)
        objective = cls(settings, dim=stream.dim, sizes=[(teacher.dim, len(teacher.classes)) for teacher in teachers])
        objective.class_names = tuple(teacher.classes for teacher in teachers)
        everything = _everything(settings, data)
        for number, teacher in enumerate(teachers):
            table = targets_of(everything, teacher)
            values = table.embeddings.astype(np.float32)
            deviation = values.std(axis=0)
            # A number that hardly ever differs is left small, not blown up.
            floor = max(_LEAST_DEVIATION, _SHARE_OF_DEVIATION * float(np.sqrt(np.square(deviation).mean())))
            objective.get_buffer(f"centre{number}").copy_(torch.from_numpy(values.mean(axis=0)))
            objective.get_buffer(f"scale{number}").copy_(torch.from_numpy(1 / np.maximum(deviation, floor)))
            if table.scores is not None:
                # Most classes are rare: begin with how often each is scored, not with a half.
                usual = torch.from_numpy(table.scores.mean(axis=0, dtype=np.float32))
                objective.get_parameter(f"classifiers.{number}.bias").data.copy_(torch.logit(usual, eps=1e-5))
        return objective

    def tag_model(self, stream: Stream) -> AlignedTags | None:
        """The classes of the first teacher that has some, by the head that was trained to score them."""
        for number, names in enumerate(self.class_names):
            if names:
                head = ClassHead(cast(nn.Linear, self.classifiers[str(number)]), stream.dim)
                return AlignedTags(stream.name, stream.dim, Vocabulary.of_classes(names), head=head)
        return None

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss and its terms, averaged over teachers.

        Args:
            stream: what learns.
            batch: ``waveforms`` [B, N]; ``embeddings0`` [B, D], ``scores0`` [B, C] and so on, a teacher each.
        """
        embedded = stream.embed_window(self._represented(stream, batch["waveforms"])).float()
        settings = self.settings
        terms: dict[str, list[Tensor]] = {name: [] for name in TERMS}
        for number, head in enumerate(self.embedders):
            targets = (batch[f"embeddings{number}"] - self.get_buffer(f"centre{number}")) * self.get_buffer(
                f"scale{number}"
            )
            guessed = head(embedded).float()
            terms["squares"].append(functional.mse_loss(guessed, targets))
            terms["cosine"].append(1 - functional.cosine_similarity(guessed, targets).mean())
            terms["relations"].append(functional.mse_loss(_cosines(embedded), _cosines(targets)))
            if str(number) in self.classifiers:
                logits = self.classifiers[str(number)](embedded).float()
                entropies = functional.binary_cross_entropy_with_logits(
                    logits, batch[f"scores{number}"].clamp(0, 1), reduction="none"
                )
                terms["classes"].append(entropies.sum(dim=1).mean())
        means = {name: torch.stack(values).mean() for name, values in terms.items() if values}
        loss = torch.stack([getattr(settings, name) * value for name, value in means.items()]).sum()
        return {"loss": loss, **means}

    def _represented(
        self, stream: Stream, waveforms: Float[Tensor, "batch samples"]
    ) -> Float[Tensor, "batch channel frequency time"]:
        """What the encoder takes, augmented while training; in full precision whatever the encoder computes in."""
        settings = self.settings
        with torch.no_grad(), torch.autocast(waveforms.device.type, enabled=False):
            if self.training:
                waveforms = coloured(waveforms, settings.colour)
                low, high = -settings.quieter, settings.louder
                gains = low + (high - low) * torch.rand(len(waveforms), 1, device=waveforms.device)
                waveforms = waveforms * 10 ** (gains / 20)
            representation: Tensor = stream.frontend(waveforms)
            if stream.window is not None:
                representation = representation[..., : stream.window.frames]
            if self.training:
                representation = translated(representation, settings.shift)
                for axis in (-2, -1):
                    for _ in range(settings.masks):
                        representation = masked(representation, axis, settings.mask_share)
        return representation


def coloured(waveforms: Float[Tensor, "batch samples"], deviation: float) -> Float[Tensor, "batch samples"]:
    """Waveforms through random smooth filters: decibels drawn at points along the logarithm of frequency."""
    if not deviation:
        return waveforms
    spectra = torch.fft.rfft(waveforms)
    bins = spectra.shape[1]
    points = deviation * torch.randn(len(waveforms), _CONTROL_POINTS, device=waveforms.device)
    position = torch.linspace(1, bins, bins, device=waveforms.device).log() / np.log(bins) * (_CONTROL_POINTS - 1)
    left = position.long().clamp_max(_CONTROL_POINTS - 2)
    share = position - left
    decibels = points[:, left] * (1 - share) + points[:, left + 1] * share
    filtered: Tensor = torch.fft.irfft(spectra * 10 ** (decibels / 20), waveforms.shape[1])
    return filtered


def translated(
    representation: Float[Tensor, "batch channel frequency time"], shift: int
) -> Float[Tensor, "batch channel frequency time"]:
    """Each moved around in time, and up or down by at most ``shift`` bins, the outermost bin repeated."""
    batch, _, bins, frames = representation.shape
    device = representation.device
    times = (torch.arange(frames, device=device) + torch.randint(frames, (batch, 1), device=device)) % frames
    rows = torch.arange(bins, device=device) + torch.randint(-shift, shift + 1, (batch, 1), device=device)
    moved = representation.gather(3, times[:, None, None, :].expand_as(representation))
    return moved.gather(2, rows.clamp(0, bins - 1)[:, None, :, None].expand_as(moved))


def masked(
    representation: Float[Tensor, "batch channel frequency time"], axis: int, share: float
) -> Float[Tensor, "batch channel frequency time"]:
    """Each with a random stretch along an axis, of at most that share of it, set to its mean."""
    batch, size = len(representation), representation.shape[axis]
    device = representation.device
    length = (torch.rand(batch, 1, device=device) * share * size).round()
    begin = (torch.rand(batch, 1, device=device) * (size - length)).floor()
    places = torch.arange(size, device=device)
    hidden = (places >= begin) & (places < begin + length)
    hidden = hidden[:, None, :, None] if axis == -2 else hidden[:, None, None, :]
    mean = representation.mean(dim=(1, 2, 3), keepdim=True)
    return torch.where(hidden, mean, representation)


def _cosines(vectors: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch batch"]:
    """Cosines of all pairs, after the batch's mean is taken away."""
    unit = functional.normalize(vectors - vectors.mean(dim=0))
    return unit @ unit.T


def _everything(settings: DistillationSettings, data: TrainingData) -> MixtureWindows:
    """The plain windows of all clips."""
    rows, hop = (max(1, round(seconds / data.dataset.form.hop)) for seconds in (settings.window, settings.hop))
    return plain_windows(data.dataset, np.arange(len(data.dataset)), rows, hop)


def _teachers(settings: DistillationSettings, data: TrainingData) -> list[Teacher]:
    return _loaded(settings.teachers, settings.weights, data.dataset.form.sample_rate)


@lru_cache(maxsize=2)
def _loaded(names: tuple[str, ...], weights: tuple[str, ...], sample_rate: int) -> list[Teacher]:
    """Teachers that are asked twice are loaded once."""
    return load_teachers(names, weights, sample_rate)
