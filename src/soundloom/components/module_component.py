"""Description of a registered front-end or encoder class: constructor, settings, wrapped component, presets.

A class is built in one of four ways, which its registration states: ``Class()``, ``Class(settings)``, ``Class(inner)``
or ``Class(inner, settings)``, where ``inner`` is another component of the same kind that it wraps. An instance keeps
its settings as the attribute ``settings`` and what it wraps under the attribute that ``wraps`` names.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass
from types import NoneType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

from soundloom.components.object_names import object_name
from soundloom.components.registry import Registry
from soundloom.errors import ComponentError

__all__ = ["ModuleComponent", "component_of", "presets", "register_class"]

M = TypeVar("M")


@dataclass(frozen=True, kw_only=True)
class ModuleComponent(Generic[M]):
    """A front-end or encoder class.

    Attributes:
        name: what saved files call it; ``package.module:object`` if it is not registered.
        kind: the class.
        settings: the class of its settings, a frozen dataclass; None if it has none.
        wraps: the attribute that holds the component it wraps; None if it wraps none.
        presets: name -> a function that builds one with settings of a paper. The first is what tests and lists show.
        registered: whether it is found by its name, rather than by where it is defined.
    """

    name: str
    kind: type[M]
    settings: type | None = None
    wraps: str | None = None
    presets: Mapping[str, Callable[[], M]] = field(default_factory=dict)
    registered: bool = True

    @property
    def title(self) -> str:
        """What it is, in a line: the first of its docstring."""
        return (inspect.getdoc(self.kind) or "").partition("\n")[0]

    @property
    def own(self) -> bool:
        """Whether it comes with soundloom."""
        return self.kind.__module__.startswith("soundloom.")


def presets(registry: Registry[ModuleComponent[M]]) -> dict[str, Callable[[], M]]:
    """Every preset of every component of a registry: name -> a function that builds one."""
    return {name: build for row in registry.values() for name, build in row.presets.items()}


def register_class(
    registry: Registry[ModuleComponent[Any]],
    name: str,
    *,
    settings: type | None,
    wraps: str | None,
    presets: Mapping[str, Callable[[], Any]] | None,
    aliases: Sequence[str],
) -> Callable[[type[M]], type[M]]:
    """The decorator that registers a class; see `soundloom.frontends.register_frontend`.

    Raises:
        ComponentError: the class is not of the base, or its settings are no frozen dataclass.
    """

    def register(kind: type[M]) -> type[M]:
        if not (isinstance(kind, type) and issubclass(kind, registry.base)):
            raise ComponentError(f"{name!r} should be a subclass of {registry.base.__name__}, got {kind!r}")
        if settings is not None:
            _check_settings(settings, name)
        # Without presets of its own it is built from the defaults of its settings.
        chosen = presets or {name: kind if settings is None else lambda: kind(settings())}  # type: ignore[call-arg]
        row = ModuleComponent(name=name, kind=kind, settings=settings, wraps=wraps, presets=chosen)
        registry.register(name, row, definition=kind, aliases=aliases)
        return kind

    return register


def component_of(registry: Registry[ModuleComponent[M]], kind: type[M]) -> ModuleComponent[M]:
    """The description of a class: as it was registered, or else read from its constructor.

    A class that is not registered must take nothing, or settings alone: one argument annotated with a frozen dataclass.

    Raises:
        ComponentError: its constructor takes anything else, or no other process could import it.
    """
    name = registry.name_of(kind)
    if name is not None:
        return registry[name]
    return ModuleComponent(name=object_name(kind), kind=kind, settings=_settings_of(kind, registry), registered=False)


def _settings_of(kind: type, registry: Registry[Any]) -> type | None:
    parameters = [each for each in inspect.signature(kind).parameters.values() if each.kind is not each.VAR_KEYWORD]
    needed = [each.name for each in parameters if each.default is each.empty and each.kind is not each.VAR_POSITIONAL]
    if not parameters:
        return None
    try:
        hint = get_type_hints(kind.__init__)[parameters[0].name]  # type: ignore[misc]
    except (NameError, KeyError, TypeError):
        hint = None
    choices = [each for each in get_args(hint) if each is not NoneType] or [hint]
    if len(parameters) == 1 and len(choices) == 1 and isinstance(choices[0], type) and is_dataclass(choices[0]):
        _check_settings(choices[0], kind.__name__)
        return choices[0]
    if not needed:
        return None
    raise ComponentError(
        f"the {registry.kind} {kind.__name__} takes {', '.join(needed)}, so it cannot be built again from settings: "
        "give it a frozen dataclass of settings and register it with settings=..."
    )


def _check_settings(settings: type, name: str) -> None:
    if not (isinstance(settings, type) and is_dataclass(settings) and settings.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        raise ComponentError(f"the settings of {name!r} should be a frozen dataclass, got {settings!r}")
