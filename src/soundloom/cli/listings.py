"""Listings of recipes and models for help and tables: soundloom's own as the package keeps them, without PyTorch.

Where a registry is loaded, or an installed package adds to it, the registry is read.

    python -m soundloom.cli.listings        writes what the package keeps; after a change of a recipe or model
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_origin

from soundloom.atomic_file import write_atomically
from soundloom.components.own_listings import (
    FILE,
    Listings,
    ModelListing,
    RecipeListing,
    SettingListing,
    own_listings,
)
from soundloom.components.registry import is_extended

if TYPE_CHECKING:
    from soundloom.models import Model
    from soundloom.recipes.recipe import RecipeComponent

__all__ = ["from_registries", "models", "recipe", "recipes"]


def recipes() -> dict[str, RecipeListing]:
    """Every registered recipe by name."""
    if not _only_own("soundloom.recipes"):
        from soundloom.recipes import RECIPES

        return {name: _recipe(row) for name, row in RECIPES.items()}
    return own_listings().recipes


def recipe(name: str) -> RecipeListing:
    """The recipe of that name, registered or not; see `soundloom.recipes.find_recipe`.

    Raises:
        TrainingError: there is none.
        ComponentError: the object cannot be imported, or is no objective or recipe.
    """
    if "soundloom.recipes" not in sys.modules and name in (own := own_listings().recipes):
        return own[name]
    from soundloom.recipes import find_recipe

    return _recipe(find_recipe(name))


def models() -> dict[str, ModelListing]:
    """Every registered model by name."""
    if not _only_own("soundloom.models.model_registry"):
        from soundloom.models import MODELS

        return {name: _model(name, row) for name, row in MODELS.items()}
    return own_listings().models


def _only_own(module: str) -> bool:
    """Whether what is kept can stand for a registry: its module is not loaded, and no installed package adds to it."""
    return module not in sys.modules and not is_extended()


def from_registries() -> Listings:
    """What the registries say of soundloom's own components: the default first, then by name."""
    from soundloom.models import DEFAULT, MODELS
    from soundloom.recipes import RECIPES

    # A registry is in the order in which its modules were imported, which differs from process to process.
    models = sorted(filter(MODELS.is_own, MODELS), key=lambda name: (name != DEFAULT, name))
    return Listings(
        recipes={name: _recipe(RECIPES[name]) for name in sorted(filter(RECIPES.is_own, RECIPES))},
        models={name: _model(name, MODELS[name]) for name in models},
    )


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


if __name__ == "__main__":
    write_atomically(FILE, from_registries().to_json())
