"""Arrays of the wrong shape or type are noticed wherever soundloom annotates them, if a test run checks arrays."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKED = """
import shape_checking
shape_checking.install()

import numpy as np
import pytest
import torch
from jaxtyping import TypeCheckError
from soundloom.embedder.base import Frames
from soundloom.evaluation import scores

times = torch.zeros(5)
assert scores.accuracy(np.eye(3), np.arange(3)) == 1
assert Frames(torch.zeros(1, 3, 5), times, times).values.shape == (1, 3, 5)
with pytest.raises(TypeCheckError):
    scores.accuracy(np.eye(3), np.arange(2))
with pytest.raises(TypeCheckError):
    scores.accuracy(np.eye(3), np.arange(3.0))
with pytest.raises(TypeCheckError):
    Frames(torch.zeros(1, 3, 4), times, times)
assert not hasattr(scores.Score.__init__, "__wrapped__")  # it names no array
"""


def test_functions_and_dataclasses_are_checked() -> None:
    subprocess.run([sys.executable, "-c", CHECKED], cwd=Path(__file__).parent, check=True)
