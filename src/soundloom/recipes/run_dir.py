"""Run folder of a recipe that trains several runs; its settings are written before any of them starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from soundloom.training import TrainingError
from soundloom.training.flat_config import flatten, write_yaml

__all__ = ["open_folder"]


def open_folder(out: Path, recipe: Any, heading: str) -> None:
    """Make the folder and say in it what it is; the streams' runs compare their own settings.

    Args:
        out: the folder.
        recipe: written to its ``settings.yaml``.
        heading: the command, for the first line of that.

    Raises:
        TrainingError: the folder holds something else, or cannot be written.
    """
    settings = out / "settings.yaml"
    try:
        if out.is_dir() and any(out.iterdir()) and not settings.is_file():
            raise TrainingError(f"{out} is not empty and holds no run: choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        write_yaml(settings, flatten(recipe), heading)
    except OSError as error:
        raise TrainingError(f"cannot make the run's folder {out}: {error.strerror or error}") from None
