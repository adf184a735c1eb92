"""Checkpoint files of a run: tensors and plain data, written atomically, read with ``weights_only``.

    FOLDER/last.pt    everything that resuming needs
    FOLDER/best.pt    the weights with the lowest validation loss so far

A file is written beside its name, forced to the disk and renamed, so that a crash at any moment, or a full disk, leaves
the one before. Files are read with torch's ``weights_only``: nothing in them is executed.
"""

from __future__ import annotations

import os
import pickle
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from soundloom.atomic_file import replacing
from soundloom.training.settings import TrainingError

__all__ = ["FORMAT", "Checkpoints"]

FORMAT = 1
"""Version of the layout; another version is refused."""


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoints of a run.

    Attributes:
        folder: where they lie.
    """

    folder: Path

    def write(self, name: str, state: dict[str, Any]) -> None:
        """Replace a checkpoint.

        Args:
            name: "last" or "best".
            state: tensors, numbers, texts, and lists and dicts of them.

        Raises:
            TrainingError: it cannot be written; the one before is still there.
        """
        path = self.folder / f"{name}.pt"
        # By way of memory, because torch's own writer does not say why it failed.
        packed = BytesIO()
        torch.save({"format": FORMAT, **state}, packed)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as fresh, fresh.open("wb") as file:
                file.write(packed.getbuffer())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            size = packed.getbuffer().nbytes / 2**20
            raise TrainingError(
                f"cannot write the checkpoint {path} ({size:.0f} MB): {error.strerror or error}. Free space or mend "
                "the folder, and run the same command again: it goes on from the checkpoint before"
            ) from None

    def read(self, name: str) -> dict[str, Any] | None:
        """A checkpoint, on the CPU; None where there is none.

        Raises:
            TrainingError: it is damaged, or of another version.
        """
        path = self.folder / f"{name}.pt"
        if not path.exists():
            return None
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"the checkpoint {path} is damaged ({error}): start over with --restart") from None
        if not isinstance(state, dict) or state.get("format") != FORMAT:
            raise TrainingError(f"the checkpoint {path} is of another version of soundloom: start over with --restart")
        if "place" in state:  # what earlier versions called it
            state["train_state"] = state.pop("place")
        return state

    def remove(self) -> None:
        """Forget the run."""
        for path in self.folder.glob("*.pt*"):
            path.unlink(missing_ok=True)
