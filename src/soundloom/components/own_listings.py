"""Listing of soundloom's own recipes and models as plain data, kept in the package: showing them needs no PyTorch.

`python -m soundloom.cli.listings` writes it from the registries.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["FILE", "Listings", "ModelListing", "RecipeListing", "SettingListing", "own_listings"]

FILE = Path(__file__).with_suffix(".json")
"""Where it is kept."""


@dataclass(frozen=True, kw_only=True)
class SettingListing:
    """A setting of a recipe, as a flag.

    Attributes:
        name: the flat name, which the flag's value is passed under.
        names: the flag's names without the leading hyphens.
        switch: whether it is on or off.
        several: whether its value is a list.
        section: of the help.
        help: what it means, and its values in the presets.
    """

    name: str
    names: list[str]
    switch: bool
    several: bool
    section: str
    help: str


@dataclass(frozen=True, kw_only=True)
class RecipeListing:
    """A recipe, as a command.

    Attributes:
        title: what it does, in a line.
        examples: command lines that show it.
        presets: their names; the first is the default.
        settings: its flags.
    """

    title: str
    examples: list[str]
    presets: list[str]
    settings: list[SettingListing]


@dataclass(frozen=True, kw_only=True)
class ModelListing:
    """A model that can be named.

    Attributes:
        title: what it is, in a line.
        source: a paper, a checkpoint.
        licence: by SPDX name; empty if it is not stated.
        default: whether it is taken where none is named.
        checkpoint: name, filename, licence, citation, address, bytes, digest, sha256, md5 and size of the published
            weights; None if it has none.
    """

    title: str
    source: str
    licence: str
    default: bool
    checkpoint: dict[str, Any] | None


@dataclass(frozen=True, kw_only=True)
class Listings:
    """What can be trained and what can be named.

    Attributes:
        recipes: name -> recipe.
        models: name -> model.
    """

    recipes: dict[str, RecipeListing]
    models: dict[str, ModelListing]

    def to_json(self) -> str:
        """As text that `own_listings` reads."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


@cache
def own_listings() -> Listings:
    """Those of the components that come with soundloom."""
    kept = json.loads(FILE.read_text(encoding="utf-8"))
    return Listings(
        recipes={name: _recipe(plain) for name, plain in kept["recipes"].items()},
        models={name: ModelListing(**plain) for name, plain in kept["models"].items()},
    )


def _recipe(plain: Mapping[str, Any]) -> RecipeListing:
    return RecipeListing(**{**plain, "settings": [SettingListing(**setting) for setting in plain["settings"]]})
