"""Flat names for nested settings dataclasses: one source for command-line flags, YAML keys and their help.

A recipe is a frozen dataclass; a field that is itself a frozen dataclass is a section, whose fields are named without
it: ``TripletRecipe.training.rate`` is the flag ``--rate`` and the YAML key ``rate``. So names must differ across the
sections of a recipe. What a setting means is read from the "Attributes" of its class.

Anything unknown, or of another type, is an error.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from soundloom.components import from_plain
from soundloom.errors import InvalidArgumentError, MissingExtraError, SoundloomError
from soundloom.training.settings import TrainingError

__all__ = ["ALIASES", "Setting", "canonical", "flatten", "read_yaml", "resolve", "settings_of", "write_yaml"]

T = TypeVar("T")

ALIASES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "batch": ("batch_size",),
        "clip": ("grad_clip", "clip_grad"),
        "devices": ("gpus",),
        "epochs": ("num_epochs", "max_epochs"),
        "final_rate": ("final_lr", "min_lr"),
        "init": ("pretrained",),
        "optimiser": ("optimizer",),
        "rate": ("lr", "learning_rate"),
        "schedule": ("scheduler", "lr_schedule"),
        "seed": ("random_seed",),
        "steps": ("max_steps", "num_steps"),
        "threads": ("num_threads",),
        "validation": ("validation_split", "val_split"),
        "warmup": ("warmup_steps",),
        "weight_decay": ("wd",),
    }
)
"""Setting -> its names in other trainers, which are understood in flags and files of every recipe."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One setting of a recipe.

    Attributes:
        name: the flat name, a YAML key; as a flag with hyphens.
        path: the fields that lead to it.
        kind: its type, as annotated.
        section: what the docstring of its class begins with.
        help: what the docstring of its class says of it.
        metadata: of its field: ``resumable``, it may change when a run is resumed; ``length``, it may change when a
            finished run goes on for more steps; ``since``, the value for runs that were trained before the setting
            existed.
    """

    name: str
    path: tuple[str, ...]
    kind: Any
    section: str
    help: str
    metadata: Mapping[str, Any]

    @property
    def aliases(self) -> tuple[str, ...]:
        """Other names that are understood."""
        return ALIASES.get(self.name, ())


def settings_of(recipe: type) -> dict[str, Setting]:
    """Every setting of a recipe by its flat name, in the order of the fields.

    Raises:
        InvalidArgumentError: two sections have a setting of one name.
    """
    found: dict[str, Setting] = {}
    for setting in _walk(recipe, ()):
        if setting.name in found:
            raise InvalidArgumentError(f"{recipe.__name__} has two settings {setting.name!r}: rename one of them")
        found[setting.name] = setting
    return found


def flatten(recipe: object) -> dict[str, Any]:
    """The values of a recipe by flat name; what `resolve` takes."""
    values = {}
    for name, setting in settings_of(type(recipe)).items():
        value: Any = recipe
        for field in setting.path:
            value = getattr(value, field)
        values[name] = list(value) if isinstance(value, tuple) else value
    return values


def resolve(preset: T, changes: Mapping[str, object], where: str) -> T:
    """A recipe with some settings changed.

    Args:
        preset: what to change.
        changes: values by flat name; text is read as what the setting wants, so that flags and YAML are alike.
        where: what to call the changes in messages.

    Raises:
        TrainingError: no such setting, or no such value.
    """
    kind = type(preset)
    known = settings_of(kind)
    changes = canonical(kind, changes)
    for name in changes:
        if name not in known:
            near = difflib.get_close_matches(str(name), [*known, *_aliases(kind)], n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise TrainingError(f"{where}: no setting {name!r}{hint}. The settings are {', '.join(known)}")
    nested: dict[str, Any] = {}
    for name, value in {**flatten(preset), **changes}.items():
        *sections, field = known[name].path
        inside = nested
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[field] = _understood(known[name].kind, value)
    try:
        return from_plain(kind, nested, where)
    except SoundloomError as error:
        raise TrainingError(str(error)) from None


def canonical(recipe: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by flat name, of values by flat name or alias (`ALIASES`)."""
    aliases = _aliases(recipe)
    return {aliases.get(name, name): value for name, value in values.items()}


def read_yaml(path: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises:
        TrainingError: it cannot be read, or is no mapping.
        MissingExtraError: PyYAML is not installed.
    """
    yaml = _yaml("reading settings")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise TrainingError(f"cannot read settings from {path}: {error}") from None
    if not isinstance(values, dict):
        raise TrainingError(f"{path} should hold lines such as 'rate: 0.001', got {type(values).__name__}")
    return values


def write_yaml(path: Path, values: Mapping[str, Any], heading: str) -> None:
    """Write settings, below a heading of comments.

    Raises:
        OSError: the file cannot be written.
        MissingExtraError: PyYAML is not installed.
    """
    text = _yaml("keeping settings").safe_dump(dict(values), sort_keys=False, allow_unicode=True)
    comments = "".join(f"# {line}\n" for line in heading.splitlines())
    path.write_text(comments + text, encoding="utf-8")


def _aliases(recipe: type) -> dict[str, str]:
    return {alias: name for name, setting in settings_of(recipe).items() for alias in setting.aliases}


def _walk(kind: type, path: tuple[str, ...]) -> Iterator[Setting]:
    types = get_type_hints(kind)
    documented = inspect.getdoc(kind) or ""
    helps: dict[str, str] = {}
    # A subclass documents the fields that it adds; its base documents the others.
    for base in reversed(kind.__mro__):
        helps |= _attributes(inspect.cleandoc(base.__doc__ or ""))
    for field in fields(kind):
        path_of_field = (*path, field.name)
        if is_dataclass(types[field.name]):
            yield from _walk(types[field.name], path_of_field)
        else:
            section = documented.partition("\n")[0].rstrip(".")
            yield Setting(
                name=field.name,
                path=path_of_field,
                kind=types[field.name],
                section=section,
                help=helps.get(field.name, ""),
                metadata=field.metadata,
            )


def _attributes(documented: str) -> dict[str, str]:
    """What the section "Attributes" of a docstring says, by name, each on one line."""
    section = documented.partition("\nAttributes:\n")[2]
    section = re.split(r"\n(?=\S)", section, maxsplit=1)[0]
    entries = re.findall(r"^ {4}(\w+): ((?:.*\n?)(?: {5,}.*\n?)*)", section, flags=re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def _understood(kind: Any, value: object) -> object:
    """Text as what the setting wants; as it is where it cannot be that, so that the strict reader refuses it."""
    if not isinstance(value, str) or kind is str:
        return value
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        if value.lower() == "none" and NoneType in arguments:
            return None
        return _understood(next(argument for argument in arguments if argument is not NoneType), value)
    if origin is tuple:
        return [_understood(arguments[0], item.strip()) for item in value.split(",") if item.strip()]
    if origin is Literal:
        return next((choice for choice in arguments if str(choice) == value), value)
    if kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            return value
    return value


def _yaml(purpose: str) -> Any:
    try:
        import yaml
    except ImportError:
        raise MissingExtraError("pyyaml", "train", purpose) from None
    return yaml
