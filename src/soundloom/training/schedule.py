"""Learning-rate schedules as functions of the step alone, so that no schedule has a state to resume.

With p the share of the steps after the warm-up that are done, from 0 up to (not including) 1:

    warm-up       rate (step + 1) / warmup
    constant      rate
    linear        rate + p (final - rate)
    cosine        final + (rate - final) (1 + cos pi p) / 2          Loshchilov & Hutter 2017, equation 5, no restarts
    exponential   rate (final / rate)^p
"""

from __future__ import annotations

import math

import torch

from soundloom.training.settings import TrainingSettings

__all__ = ["rate_at", "set_rate"]


def rate_at(settings: TrainingSettings, step: int) -> float:
    """The learning rate of a step, the first being 0.

    >>> settings = TrainingSettings(steps=110, rate=1.0, schedule="cosine", warmup=10)
    >>> [round(rate_at(settings, step), 3) for step in (0, 9, 10, 60, 109)]
    [0.1, 1.0, 1.0, 0.5, 0.0]
    """
    rate, final = settings.rate, settings.final_rate
    if step < settings.warmup:
        return rate * (step + 1) / settings.warmup
    share = (step - settings.warmup) / (settings.steps - settings.warmup)
    if settings.schedule == "linear":
        return rate + share * (final - rate)
    if settings.schedule == "cosine":
        return final + (rate - final) * (1 + math.cos(math.pi * share)) / 2
    if settings.schedule == "exponential":
        return float(rate * (final / rate) ** share)
    return rate


def set_rate(optimiser: torch.optim.Optimizer, settings: TrainingSettings, step: int) -> None:
    """Give an optimiser the learning rate of a step."""
    rate = rate_at(settings, step)
    for group in optimiser.param_groups:
        group["lr"] = rate
