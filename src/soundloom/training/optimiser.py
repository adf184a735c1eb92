"""Optimisers by name: Adam, AdamW, SGD."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from soundloom.training.settings import TrainingSettings

__all__ = ["optimiser_of"]


def optimiser_of(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """The optimiser of all parameters of a module that learn, which steps for all of them at once."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    shared: dict[str, Any] = {"lr": settings.rate, "weight_decay": settings.weight_decay, "fused": True}
    if settings.optimiser == "sgd":
        return torch.optim.SGD(parameters, momentum=settings.momentum, **shared)
    kind = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.AdamW
    return kind(parameters, **shared)
