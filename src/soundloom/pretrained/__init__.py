"""From a name to a model: the grammar of names and the table of models."""

from soundloom.pretrained.models import DEFAULT, MODELS, Model, load
from soundloom.pretrained.names import PartName, parse

__all__ = ["DEFAULT", "MODELS", "Model", "PartName", "load", "parse"]
