"""Reporter of a reproduction: its stages, clips that are decoded or embedded, and steps of training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from soundloom.evaluation.extraction import ExtractionProgress
from soundloom.feature_cache import CacheProgress
from soundloom.recipes import RunOptions
from soundloom.training import TrainingProgress

__all__ = ["SILENT", "Reporter"]


@dataclass(frozen=True, kw_only=True)
class Reporter:
    """Takes the progress of a reproduction; see `soundloom.cli.progress_bars`.

    Attributes:
        say: called with a line for each stage.
        preparing: called after every clip that is decoded.
        embedding: called after every clip that is embedded.
        training: called after every step of training.
    """

    say: Callable[[str], None] = lambda _: None
    preparing: Callable[[CacheProgress], None] | None = None
    embedding: Callable[[ExtractionProgress], None] | None = None
    training: Callable[[TrainingProgress], None] | None = None

    @property
    def run_options(self) -> RunOptions:
        """Options of a run of a recipe that reports here."""
        return RunOptions(progress=self.training, preparing=self.preparing)


SILENT = Reporter()
"""Reports nothing."""
