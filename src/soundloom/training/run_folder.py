"""Run folders: their layout, and which settings may change when a run is resumed.

FOLDER/settings.yaml      every setting, as resolved; ``--config`` takes it
FOLDER/metrics.csv        losses and more over the steps
FOLDER/curves.png         the same as a picture
FOLDER/checkpoints/       last.pt and best.pt
FOLDER/config.json, model.safetensors, README.md
                          the model, once the run is over: ``soundloom.load("./FOLDER")``
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from soundloom.embedder import Embedder
from soundloom.models.saved_model import CARD, CONFIG, from_pretrained
from soundloom.system_errors import reason_of
from soundloom.tagger import TAGGER
from soundloom.tags.linear_tags import VOCABULARY
from soundloom.training.checkpoints import Checkpoints
from soundloom.training.flat_config import flatten, read_yaml, resolve, settings_of, write_yaml
from soundloom.training.settings import TrainingError

__all__ = ["Run", "open_folder", "prepare_folder"]

_SETTINGS = "settings.yaml"


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Attributes:
        folder: all its files.
        steps: steps done.
        early: whether it stopped early because validation no longer improved.
        loss: lowest validation loss; None where nothing was validated.
        best_step: steps done when it was measured; those of the kept weights if the best are kept.
        seconds: time it took, interruptions left out.
        trained: those of the steps that this call did; 0 of a run that was finished before. It is no part of what the
            run is, and not compared.
    """

    folder: Path
    steps: int
    early: bool
    loss: float | None
    best_step: int | None
    seconds: float
    trained: int = field(compare=False)

    @classmethod
    def of_parts(cls, folder: Path, parts: Sequence[Run], seconds: float) -> Run:
        """A run of several in folders of their own, whose losses are not comparable."""
        return cls(
            folder=folder,
            steps=sum(part.steps for part in parts),
            early=any(part.early for part in parts),
            loss=None,
            best_step=None,
            seconds=seconds,
            trained=sum(part.trained for part in parts),
        )

    def model(self) -> Embedder:
        """The trained model, ready to embed."""
        return from_pretrained(self.folder)


def prepare_folder(folder: Path, recipe: object, heading: str, *, data: str, resume: bool) -> None:
    """Make a run's folder; or open it, if it holds a run that may go on.

    Args:
        folder: where.
        recipe: the dataclass of settings that decide the weights.
        heading: comments above the settings.
        data: identifies the training data.
        resume: go on from the last checkpoint, if there is one; else start anew.

    Raises:
        TrainingError: the folder holds something else, or a run with other settings; or cannot be written.
    """
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _SETTINGS).is_file() and any(folder.iterdir()):
            raise TrainingError(f"{folder} is not empty and holds no run: choose another folder")
        checkpoint = checkpoints.read("last") if resume else None
        if checkpoint is None:
            checkpoints.remove()
            _remove_learned(folder)
        if checkpoint is None or _is_longer(folder, recipe, data, checkpoint):
            # The model that is saved there is not the one that this run will end with.
            (folder / CONFIG).unlink(missing_ok=True)
        write_yaml(folder / _SETTINGS, flatten(recipe), heading)
    except OSError as error:
        raise TrainingError(f"cannot make the run's folder {folder}: {reason_of(error)}") from None


def _remove_learned(folder: Path) -> None:
    """Remove what a run left that is over: beside another model its words, its tagger and its clips would be wrong."""
    named = (CONFIG, CARD, VOCABULARY, TAGGER, "metrics.csv", "curves.png")
    for file in (*folder.glob("*.safetensors"), *(folder / name for name in named)):
        file.unlink(missing_ok=True)


def _is_longer(folder: Path, recipe: object, data: str, checkpoint: Mapping[str, Any]) -> bool:
    """Whether a finished run is to go on for more steps.

    Raises:
        TrainingError: the checkpoint is of a run with other settings, or of one with more steps.
    """
    settings = settings_of(type(recipe))
    since = {name: setting.metadata["since"] for name, setting in settings.items() if "since" in setting.metadata}
    here, there = {**flatten(recipe), "data": data}, {**since, **checkpoint["about"]}
    done, over = checkpoint["train_state"]["step"], checkpoint["train_state"]["over"]
    longer = here["steps"] > there["steps"]
    lengths = _lengths(type(recipe)) if longer and over else set()
    hint = f"; after {done} steps it is not finished, and only a finished run goes on for more steps" * longer
    _refuse_changes(folder, type(recipe), here, there, lengths, hint)
    return bool(longer)


def _lengths(recipe: type) -> set[str]:
    """Settings that may change when a finished run goes on."""
    return {name for name, setting in settings_of(recipe).items() if setting.metadata.get("length")}


def _refuse_changes(
    folder: Path,
    recipe: type,
    here: Mapping[str, Any],
    there: Mapping[str, Any],
    free: Collection[str] = (),
    hint: str = "",
) -> None:
    """Refuse settings, by flat name, that are others than those of a folder, but for some that are free to change.

    Raises:
        TrainingError: there are some.
    """
    settings = settings_of(recipe)
    changed = [
        name
        for name in {**there, **here}
        if there.get(name) != here.get(name)
        and name not in free
        and not (name in settings and settings[name].metadata.get("resumable"))
    ]
    if changed:
        differences = "; ".join(f"{name} is {there.get(name)!r} there and {here.get(name)!r} here" for name in changed)
        raise TrainingError(
            f"{folder} holds a run with other settings: {differences}{hint}. Choose another folder, give the same "
            "settings, or start over with --restart"
        )


def open_folder(out: Path, recipe: Any, heading: str, *, resume: bool) -> None:
    """Make the folder of a recipe of several runs, and write its settings before the first run starts.

    Args:
        out: the folder.
        recipe: written to its ``settings.yaml``.
        heading: the command, for the first line of that.
        resume: a model of other settings that is there is not to be replaced. What is not finished may change; each of
            its runs sees to its own settings.

    Raises:
        TrainingError: the folder holds something else, or a model of other settings; or cannot be written.
    """
    settings = out / _SETTINGS
    try:
        if out.is_dir() and any(out.iterdir()) and not settings.is_file():
            raise TrainingError(f"{out} is not empty and holds no run: choose another folder")
        out.mkdir(parents=True, exist_ok=True)
        if not resume:
            _remove_learned(out)
        if resume and (out / CONFIG).is_file():
            here, there = flatten(recipe), flatten(resolve(recipe, read_yaml(settings), str(settings)))
            _refuse_changes(out, type(recipe), here, there, _lengths(type(recipe)))
            if here != there:
                (out / CONFIG).unlink()
        write_yaml(settings, flatten(recipe), heading)
    except OSError as error:
        raise TrainingError(f"cannot make the run's folder {out}: {reason_of(error)}") from None
