"""Class words: learned from scores and labels, their scores calibrated, common classes not before fitting ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundloom.tags import Vocabulary, class_words
from soundloom.tags.class_words import learn_class_head, named_classes

CLASSES, SOUNDS, DIM = 6, 1200, 8


@pytest.fixture(scope="module")
def sounds() -> tuple[torch.Tensor, torch.Tensor, np.ndarray, list[str]]:
    """Embeddings, a teacher's scores, labels and groups; the first class is scored 0.3 for every sound."""
    chance = np.random.default_rng(0)
    means = chance.normal(0, 1, (CLASSES, DIM))
    kinds = chance.integers(1, CLASSES, SOUNDS)
    embeddings = means[kinds] + chance.normal(0, 0.6, (SOUNDS, DIM)) + 5
    scores = np.full((SOUNDS, CLASSES), 0.01)
    scores[:, 0] = 0.3
    scores[np.arange(SOUNDS), kinds] = 0.15
    named = np.zeros((SOUNDS, CLASSES), np.bool_)
    labelled = chance.random(SOUNDS) < 0.5
    named[np.arange(SOUNDS)[labelled], kinds[labelled]] = True
    groups = [str(group) for group in chance.integers(0, 60, SOUNDS)]
    return torch.from_numpy(embeddings).float(), torch.from_numpy(scores).float(), named, groups


def test_a_class_that_the_teacher_scores_for_everything_does_not_come_first(
    sounds: tuple[torch.Tensor, torch.Tensor, np.ndarray, list[str]],
) -> None:
    embeddings, scores, named, groups = sounds
    head = learn_class_head(embeddings, scores, named, groups)
    first = head(embeddings).argmax(dim=1).numpy()
    known = named.any(axis=1)
    assert (scores.argmax(dim=1) == 0).all()
    assert (first[known] == named[known].argmax(axis=1)).mean() > 0.9


def test_scores_are_shares_of_right_classes(
    sounds: tuple[torch.Tensor, torch.Tensor, np.ndarray, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    embeddings, scores, named, groups = sounds
    monkeypatch.setattr(class_words, "FIRST", 2)
    head = learn_class_head(embeddings, scores, named, groups).requires_grad_(False)
    known = named.any(axis=1)
    given = head(embeddings[torch.from_numpy(known)]).sigmoid().topk(2, dim=1)
    truth = torch.where(torch.from_numpy(named), 1.0, scores)[torch.from_numpy(known)].gather(1, given.indices)
    assert given.values.mean().item() == pytest.approx(truth.mean().item(), abs=0.05)


def test_labels_name_classes_in_everyday_words() -> None:
    vocabulary = Vocabulary.of_classes(("Speech", "Dog", "Chicken, rooster"))
    named = named_classes(vocabulary, [["dogs", "zzz"], ["rooster"], []])
    assert named.tolist() == [[False, True, False], [False, False, True], [False, False, False]]
