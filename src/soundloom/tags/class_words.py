"""Class words of a part of a model: logistic regression on its embeddings, towards a teacher's scores and the labels.

A network distilled from a teacher scores the teacher's classes (`soundloom.objectives.distillation`), but from
embeddings that the model no longer has once they are reduced, and a common class (Speech, Vehicle) has a higher score
for almost any sound than a rare one that fits. So the classes are learned again, from the embeddings that the model
gives: with z an embedding standardised over the sounds, and y the teacher's score of a class, or 1 where a label of the
sound names the class,

    minimise over w, b   mean of cross-entropy(y, sigmoid(w . z + b)) + l |w|^2        for each class,

and b, which only says how common the class is, is left out of what a sound's classes are ranked by:

    score  =  sigmoid(a w . z + c).

The two numbers a and c, the same for all classes, are fitted to the targets of the first three classes of sounds that
were not learned from (Platt 1999, by cross-validation over whole groups), so that of the classes with a score of 0.7
about seven in ten are right. Labels do not name all that sounds, so the score is rather too low than too high.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from soundloom.errors import QueryError
from soundloom.tags.class_head import ClassHead
from soundloom.tags.vocabulary import Vocabulary

__all__ = ["FIRST", "learn_class_head", "named_classes"]

FIRST = 3
"""So many classes of a sound, those with the highest scores, are what scores are calibrated on."""

PENALTY = 1e-3
"""Of the squared weights, l; chosen on groups of the training sounds of the default model that were held out."""

FOLDS, STEPS = 5, 100


def named_classes(vocabulary: Vocabulary, words: Sequence[Sequence[str]]) -> Bool[np.ndarray, "sounds classes"]:
    """Which classes the words of each sound name; words that are none of the vocabulary name none."""
    named = np.zeros((len(words), len(vocabulary)), np.bool_)
    for row, of_sound in zip(named, words, strict=True):
        for word in of_sound:
            try:
                row |= vocabulary.query([word.replace("_", " ")]) > 0
            except QueryError:
                continue
    return named


def learn_class_head(
    embeddings: Float[Tensor, "sounds dim"],
    scores: Float[Tensor, "sounds classes"],
    named: Bool[np.ndarray, "sounds classes"],
    groups: Sequence[str],
) -> ClassHead:
    """A head of classes for some embeddings, with calibrated scores.

    Args:
        embeddings: of the sounds.
        scores: a teacher's, in [0, 1].
        named: the classes that labels name.
        groups: what each sound belongs to (a recording, a speaker); sounds of one group are learned from together, or
            held out together.
    """
    targets = torch.where(torch.from_numpy(named), 1.0, scores)
    mean, deviation = embeddings.mean(dim=0), embeddings.std(dim=0).clamp_min(1e-6)
    standard = (embeddings - mean) / deviation
    places = {group: place for place, group in enumerate(sorted(set(groups)))}
    folds = torch.tensor([places[group] % FOLDS for group in groups])
    labelled = torch.from_numpy(named.any(axis=1))
    evidence, truth = list[Tensor](), list[Tensor]()
    for fold in range(FOLDS):
        held = labelled & (folds == fold)
        if not held.any() or bool((folds == fold).all()):
            continue
        weight = _logistic(standard[folds != fold], targets[folds != fold], PENALTY)[0]
        best = (standard[held] @ weight).topk(min(FIRST, targets.shape[1]), dim=1)
        evidence.append(best.values.flatten())
        truth.append(targets[held].gather(1, best.indices).flatten())
    slope, offset = torch.ones(1), torch.zeros(1)
    if evidence:
        slopes, offset = _logistic(torch.cat(evidence)[:, None], torch.cat(truth)[:, None], 0.0)
        slope = slopes[0].clamp_min(1e-3)
    weight = slope * _logistic(standard, targets, PENALTY)[0] / deviation[:, None]
    linear = nn.Linear(embeddings.shape[1], targets.shape[1])
    with torch.no_grad():
        linear.weight.copy_(weight.T)
        linear.bias.copy_(offset - mean @ weight)
    return ClassHead(linear, embeddings.shape[1])


def _logistic(
    inputs: Float[Tensor, "rows dim"], targets: Float[Tensor, "rows classes"], penalty: float
) -> tuple[Float[Tensor, "dim classes"], Float[Tensor, " classes"]]:
    """Weights and constants of the logistic regression on targets in [0, 1], by L-BFGS."""
    weight = torch.zeros(inputs.shape[1], targets.shape[1], requires_grad=True)
    constant = targets.mean(dim=0).clamp(1e-5, 1 - 1e-5).logit().requires_grad_(True)
    optimiser = torch.optim.LBFGS([weight, constant], max_iter=STEPS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        error = functional.binary_cross_entropy_with_logits(inputs @ weight + constant, targets, reduction="sum")
        penalised = error / len(inputs) + penalty * weight.square().sum()
        penalised.backward()  # type: ignore[no-untyped-call]
        return penalised

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return weight.detach(), constant.detach()
