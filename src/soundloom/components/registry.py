"""Registry of one kind of component, filled by soundloom's own modules and by installed packages.

A registry is a read-only mapping that fills itself when it is first read. Three sources:

- the modules of soundloom's own packages, which register at import;
- installed packages, by entry points of the group ``soundloom.components``. Their values are modules, which register
  at import as soundloom's own do:

      [project.entry-points."soundloom.components"]
      my-package = "my_package.components"

- names of the form ``package.module:object``, for which nothing needs to be registered (`Registry.find`).

Installed packages are imported only when a name is not soundloom's own, or when the registry is listed. A package that
fails to import is left out with a `ComponentWarning`; the error is repeated where one of its names is asked for.
"""

from __future__ import annotations

import pkgutil
import threading
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from soundloom.components.object_names import import_object, is_object_name
from soundloom.errors import ComponentError, SoundloomError
from soundloom.letter_case import suggestion

__all__ = ["GROUP", "ComponentWarning", "Registry", "is_extended"]

T = TypeVar("T")

GROUP = "soundloom.components"
"""The entry-point group in which an installed package names the modules that register its components."""

_OWN = "soundloom."


def is_extended() -> bool:
    """Whether an installed package says that it adds components."""
    return bool(entry_points(group=GROUP))


class ComponentWarning(UserWarning):
    """An installed package names components that cannot be imported; they are left out."""


class Registry(Mapping[str, T]):
    """The components of one kind, by name.

    Args:
        kind: what one of them is called in messages, such as "front-end".
        base: the class that what is registered is, or describes a subclass of.
        packages: soundloom's own packages (or modules) whose modules register components of this kind.
        error: what `find` raises for an unknown name.
        hint: how to list what there is, appended to that error.
    """

    def __init__(
        self,
        kind: str,
        packages: Sequence[str],
        *,
        base: type = object,
        error: type[SoundloomError] = ComponentError,
        hint: str = "",
    ) -> None:
        self.kind = kind
        self.base = base
        self._packages = tuple(packages)
        self._error = error
        self._hint = hint
        self._rows: dict[str, T] = {}
        self._aliases: dict[str, str] = {}
        self._definitions: dict[str, object] = {}
        self._lock = threading.RLock()
        self._filled = False

    def register(self, name: str, component: T, *, definition: object = None, aliases: Sequence[str] = ()) -> T:
        """Add a component; called beside its definition.

        Args:
            name: what names it on command lines and in saved files. It never changes; classes may be renamed.
            component: what is found under the name.
            definition: the class or function that the component describes, if that is another object; `name_of` finds
                the name by it.
            aliases: other names that are understood.

        Returns:
            The component.

        Raises:
            ComponentError: the name is taken by another component. The same definition may be registered anew, as
                when a notebook's cell is run again.
        """
        definition = component if definition is None else definition
        for each in (name, *aliases):
            taken = self._aliases.get(each, each if each in self._rows else None)
            if taken is not None and not (taken == name and _same_place(self._definitions[taken], definition)):
                raise ComponentError(
                    f"the {self.kind} {each!r} of {_place(definition)} has the name of the one of "
                    f"{_place(self._definitions[taken])}: choose another name"
                )
        self._rows[name] = component
        self._definitions[name] = definition
        self._aliases.update(dict.fromkeys(aliases, name))
        return component

    def find(self, name: str, *, adapt: Callable[[object, str], T] | None = None) -> T:
        """The component of that name.

        Args:
            name: a registered name or an alias; or, where ``adapt`` is given, ``package.module:object``, which is
                imported. Whoever passes such a name trusts it; see `soundloom.components.check_trusted`.
            adapt: makes a component of an imported object that is not registered.

        Raises:
            SoundloomError: the registry's own error: no such component. The message lists what there is, and which
                installed packages failed to import.
            ComponentError: the object cannot be imported, or is no component of this kind.
        """
        if adapt is not None and is_object_name(name):
            target = import_object(name)
            known = self.name_of(target)
            return self._rows[known] if known is not None else adapt(target, name)
        try:
            return self[name]
        except KeyError:
            raise self.unknown(name) from None

    def unknown(self, name: str) -> SoundloomError:
        """The error for a name that is not there: suggests the nearest, lists all, and packages that failed."""
        known = suggestion(name, [*self, *self._aliases], f"there are {', '.join(sorted(self))}")
        failed = "".join(f". {failure}" for failure in _INSTALLED.failures.values())
        return self._error(f"no {self.kind} {name!r}: {known}{self._hint}{failed}")

    def registered(self, name: str) -> T | None:
        """The component registered under that name so far; for modules that register, and may run again."""
        return self._rows.get(self.canonical(name))

    def name_of(self, definition: object) -> str | None:
        """The registered name of a class, function or component; None if it is not registered."""
        for name, known in self._definitions.items():
            if known is definition or self._rows[name] is definition:
                return name
        return None

    def canonical(self, name: str) -> str:
        """The registered name behind an alias; any other name unchanged."""
        return self._aliases.get(name, name)

    def is_own(self, name: str) -> bool:
        """Whether the component of that name comes with soundloom."""
        return _module(self._definitions[self.canonical(name)]).startswith(_OWN)

    def definition(self, name: str) -> object:
        """The class or function that the component of that name describes."""
        return self._definitions[self.canonical(name)]

    def __getitem__(self, name: str) -> T:
        self._fill()
        name = self.canonical(name)
        if name not in self._rows:
            _INSTALLED.load()
            name = self.canonical(name)
        return self._rows[name]

    def __contains__(self, name: object) -> bool:
        try:
            return isinstance(name, str) and self[name] is not None
        except KeyError:
            return False

    def __iter__(self) -> Iterator[str]:
        self._fill()
        _INSTALLED.load()
        return iter(list(self._rows))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _fill(self) -> None:
        """Import soundloom's own modules, once."""
        if self._filled:
            return
        with self._lock:
            if self._filled:
                return
            for package in self._packages:
                module = import_module(package)
                for found in pkgutil.iter_modules(getattr(module, "__path__", [])):
                    import_module(f"{package}.{found.name}")
            self._filled = True


class _Installed:
    """The entry points of installed packages, imported once for all registries.

    Attributes:
        failures: entry point -> why it could not be imported.
    """

    def __init__(self) -> None:
        self.failures: dict[str, str] = {}
        self._lock = threading.RLock()
        self._loaded = False

    def load(self) -> None:
        """Import every module that an installed package names; one that fails is left out with a warning."""
        if self._loaded:
            return
        with self._lock:
            if self._loaded:
                return
            self._loaded = True
            for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
                self._load(entry)

    def _load(self, entry: EntryPoint) -> None:
        try:
            entry.load()
        except Exception as error:  # whatever a foreign module raises costs only itself
            package = entry.dist.name if entry.dist is not None else entry.module
            reason = f"{type(error).__name__}: {error}"
            self.failures[entry.name] = (
                f"The components {entry.name!r} of the installed package {package!r} are left out: importing "
                f"{entry.value!r} failed with {reason}"
            )
            warnings.warn(self.failures[entry.name], ComponentWarning, stacklevel=4)


_INSTALLED = _Installed()


def _module(definition: object) -> str:
    return str(getattr(definition, "__module__", type(definition).__module__))


def _place(definition: object) -> str:
    return f"{_module(definition)}:{getattr(definition, '__qualname__', type(definition).__qualname__)}"


def _same_place(old: object, new: object) -> bool:
    return old is new or (_place(old) == _place(new) and hasattr(new, "__qualname__"))
