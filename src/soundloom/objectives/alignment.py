"""Alignment objective: an audio stream and a tag encoder share one space (COALA, Favory 2020).

    L = w_a D_KL(X || X')  +  w_t CE(y, y')  +  w_c L_xi(phi_a, phi_t)  +  w_d CE(y, y'')          (equation 13)

X' is the window decoded from z_a = e_a(X), y' the tags decoded from z_t = e_t(y), and phi_a, phi_t are z_a and z_t
after a linear map each (equations 8 and 9). The paper's three cases are weights of this one loss, and what has no
weight is not built:

    AE-C   5, 5, 10, 0    `AlignmentSettings()`
    E-C    0, 0, 10, 0    `AlignmentSettings.e_c()`
    CNN    0, 0, 0, 1     `AlignmentSettings.cnn()`; y'' is predicted from z_a by two fully connected layers

Paper and published code differ; the weights were chosen with the code, so its way is the default:

                                     code, default                        paper, `AlignmentSettings.paper()`
    equation 10's denominator        has the positive pair                leaves it out
    its negatives                    the batch's tags and sounds          the batch's tags
    its directions                   audio to tags and back, averaged     audio to tags
    inside the logarithm             p + 1e-5                             p
    over the batch                   means                                sums (here means: a matter of weights)
    affine maps (equations 8, 9)     linear, with dropout                 affine

Any stream can be aligned. One that is not COALA's gets a linear map of its own to the 1152 numbers in which audio
and tags are compared. A window can only be decoded where it is 96 x 96 in [0, 1] and the embedding has 1152 numbers,
that is with COALA's front-end and encoder: for others the first weight must be 0.

When not: batches in which most sounds have the same tags. Such pairs are negatives of each other although nothing
distinguishes them; ``same_tags_repel=False`` leaves them out of the denominators.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Literal, Self

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.distributed import all_gather
from soundloom.embedder import Stream
from soundloom.encoders import COALA_DIM, COALATagEncoder
from soundloom.encoders.audio_decoder import SIDE, AudioDecoder
from soundloom.encoders.dropout import Dropout
from soundloom.encoders.init import he_normal
from soundloom.errors import InvalidArgumentError
from soundloom.feature_cache import Form
from soundloom.objectives.base import Batch, TrainingData, register_objective
from soundloom.objectives.labels import ClassObjective
from soundloom.tags.class_head import TagHead
from soundloom.tags.tag_decoder import TagDecoder

__all__ = [
    "AlignmentObjective",
    "AlignmentSettings",
    "can_decode",
    "contrast",
    "generalised_kl",
    "has_own_map",
    "same_tags",
    "tag_cross_entropy",
]

_TINY = 1e-5
_DROPOUT = 0.25

Directions = Literal["both", "audio"]


@dataclass(frozen=True, kw_only=True)
class AlignmentSettings:
    """Weights and the form of the contrastive loss; the defaults are AE-C as the published code trains it.

    Attributes:
        audio_weight: of the reconstructed audio, w_a.
        tag_weight: of the reconstructed tags, w_t.
        contrast_weight: of the agreement of audio and tags, w_c.
        direct_weight: of the tags predicted from the audio without a tag encoder, w_d.
        temperature: tau of equation 11.
        positive_below: whether the positive pair is in equation 10's denominator.
        siblings_repel: whether sounds are negatives for sounds, and tags for tags, as in SimCLR.
        same_tags_repel: whether two sounds with the very same tags are negatives for each other.
        directions: "both" averages audio among tags and tags among audio; "audio" is equation 10.
        floor: what is added to the share inside the logarithm; 0 for none.
    """

    audio_weight: float = 5.0
    tag_weight: float = 5.0
    contrast_weight: float = 10.0
    direct_weight: float = 0.0
    temperature: float = 0.1
    positive_below: bool = True
    siblings_repel: bool = True
    same_tags_repel: bool = True
    directions: Directions = "both"
    floor: float = 1e-5

    def __post_init__(self) -> None:
        weights = (self.audio_weight, self.tag_weight, self.contrast_weight, self.direct_weight)
        if min(weights) < 0 or not any(weights):
            raise InvalidArgumentError(f"weights must not be negative, and one must be above zero; got {weights}")
        if not self.temperature > 0:
            raise InvalidArgumentError(f"temperature must be above zero, got {self.temperature}")
        if self.floor < 0:
            raise InvalidArgumentError(f"floor must be zero or above, got {self.floor}")
        if self.directions not in ("both", "audio"):
            raise InvalidArgumentError(f"directions is 'both' or 'audio', got {self.directions!r}")

    @classmethod
    def paper(cls) -> Self:
        """AE-C with equation 10 as it is printed."""
        return cls(positive_below=False, siblings_repel=False, directions="audio", floor=0.0)

    @classmethod
    def e_c(cls) -> Self:
        """The paper's E-C: encoders alone, aligned and nothing else."""
        return cls(audio_weight=0.0, tag_weight=0.0)

    @classmethod
    def cnn(cls) -> Self:
        """The paper's CNN: the audio encoder predicts the tags."""
        return cls(audio_weight=0.0, tag_weight=0.0, contrast_weight=0.0, direct_weight=1.0)


def generalised_kl(
    target: Float[Tensor, "batch channel frequency time"], decoded: Float[Tensor, "batch channel frequency time"]
) -> Float[Tensor, ""]:
    """D_KL(X || X') = sum_f x log((x + e) / (x' + e)) + x' - x, averaged over frames and windows; e = 1e-5.

    Zero where both are the same, above elsewhere, for anything that is not negative (Lee and Seung 2001). Below
    zero, where a sound is softer than all that the scaler has seen, ``target`` counts as zero, as in the published
    code.
    """
    target = target.clamp_min(0)
    logs = torch.log((target + _TINY) / (decoded + _TINY))
    return (target * logs + decoded - target).sum(dim=2).mean()


def tag_cross_entropy(logits: Float[Tensor, "batch tags"], tags: Float[Tensor, "batch tags"]) -> Float[Tensor, ""]:
    """CE(y, y') = -y log y' - (1 - y) log(1 - y'), averaged over tags and sounds; y' is the logits' sigmoid."""
    return functional.binary_cross_entropy_with_logits(logits, tags)


def contrast(
    audio: Float[Tensor, "batch dim"],
    tags: Float[Tensor, "batch dim"],
    settings: AlignmentSettings,
    alike: Bool[Tensor, "batch batch"] | None = None,
) -> Float[Tensor, ""]:
    """Equation 10: how little each sound stands out among the batch for its own tags, and each's tags for the sound.

    With a_b the sounds, t_b their tags, s(x, y) = exp(cos(x, y) / tau), and each bracket as the settings say,

        L = mean_b -log( s(a_b, t_b) / ( [s(a_b, t_b)] + sum_{i != b} s(a_b, t_i) [+ s(a_b, a_i)] ) [+ floor] ).

    Args:
        audio: phi_a.
        tags: phi_t, of the same examples.
        settings: temperature and form.
        alike: pairs that are no negatives for each other; none if not given.

    Raises:
        InvalidArgumentError: fewer than two examples.
    """
    if len(audio) < 2:
        raise InvalidArgumentError(f"a contrast needs two examples or more, got {len(audio)}: make the batch larger")
    # Cosines over a temperature need more digits than mixed precision has.
    with torch.autocast(audio.device.type, enabled=False):
        sounds = functional.normalize(audio.float(), dim=1)
        words = functional.normalize(tags.float(), dim=1)
        loss = _among(sounds, words, settings, alike)
        if settings.directions == "both":
            loss = (loss + _among(words, sounds, settings, alike)) / 2
    return loss


def same_tags(tags: Float[Tensor, "batch tags"]) -> Bool[Tensor, "batch batch"]:
    """Which sounds have the very same tags, of zeros and ones."""
    together, counts = tags @ tags.T, tags.sum(dim=1)
    return (together == counts[:, None]) & (together == counts[None, :])


def _among(anchors: Tensor, others: Tensor, settings: AlignmentSettings, alike: Tensor | None) -> Tensor:
    """The mean over the anchors, unit vectors as their partners ``others``."""
    itself = torch.eye(len(anchors), dtype=torch.bool, device=anchors.device)
    outside = itself if alike is None else itself | alike
    across = anchors @ others.T / settings.temperature
    positive = across.diagonal()
    below = [across.masked_fill(outside, -torch.inf)]
    if settings.positive_below:
        below.append(positive[:, None])
    if settings.siblings_repel:
        below.append((anchors @ anchors.T / settings.temperature).masked_fill(outside, -torch.inf))
    every = torch.cat(below, dim=1)
    # An anchor whose every companion is alike has nothing to stand out from, and nothing to learn from.
    accompanied = every.isfinite().any(dim=1)
    share = positive[accompanied] - every[accompanied].logsumexp(dim=1)
    if settings.floor:
        share = torch.logaddexp(share, share.new_tensor(log(settings.floor)))
    return -share.sum() / max(1, len(share))


@register_objective("alignment", AlignmentSettings, title="Sounds and their free-form tags meet in one space.")
class AlignmentObjective(ClassObjective):
    """COALA's losses for a stream and a vocabulary.

    Args:
        settings: weights and form.
        form: what the windows' rows are.
        stream: what will be trained; only looked at.
        tags: size of the vocabulary.

    Attributes:
        audio_map: from the stream's embedding to phi_a; None where the stream's encoder has its own (``fc_audio``),
            or nothing is aligned.
        tag_encoder: e_t with its map to phi_t; None where there is nothing for it to do.
        head: the two layers of the CNN; None in the other cases.

    Raises:
        InvalidArgumentError: audio is to be decoded that cannot be.
    """

    fits_chunks = False

    def __init__(self, settings: AlignmentSettings, form: Form, stream: Stream, tags: int) -> None:
        super().__init__()
        self.settings = settings
        self.form = form
        if settings.audio_weight and not can_decode(stream):
            raise InvalidArgumentError(
                f"{stream.name}: windows can be decoded for COALA's front-end and encoder only ({SIDE} x {SIDE} in "
                f"[0, 1] to {COALA_DIM} numbers): set audio_weight to 0"
            )
        self.audio_map = None
        if settings.contrast_weight and not has_own_map(stream):
            self.audio_map = nn.Sequential(nn.Linear(stream.dim, COALA_DIM, bias=False), Dropout(_DROPOUT))
            he_normal(self.audio_map)
        needed = settings.contrast_weight or settings.tag_weight
        self.tag_encoder = COALATagEncoder(tags) if needed else None
        self.tag_decoder = TagDecoder(tags) if settings.tag_weight else None
        self.audio_decoder = AudioDecoder() if settings.audio_weight else None
        self.head = None
        if settings.direct_weight:
            self.head = TagHead(nn.Linear(stream.dim, COALA_DIM), nn.ReLU(), nn.Linear(COALA_DIM, tags))

    def forward(self, stream: Stream, batch: Batch) -> dict[str, Tensor]:
        """The loss and its terms, unweighted: ``audio``, ``tags``, ``contrast``, ``direct``, as far as they count.

        Args:
            stream: what learns.
            batch: ``windows``, rows as they are kept [B, R, *shape]; ``targets``, zeros and ones [B, tags].
        """
        target, tags = self.form.representation(batch["windows"], stream), batch["targets"]
        z_audio = stream.embed_window(target)
        terms: dict[str, Tensor] = {}
        if self.audio_decoder is not None:
            terms["audio"] = generalised_kl(target, self.audio_decoder(z_audio))
        if self.tag_encoder is not None:
            z_tags = self.tag_encoder(tags)
            if self.tag_decoder is not None:
                terms["tags"] = tag_cross_entropy(self.tag_decoder(z_tags), tags)
            if self.settings.contrast_weight:
                terms["contrast"] = self._contrast(self.align(stream, z_audio), self.tag_encoder.align(z_tags), tags)
        if self.head is not None:
            terms["direct"] = tag_cross_entropy(self.head(z_audio), tags)
        weights = {
            "audio": self.settings.audio_weight,
            "tags": self.settings.tag_weight,
            "contrast": self.settings.contrast_weight,
            "direct": self.settings.direct_weight,
        }
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        return {"loss": loss, **{name: term.detach() for name, term in terms.items()}}

    def align(self, stream: Stream, z: Float[Tensor, "batch dim"]) -> Float[Tensor, "batch 1152"]:
        """From the stream's embedding to phi_a."""
        if self.audio_map is not None:
            phi: Tensor = self.audio_map(z)
            return phi
        return stream.encoder.align(z)

    def _contrast(self, audio: Tensor, words: Tensor, tags: Tensor) -> Tensor:
        alike = None
        if not self.settings.same_tags_repel:
            alike = same_tags(all_gather(tags))
        return contrast(all_gather(audio), all_gather(words), self.settings, alike)

    @classmethod
    def create(cls, settings: AlignmentSettings, stream: Stream, data: TrainingData) -> Self:
        """For the corpus's classes as tags."""
        return cls(settings, data.dataset.form, stream, len(data.corpus.classes))


def has_own_map(stream: Stream) -> bool:
    """Whether the stream's encoder maps its embedding to phi_a itself, as the published checkpoints have it."""
    return stream.encoder.has_alignment and stream.wanted is None


def can_decode(stream: Stream) -> bool:
    """Whether windows can be decoded from the stream's embeddings: COALA's own, scaled to [0, 1]."""
    return has_own_map(stream) and stream.dim == COALA_DIM and stream.frontend.normalisation is not None
