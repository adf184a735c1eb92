"""From a name to a model: the grammar of names, the table of models, and models saved by their users."""

from soundloom.pretrained.cards import Card
from soundloom.pretrained.models import DEFAULT, MODELS, Model, absolute, load
from soundloom.pretrained.names import PartName, parse
from soundloom.pretrained.saving import from_pretrained, push_to_hub, save_pretrained

__all__ = [
    "DEFAULT",
    "MODELS",
    "Card",
    "Model",
    "PartName",
    "absolute",
    "from_pretrained",
    "load",
    "parse",
    "push_to_hub",
    "save_pretrained",
]
