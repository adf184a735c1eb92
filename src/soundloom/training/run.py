"""A run's folder, and what is told of a run.

FOLDER/settings.yaml      every setting, as resolved; ``--config`` takes it
FOLDER/metrics.csv        losses and more over the steps
FOLDER/curves.png         the same as a picture
FOLDER/checkpoints/       last.pt and best.pt
FOLDER/config.json, model.safetensors, README.md
                          the model, once the run is over: ``soundloom.load("./FOLDER")``
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundloom.embedder import Embedder
from soundloom.models.saved_model import CONFIG, from_pretrained
from soundloom.training.checkpoints import Checkpoints
from soundloom.training.flat_config import write_yaml
from soundloom.training.settings import TrainingError

__all__ = ["Run", "prepare_folder"]

FREE = (
    "checkpoint_minutes",
    "tensorboard",
    "jobs",
    "linear_epochs",
    "linear_rate",
    "linear_final_rate",
    "linear_batch",
)
"""Settings that decide nothing about a stream's weights, and may change when a run is resumed."""

SINCE = {"threads": 0}
"""Settings that came later, and what a run that does not know them was trained with."""

_SETTINGS = "settings.yaml"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run that is over.

    Attributes:
        folder: where everything about it lies.
        steps: steps done.
        early: whether it stopped early because validation no longer improved.
        loss: lowest validation loss; None where nothing was validated.
        best_step: steps done when it was met; those of the kept weights if the best are kept.
        seconds: time it took, interruptions left out.
    """

    folder: Path
    steps: int
    early: bool
    loss: float | None
    best_step: int | None
    seconds: float

    def model(self) -> Embedder:
        """What was learned, ready to embed."""
        return from_pretrained(self.folder)


def prepare_folder(
    folder: Path, about: Mapping[str, Any], heading: str, *, data: str, resume: bool
) -> tuple[Checkpoints, dict[str, Any] | None]:
    """Make a run's folder, or open it.

    Args:
        folder: where.
        about: the settings that decide the weights, by name.
        heading: what to write above them.
        data: what the batches are drawn from.
        resume: go on from the last checkpoint, if there is one; else begin anew.

    Returns:
        The checkpoints, and the last one's state.

    Raises:
        TrainingError: the folder holds something else, or a run with other settings; or cannot be written.
    """
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _SETTINGS).is_file() and any(folder.iterdir()):
            raise TrainingError(f"{folder} is not empty and holds no run: choose another folder")
        state = checkpoints.read("last") if resume else None
        if state is not None:
            _check_same(folder, state["about"], {**about, "data": data})
        else:
            checkpoints.remove()
            for name in (CONFIG, "metrics.csv"):
                (folder / name).unlink(missing_ok=True)
        write_yaml(folder / _SETTINGS, about, heading)
    except OSError as error:
        raise TrainingError(f"cannot make the run's folder {folder}: {error.strerror or error}") from None
    return checkpoints, state


def _check_same(folder: Path, there: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    there, here = {**SINCE, **there}, {**SINCE, **here}
    names = [name for name in {**there, **here} if name not in FREE and there.get(name) != here.get(name)]
    if names:
        told = "; ".join(f"{name} is {there.get(name)!r} there and {here.get(name)!r} here" for name in names)
        raise TrainingError(
            f"{folder} holds a run with other settings: {told}. Choose another folder, give the same settings, or "
            "start over with --restart"
        )
