"""Listings of recipes and models for help and tables, kept in the cache so that showing them imports no torch.

A listing is what the registries say of soundloom's own components, as plain data. It is made once for each
installation, and anew when a source file of soundloom has changed. Components of installed packages are never kept:
where there are any, the registries are read.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_origin

import soundloom
from soundloom.atomic_file import write_atomically
from soundloom.cache_folder import cache_home
from soundloom.components.registry import GROUP

if TYPE_CHECKING:
    from soundloom.models import Model
    from soundloom.recipes.recipe import RecipeComponent

__all__ = ["ModelListing", "RecipeListing", "SettingListing", "models", "recipe", "recipes"]


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


@dataclass(frozen=True)
class _Listings:
    recipes: dict[str, RecipeListing]
    models: dict[str, ModelListing]


def recipes() -> dict[str, RecipeListing]:
    """Every registered recipe by name."""
    if not _only_own("soundloom.recipes"):
        from soundloom.recipes import RECIPES

        return {name: _recipe(row) for name, row in RECIPES.items()}
    return _own().recipes


def recipe(name: str) -> RecipeListing:
    """The recipe of that name, registered or not; see `soundloom.recipes.find_recipe`.

    Raises:
        TrainingError: there is none.
        ComponentError: the object cannot be imported, or is no objective or recipe.
    """
    if "soundloom.recipes" not in sys.modules and name in (own := _own().recipes):
        return own[name]
    from soundloom.recipes import find_recipe

    return _recipe(find_recipe(name))


def models() -> dict[str, ModelListing]:
    """Every registered model by name."""
    if not _only_own("soundloom.models.model_registry"):
        from soundloom.models import MODELS

        return {name: _model(name, row) for name, row in MODELS.items()}
    return _own().models


def _only_own(module: str) -> bool:
    """Whether the cache can stand for a registry: its module is not loaded, and no installed package adds to it."""
    return module not in sys.modules and not entry_points(group=GROUP)


def _own() -> _Listings:
    """Soundloom's own recipes and models: from the cache, or else from the registries, and then kept."""
    sources = _sources()
    path = cache_home() / "listings" / f"{hashlib.sha256(str(_package()).encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["sources"] == sources:
            return _Listings(
                recipes={name: _recipe_of_plain(plain) for name, plain in kept["recipes"].items()},
                models={name: ModelListing(**plain) for name, plain in kept["models"].items()},
            )
    listings = _from_registries()
    # A cache that cannot be written costs time, not the help.
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps({"sources": sources, **asdict(listings)}))
    return listings


def _from_registries() -> _Listings:
    from soundloom.models import MODELS
    from soundloom.recipes import RECIPES

    return _Listings(
        recipes={name: _recipe(row) for name, row in RECIPES.items() if RECIPES.is_own(name)},
        models={name: _model(name, row) for name, row in MODELS.items() if MODELS.is_own(name)},
    )


def _package() -> Path:
    return Path(soundloom.__file__).parent


def _sources() -> str:
    """A hash of soundloom's version, and of name, size and time of every source file."""
    digest = hashlib.sha256(soundloom.__version__.encode())
    for folder, folders, names in os.walk(_package()):
        folders.sort()
        for name in sorted(name for name in names if name.endswith(".py")):
            status = os.stat(os.path.join(folder, name))
            digest.update(f"{folder}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _recipe(row: RecipeComponent) -> RecipeListing:
    from soundloom.training.flat_config import flatten, settings_of

    values = {name: flatten(preset) for name, preset in row.presets.items()}
    settings = [
        SettingListing(
            name=setting.name,
            names=[name.replace("_", "-") for name in (setting.name, *setting.aliases)],
            switch=setting.kind is bool,
            several=get_origin(setting.kind) is tuple,
            section=setting.section,
            help=f"{setting.help[:1].upper()}{setting.help[1:]}  "
            f"[{_in_presets({name: flat[setting.name] for name, flat in values.items()})}]",
        )
        for setting in settings_of(row.kind).values()
    ]
    return RecipeListing(title=row.title, examples=list(row.examples), presets=list(row.presets), settings=settings)


def _recipe_of_plain(plain: Mapping[str, Any]) -> RecipeListing:
    return RecipeListing(**{**plain, "settings": [SettingListing(**setting) for setting in plain["settings"]]})


def _in_presets(values: Mapping[str, object]) -> str:
    """The value in the first preset, and those that differ from it."""
    shown = {name: _shown(value) for name, value in values.items()}
    first = next(iter(shown.values()))
    return "; ".join([first, *(f"{name}: {value}" for name, value in shown.items() if value != first)])


def _shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def _model(name: str, row: Model) -> ModelListing:
    from soundloom.models import DEFAULT
    from soundloom.models.weights.published_checkpoints import CHECKPOINTS

    checkpoint: dict[str, Any] | None = None
    if row.checkpoint:
        published = CHECKPOINTS[row.checkpoint]
        source = published.source
        checkpoint = {
            "name": published.name,
            "licence": published.licence,
            "citation": published.citation,
            "filename": source.filename,
            "address": source.address,
            "size": source.size,
            "bytes": source.bytes,
            "digest": source.digest,
            "sha256": source.sha256,
            "md5": source.md5,
        }
    return ModelListing(
        title=row.title,
        source=row.source,
        licence=row.stated_licence,
        default=name == DEFAULT,
        checkpoint=checkpoint,
    )
