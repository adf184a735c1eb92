"""Recipes: the papers as settings; a recipe says which stream learns what from what, and for how long.

    run = LabelRecipe(...).run(corpus, Path("runs/mine"))
    run.model().embed("dog.wav")

Each recipe is a frozen dataclass with one `run` (`soundloom.recipes.recipe`), registered with its presets beside its
definition; ``RECIPES`` is the registry, ``STREAMS`` that of the streams that recipes train.
"""

from soundloom.recipes.architectures import STREAMS
from soundloom.recipes.recipe import RECIPES, Recipe, RunOptions, StreamRecipe, find_recipe, register_recipe

__all__ = ["RECIPES", "STREAMS", "Recipe", "RunOptions", "StreamRecipe", "find_recipe", "register_recipe"]
