"""Arrays of the wrong shape or type are noticed in a test run, wherever soundloom annotates them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError

from soundloom.embedder.base import Frames
from soundloom.evaluation import scores


def test_functions_are_checked() -> None:
    assert scores.accuracy(np.eye(3), np.arange(3)) == 1
    with pytest.raises(TypeCheckError):
        scores.accuracy(np.eye(3), np.arange(2))
    with pytest.raises(TypeCheckError):
        scores.accuracy(np.eye(3), np.arange(3.0))


def test_dataclasses_are_checked() -> None:
    times = torch.zeros(5)
    assert Frames(torch.zeros(1, 3, 5), times, times).values.shape == (1, 3, 5)
    with pytest.raises(TypeCheckError):
        Frames(torch.zeros(1, 3, 4), times, times)


def test_what_names_no_array_stays_as_it_is() -> None:
    assert hasattr(scores.accuracy, "__wrapped__")
    assert not hasattr(scores.Score.__init__, "__wrapped__")
