"""Evaluation of a module alone: on one thread, without gradients or dropout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from soundloom.one_thread import one_thread

__all__ = ["alone"]


@contextmanager
def alone(model: nn.Module) -> Iterator[None]:
    """Evaluate on one thread, without gradients or dropout, and put everything back."""
    training = model.training
    if training:
        model.eval()
    try:
        with one_thread, torch.inference_mode():
            yield
    finally:
        if training:
            model.train()
