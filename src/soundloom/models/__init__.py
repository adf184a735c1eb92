"""From a name to a model: the grammar of names, the table of models, and models saved by their users."""

from soundloom.models.model_card import Card
from soundloom.models.names import PartName, parse
from soundloom.models.registry import DEFAULT, MODELS, Model, absolute, load
from soundloom.models.saved_model import from_pretrained, push_to_hub, save_pretrained

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
