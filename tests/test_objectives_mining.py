"""Mining of negatives: which rows of a batch may be one, and which is taken."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from helpers.triplets import FORM, known
from soundloom.objectives import TripletObjective, TripletSettings
from soundloom.objectives.mining import MINING


def test_semi_hard_takes_the_nearest_farther_one_and_else_the_farthest() -> None:
    far = torch.tensor([[0.1, 0.5, 0.9, 1.5], [0.1, 0.2, 0.3, 0.9], [0.4, 0.4, 0.6, 0.9]])
    unlike = torch.tensor([[True, True, True, True], [True, True, True, False], [True, True, True, True]])
    near = torch.tensor([0.5, 0.4, 0.1])
    # 0.5 is as far as the positive, not farther. Second row: none is farther but the one that is alike.
    assert MINING["semi-hard"](far, near, unlike).tolist() == [2, 2, 0]
    assert MINING["hardest"](far, near, unlike).tolist() == [0, 0, 0]


def test_without_mining_every_negative_comes_as_often() -> None:
    torch.manual_seed(0)
    unlike = torch.tensor([[True, False, True, True]]).expand(6000, 4)
    counts = MINING["none"](torch.zeros(6000, 4), torch.zeros(6000), unlike).bincount(minlength=4)
    assert counts[1] == 0
    assert (counts[[0, 2, 3]] - 2000).abs().max() < 150


@pytest.mark.parametrize("mining", list(MINING))
def test_what_is_known_to_be_alike_is_never_a_negative(mining: str) -> None:
    # Anchors 0 and 1 share a recording; everything but recording 9 lies where they do.
    recordings = [[0, 0], [0, 0], [9, 9]]
    embeddings = functional.normalize(torch.tensor([[1.0, 0], [1, 0], [0, 1]] * 2), dim=1)
    objective = TripletObjective(TripletSettings(mining=mining, margin=0.1), FORM)
    assert objective.loss(embeddings, known(recordings))["negative distance"] == 2


def test_who_may_be_a_negative() -> None:
    #              anchors: recording 0, 0, 1; the positives' are the same
    same = known([[0, 0], [0, 0], [1, 1]])
    assert same.unlike().tolist() == [[False, False, True] * 2, [False, False, True] * 2, [True, True, False] * 2]
    a, b, ab = [True, False], [False, True], [True, True]
    # With labels, a class shared is enough; two classes of a clip count both.
    labelled = known([[0, 0], [1, 1], [2, 2]], labels=[[a, a], [b, b], [ab, b]])
    assert labelled.unlike()[0].tolist() == [False, True, False, False, True, True]
    # By label alone: the recordings say nothing.
    topline = known([[0, 0], [0, 0], [0, 0]], "labelled", [[a, a], [b, b], [b, b]])
    assert topline.unlike()[0].tolist() == [False, True, True] * 2


def test_a_mixture_is_no_negative_of_what_was_mixed_in() -> None:
    pure = known([[0, 0], [1, 1], [2, 2]])
    mixed = pure.mixed(torch.tensor([True, False, False]), torch.tensor([1, 2, 0]))
    # The first positive holds some of the second anchor.
    assert pure.unlike()[1].tolist() == [True, False, True, True, False, True]
    assert mixed.unlike()[1].tolist() == [True, False, True, False, False, True]
    # The second anchor itself stays a negative of the first: the paper's x_n.
    assert mixed.unlike()[0].tolist() == [False, True, True, False, True, True]


def test_partners_are_never_of_the_anchor_s_recording() -> None:
    torch.manual_seed(0)
    recordings = torch.tensor([0, 0, 1, 2])
    told = known([[r, r] for r in recordings.tolist()])
    for _ in range(50):
        assert (recordings[told.partners()] != recordings).all()
