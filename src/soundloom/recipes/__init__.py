"""The papers as settings: a recipe says which stream learns what from what, and for how long.

``RECIPES`` is the one table of them. A recipe's module has ``PRESETS``, name -> frozen dataclass, the first of which is
the paper's, and ``train(recipe, corpus, out, ...)``, which gives a `soundloom.training.Run`. Every field of the
dataclass is a flag of ``soundloom train NAME`` and a key of its YAML file (`soundloom.training.flat_config`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["RECIPES", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A recipe that can be trained from the command line.

    Attributes:
        title: what it does, in a line.
        module: where it is; imported when it is wanted.
        examples: command lines that show it.
    """

    title: str
    module: str
    examples: tuple[str, ...]


RECIPES: Mapping[str, Row] = MappingProxyType(
    {
        "triplet": Row(
            title="Learn from any folder of sounds, without labels (Jansen 2017).",
            module="soundloom.recipes.triplet",
            examples=(
                "soundloom train triplet ~/sounds --out runs/mine --preset small",
                "soundloom train triplet pool=/data/audio --out runs/near --preset small --noise 0 --translation 0 "
                "--mixing 0",
                "soundloom train triplet ~/sounds --out runs/timbre --preset small --stream timbre",
                "soundloom train triplet ~/sounds --out runs/paper --device cuda --devices 4 --precision bf16",
            ),
        ),
        "labels": Row(
            title="Learn to tell the classes of a labelled collection.",
            module="soundloom.recipes.labels",
            examples=(
                "soundloom train labels esc50=/data/ESC-50-master --out runs/esc50 --preset small --fold 1,2,3,4",
                "soundloom train labels fsd50k=/data/FSD50K --out runs/fsd --stream resnet50 --loss bce",
            ),
        ),
        "coala": Row(
            title="Align sounds with the free-form tags people gave them (Favory 2020).",
            module="soundloom.recipes.coala",
            examples=("soundloom train coala fsd50k=/data/FSD50K --out runs/coala",),
        ),
        "diverse": Row(
            title="Pitch, timbre, waveform and neuralogram, learned apart and woven (Verma 2023).",
            module="soundloom.recipes.diverse",
            examples=(
                "soundloom train diverse fsd50k=/data/FSD50K --out runs/diverse --preset small",
                "soundloom train diverse ~/sounds --out runs/heard --preset small --objective triplet",
                "soundloom train diverse ~/sounds --out runs/two --streams pitch,timbre --jobs 1 --threads 2",
            ),
        ),
        "loom": Row(
            title="The default model: pitch, timbre, texture and a general ear, woven, with words.",
            module="soundloom.recipes.loom",
            examples=("soundloom train loom pool=/data/audio --out runs/loom",),
        ),
        "notes": Row(
            title="Learn which note sounds, from single notes whose MIDI number is known.",
            module="soundloom.recipes.pitch",
            examples=("soundloom train notes pool=/data/audio --out runs/notes",),
        ),
    }
)
