"""Windows of a distillation: plain ones and mixtures of two or three sounds, and their batches.

A mixture is the sum of windows of clips of different groups at random levels (after Zhang et al. 2018, "mixup", whose
labels are mixed; here the teacher is asked what the mixture is). Which windows are mixed is drawn once from the seed,
so that a teacher's targets are computed once for each (`soundloom.objectives.target_store`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from soundloom.feature_cache import FeatureDataset
from soundloom.objectives.base import Batch
from soundloom.objectives.shuffled_epochs import check_epochs, windows_of_step

__all__ = ["DistillationSampler", "MixtureWindows", "draw_mixtures", "plain_windows"]

MOST = 3
"""Sounds of a mixture at most."""

LEVELS = 10.0
"""Decibels by which a mixture's other sounds are louder or quieter than its first, at most."""

_QUIETEST = 1e-8


@dataclass(frozen=True, eq=False)
class MixtureWindows:
    """Windows that are each the sum of up to `MOST` windows of clips.

    Attributes:
        dataset: the clips' samples (`soundloom.feature_cache.Samples`).
        clips: the clip of each sound, [W, MOST]; -1 for none.
        starts: its first row, [W, MOST].
        levels: its level beside the first sound's, in decibels, [W, MOST].
        rows: of a window.
    """

    dataset: FeatureDataset
    clips: Int[np.ndarray, "windows most"]
    starts: Int[np.ndarray, "windows most"]
    levels: Float[np.ndarray, "windows most"]
    rows: int

    def __len__(self) -> int:
        return len(self.clips)

    def of(self, chosen: Bool[np.ndarray, " windows"]) -> MixtureWindows:
        """Some of the windows."""
        return replace(self, clips=self.clips[chosen], starts=self.starts[chosen], levels=self.levels[chosen])

    def render(self, chosen: Int[np.ndarray, " chosen"]) -> Float[Tensor, "chosen samples"]:
        """Waveforms of some windows; a mixture beyond full scale is brought back to it."""
        total = self._sounds(chosen, 0)
        energy = total.square().mean(dim=1, keepdim=True)
        for place in range(1, MOST):
            there = np.flatnonzero(self.clips[chosen, place] >= 0)
            if not len(there):
                continue
            sounds = self._sounds(chosen[there], place)
            ratio = energy[there].clamp_min(_QUIETEST) / sounds.square().mean(dim=1, keepdim=True).clamp_min(_QUIETEST)
            level = torch.from_numpy(10 ** (self.levels[chosen[there], place, None] / 20)).float()
            total[there] += sounds * ratio.sqrt() * level
        mixed = torch.from_numpy(self.clips[chosen, 1] >= 0)[:, None]
        return total / torch.where(mixed, total.abs().amax(dim=1, keepdim=True), 1).clamp_min(1)

    def _sounds(self, chosen: Int[np.ndarray, " chosen"], place: int) -> Float[Tensor, "chosen samples"]:
        kept = self.dataset.take(self.clips[chosen, place], self.starts[chosen, place], self.rows)
        return self.dataset.form.sounds(kept)


def plain_windows(dataset: FeatureDataset, clips: Int[np.ndarray, " chosen"], rows: int, hop: int) -> MixtureWindows:
    """Every window of some clips, unmixed.

    Args:
        dataset: the clips' samples.
        clips: their places in the corpus.
        rows: of a window.
        hop: rows from one window to the next.
    """
    owners, starts = dataset.windows(rows, hop)
    mine = np.isin(owners, clips)
    count = int(mine.sum())
    places, begins = np.full((count, MOST), -1, np.int64), np.zeros((count, MOST), np.int64)
    places[:, 0], begins[:, 0] = owners[mine], starts[mine]
    return MixtureWindows(dataset, places, begins, np.zeros((count, MOST), np.float32), rows)


def draw_mixtures(plain: MixtureWindows, groups: Sequence[object], count: int, seed: int) -> MixtureWindows:
    """Mixtures of two sounds, a third of them of three, every group of clips being as likely as any other.

    Args:
        plain: the windows to mix.
        groups: the split group of each clip of the corpus; a mixture's sounds are of different groups where there are
            as many.
        count: how many.
        seed: of everything drawn.
    """
    numbers: dict[object, int] = {}
    group_of = np.array([numbers.setdefault(group, len(numbers)) for group in groups], np.int64)[plain.clips[:, 0]]
    order = np.argsort(group_of, kind="stable")
    _, firsts, sizes = np.unique(group_of[order], return_index=True, return_counts=True)
    generator = np.random.default_rng([seed, 3])
    drawn = _distinct(len(sizes), count, generator)
    windows = order[firsts[drawn] + (generator.random(drawn.shape) * sizes[drawn]).astype(np.int64)]
    clips, starts = plain.clips[windows, 0], plain.starts[windows, 0]
    clips[np.arange(count) % 3 != 0, 2] = -1
    levels = generator.uniform(-LEVELS, LEVELS, (count, MOST)).astype(np.float32)
    return MixtureWindows(plain.dataset, clips, starts, levels, plain.rows)


def _distinct(groups: int, count: int, generator: np.random.Generator) -> Int[np.ndarray, "{count} most"]:
    """So many rows of `MOST` group numbers, different within a row where there are enough groups."""
    drawn = generator.integers(0, groups, (count, MOST))
    if groups < MOST:
        return drawn
    steps = 1 + generator.integers(0, groups - 1, count)
    drawn[:, 1] = (drawn[:, 0] + steps) % groups
    # The third is one of the groups that are left, counted past the two that are taken.
    low, high = np.sort(drawn[:, :2], axis=1).T
    third = generator.integers(0, groups - 2, count)
    third += third >= low
    third += third >= high
    drawn[:, 2] = third
    return drawn


class DistillationSampler:
    """Batches of windows with their targets, in shuffled epochs (`shuffled_epochs`).

    Args:
        windows: what is drawn from; parts of one dataset, one after another.
        targets: name -> the values of each window, in the order of the windows.
        batch: windows a step.
        seed: of the shuffles.

    Raises:
        InvalidArgumentError: there are no windows, or the batch is empty.
    """

    def __init__(
        self, windows: Sequence[MixtureWindows], targets: dict[str, list[np.ndarray]], batch: int, seed: int
    ) -> None:
        check_epochs(sum(map(len, windows)), batch)
        self._windows, self._targets = tuple(windows), targets
        self.dataset, self.size = windows[0].dataset, windows[0].rows
        self.clips = np.concatenate([part.clips[:, 0] for part in windows])
        self.starts = np.concatenate([part.starts[:, 0] for part in windows])
        self._ends = np.cumsum([len(part) for part in windows])
        self._batch, self._seed = batch, seed

    def __len__(self) -> int:
        """Windows in an epoch."""
        return len(self.clips)

    def __call__(self, step: int) -> Batch:
        """The batch of a step: ``waveforms`` and the targets, by name."""
        return self.share(step, 0, 1)

    def share(self, step: int, rank: int, world: int) -> Batch:
        """Every ``world``-th window of a step's batch from the ``rank``-th on, so that a process makes only its own."""
        chosen = windows_of_step(step, len(self), self._batch, self._seed)[rank::world]
        parts = np.searchsorted(self._ends, chosen, side="right")
        order = np.argsort(parts, kind="stable")
        begins = self._ends - [len(part) for part in self._windows]
        pieces: dict[str, list[Tensor]] = {"waveforms": [], **{name: [] for name in self._targets}}
        for part in np.unique(parts):
            mine = chosen[order][parts[order] == part] - begins[part]
            pieces["waveforms"].append(self._windows[part].render(mine))
            for name, tables in self._targets.items():
                pieces[name].append(torch.from_numpy(tables[part][mine].astype(np.float32)))
        return {name: torch.cat(values) for name, values in pieces.items()}
