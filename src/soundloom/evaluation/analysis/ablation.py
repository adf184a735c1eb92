"""Ablation of a woven embedding: every subset of its parts, scored; leave-one-out and Shapley values.

A woven embedding remembers which columns came from which part. With v(S) the score of the parts S
alone, each part i gets

    leave-one-out  v(all) - v(all without i): what is lost when it goes; small when another part says the same;
    alone          v({i});
    Shapley value  the mean of what it adds over all orders in which parts may join (`shapley`),

and the Shapley values sum to v(all) - v(none), v(none) being the score of knowing nothing.

When not: many parts; p parts are 2^p - 1 evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import numpy as np
from jaxtyping import Float, Shaped

from soundloom.errors import InvalidArgumentError
from soundloom.evaluation import validation
from soundloom.evaluation.analysis.shapley import shapley_values, subsets_of
from soundloom.evaluation.extraction import Features
from soundloom.evaluation.probes.linear import LinearProbeSettings, linear_probe
from soundloom.evaluation.protocol_inputs import splits_of, targets_of
from soundloom.evaluation.protocols import PROTOCOLS, Protocol
from soundloom.evaluation.scores import Details, Score, summarise
from soundloom.evaluation.splits import Split, check_every_split

__all__ = ["Ablation", "AblationDetails", "Contribution", "ablate", "ablation_analysis", "validate"]


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What one part adds.

    Attributes:
        alone: score of the part by itself.
        leave_one_out: score of all parts minus the score without it.
        shapley: its fair share of the score of all parts over chance.
    """

    alone: float
    leave_one_out: float
    shapley: float


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """Scores of all subsets and what follows from them.

    Attributes:
        scores: parts, in the embedding's order -> score of their columns; the smallest subsets first.
        contributions: part -> what it adds.
        chance: the score taken for no part at all.
    """

    scores: Mapping[tuple[str, ...], Score]
    contributions: Mapping[str, Contribution]
    chance: float


@dataclass(frozen=True, kw_only=True)
class AblationDetails(Details):
    """Details of an ablation as a score.

    Attributes:
        protocol: what every subset was measured by.
        chance: the score taken for no part at all.
        subsets: parts joined with '+' -> mean, and half the interval if there is one.
        contributions: part -> what it adds.
    """

    protocol: str
    chance: float
    subsets: Mapping[str, tuple[float, float | None]]
    contributions: Mapping[str, Contribution]

    @classmethod
    def from_plain(cls, data: Mapping[str, Any]) -> Self:
        """The details that `dataclasses.asdict` and JSON made ``data`` of."""
        return cls(
            protocol=data["protocol"],
            chance=data["chance"],
            subsets={name: (mean, half) for name, (mean, half) in data["subsets"].items()},
            contributions={name: Contribution(**each) for name, each in data["contributions"].items()},
        )


def validate(embeddings: np.ndarray, parts: Mapping[str, slice]) -> None:
    """Refuse parts that do not lie in the embedding.

    Raises:
        InvalidArgumentError: what `validation` refuses; no part, or one that is empty or reaches outside the columns.
    """
    validation.check_embeddings(embeddings)
    if not parts:
        raise InvalidArgumentError("no parts given: an embedding that was not woven has nothing to ablate")
    dim = embeddings.shape[1]
    for name, columns in parts.items():
        start, stop = columns.start or 0, dim if columns.stop is None else columns.stop
        if not 0 <= start < stop <= dim:
            raise InvalidArgumentError(f"part {name!r} has columns {start}:{stop}, the embeddings have {dim}")


def ablate(
    embeddings: Float[np.ndarray, "clips dim"],
    parts: Mapping[str, slice],
    protocol: Callable[[Float[np.ndarray, "clips _columns"]], Score],
    *,
    chance: float = 0.0,
) -> Ablation:
    """Score every subset of the parts.

    Args:
        embeddings: the woven embeddings, ``[clips, dim]`` (or frames, if the protocol takes frames).
        parts: name -> columns.
        protocol: any protocol with labels and splits bound, e.g. by ``functools.partial``.
        chance: the score of no part: 1 / classes for accuracy, ``details.chance`` for query-by-example.

    Raises:
        InvalidArgumentError: what `validate` refuses, and what the protocol refuses.
    """
    validate(embeddings, parts)
    names = tuple(parts)
    scores = {
        subset: protocol(np.concatenate([embeddings[:, parts[name]] for name in subset], axis=1))
        for subset in subsets_of(names)
    }
    worth = {(): chance} | {subset: score.mean for subset, score in scores.items()}
    shares = shapley_values(worth, names)
    contributions = {}
    for name in names:
        others = tuple(other for other in names if other != name)
        contributions[name] = Contribution(
            alone=worth[(name,)], leave_one_out=worth[names] - worth[others], shapley=float(shares[name])
        )
    return Ablation(scores=scores, contributions=contributions, chance=chance)


def ablation_analysis(
    embeddings: Float[np.ndarray, "clips dim"],
    labels: Shaped[np.ndarray, "clips ..."],
    splits: Sequence[Split],
    parts: Mapping[str, slice],
    *,
    chance: float = 0.0,
    settings: LinearProbeSettings | None = None,
    seed: int = 0,
) -> Score:
    """The ablation of a woven model under the linear probe: the score of all parts; the subsets are in the details.

    Details: `AblationDetails`.

    Args:
        embeddings: of a woven model.
        labels: as for `linear_probe`.
        splits: as for `linear_probe`.
        parts: name -> columns; two or more.
        chance: the score of no part.
        settings: of the linear probe.
        seed: as for `linear_probe`.

    Raises:
        InvalidArgumentError: there is one part alone, or the linear probe refuses the embeddings.
    """
    if len(parts) < 2:
        raise InvalidArgumentError(f"the model has the one part {', '.join(parts)}: weave two or more with '+'")
    probe = partial(linear_probe, labels=labels, splits=splits, settings=settings, seed=seed)
    ablation = ablate(embeddings, parts, probe, chance=chance)
    whole = ablation.scores[tuple(parts)]
    return summarise(
        "ablation",
        whole.metric,
        whole.values,
        seed=seed,
        details=AblationDetails(
            protocol=whole.protocol,
            chance=ablation.chance,
            subsets={"+".join(names): (score.mean, score.interval) for names, score in ablation.scores.items()},
            contributions=ablation.contributions,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class AblationProtocol(Protocol):
    """The ablation, which takes the parts of the model beside its embeddings."""

    @property
    def clipwise(self) -> bool:
        """False: a single layer has no parts."""
        return False

    def score(self, features: Sequence[Features], parts: Mapping[str, slice], *, settings: Any, seed: int) -> Score:
        """See `Protocol.score`."""
        (own,) = features
        targets = targets_of(own.corpus)
        splits = splits_of(own.corpus, targets, seed=seed)
        # Guessing: one class in so many; for several labels a clip, mAP is the share of clips with the class.
        chance = 1 / len(own.corpus.classes) if targets.ndim == 1 else float(targets.mean())
        return self.function(own.vectors, targets, splits, parts, chance=chance, settings=settings, seed=seed)


PROTOCOLS.register(
    "ablation",
    AblationProtocol(
        function=ablation_analysis,
        settings=LinearProbeSettings,
        details=AblationDetails,
        paper="parts left out in turn, under the linear probe of Niizumi 2022, IV-A",
        standardises=True,
        admits=check_every_split,
    ),
    definition=ablation_analysis,
)
