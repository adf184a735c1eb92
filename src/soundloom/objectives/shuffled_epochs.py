"""Shuffled epochs: every window once an epoch, epochs following each other without a gap.

Step s takes places s x batch, s x batch + 1 ... of an endless row in which a fresh shuffle of all windows follows the
last. So every batch is full, and which windows it has is decided by the seed and s alone.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Int

from soundloom.errors import InvalidArgumentError

__all__ = ["check_epochs", "windows_of_step"]


def check_epochs(count: int, batch: int) -> None:
    """Refuse epochs without windows, and batches of none.

    Raises:
        InvalidArgumentError: there are none.
    """
    if not count:
        raise InvalidArgumentError("no windows to draw from: was none of the clips decoded? See dataset.failures")
    if batch < 1:
        raise InvalidArgumentError(f"batch must be at least 1, got {batch}")


def windows_of_step(step: int, count: int, batch: int, seed: int) -> Int[np.ndarray, " {batch}"]:
    """The windows of a step.

    Args:
        step: its number.
        count: windows of an epoch.
        batch: windows of a step.
        seed: of the shuffles.
    """
    places = np.arange(step * batch, (step + 1) * batch)
    epochs, within = np.divmod(places, count)
    return np.concatenate([_shuffle(count, seed, int(epoch))[within[epochs == epoch]] for epoch in np.unique(epochs)])


@lru_cache(maxsize=4)
def _shuffle(count: int, seed: int, epoch: int) -> Int[np.ndarray, " {count}"]:
    """The order of an epoch; a step asks for one or two, and the next step for the same."""
    return np.random.default_rng([seed, epoch]).permutation(count)
