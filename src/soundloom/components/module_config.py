"""Plain-data description of a front-end or encoder, as in ``config.json``, and its reconstruction.

Settings, and what it wraps, are part of it; weights are not. A component that does not come with soundloom is recorded
with where its code is. That code is imported only if it is trusted (`soundloom.components.trust`); a component that an
installed package registers is found by its name alone.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar, cast

from soundloom.components.module_component import ModuleComponent, component_of
from soundloom.components.object_names import import_object, is_object_name, object_name
from soundloom.components.plain_data import from_plain
from soundloom.components.registry import Registry
from soundloom.components.trust import check_trusted
from soundloom.errors import ComponentError

__all__ = ["ModuleConfig"]

M = TypeVar("M")


@dataclass(frozen=True, kw_only=True)
class ModuleConfig:
    """A front-end or an encoder.

    Attributes:
        type: its registered name; ``package.module:object`` if it is not registered.
        settings: what it is built from.
        inner: the component that it wraps, if it does.
        code: ``package.module:object`` of the class, if it is registered but does not come with soundloom.
    """

    type: str
    settings: dict[str, Any] = field(default_factory=dict)
    inner: ModuleConfig | None = None
    code: str | None = None

    @classmethod
    def of(cls, module: M, registry: Registry[ModuleComponent[M]]) -> ModuleConfig:
        """Describe a module.

        Raises:
            ComponentError: no other process could build it again from what it says of itself.
        """
        row = component_of(registry, type(module))
        code = object_name(row.kind) if row.registered and not row.own else None
        inner = None if row.wraps is None else cls.of(getattr(module, row.wraps), registry)
        settings = {} if row.settings is None else _plain(module, row, registry.kind)
        return cls(type=row.name, settings=settings, inner=inner, code=code)

    def build(self, registry: Registry[ModuleComponent[M]], where: str, *, trust: bool = False) -> M:
        """Make the module anew, without its weights.

        Args:
            registry: of its kind.
            where: what to call this in messages.
            trust: whether code that this names may be imported, though no installed package registers it.

        Raises:
            ComponentError: there is no such component, its code is not trusted, or these are not its settings.
        """
        row = self._component(registry, where, trust)
        if (row.wraps is not None) != (self.inner is not None):
            verb = "has no" if row.wraps is None else "needs"
            raise ComponentError(f"{where}: {self.type} {verb} inner {registry.kind}")
        if self.settings and row.settings is None:
            raise ComponentError(f"{where}.settings: {self.type} has none, got {', '.join(self.settings)}")
        arguments: list[Any] = []
        if self.inner is not None:
            arguments.append(self.inner.build(registry, f"{where}.inner", trust=trust))
        if row.settings is not None:
            arguments.append(from_plain(row.settings, self.settings, f"{where}.settings"))
        try:
            return row.kind(*arguments)
        except ValueError as error:
            raise ComponentError(f"{where}: {error}") from None

    def to_plain(self) -> dict[str, Any]:
        """As JSON data; what `from_plain` takes."""
        plain: dict[str, Any] = {"type": self.type, "settings": self.settings}
        plain["inner"] = None if self.inner is None else self.inner.to_plain()
        return plain if self.code is None else {**plain, "code": self.code}

    def is_own(self, registry: Registry[ModuleComponent[M]]) -> bool:
        """Whether it comes with soundloom, and all that it wraps."""
        own = self.type in registry and registry[self.type].own
        return own and (self.inner is None or self.inner.is_own(registry))

    def _component(self, registry: Registry[ModuleComponent[M]], where: str, trust: bool) -> ModuleComponent[M]:
        if self.type in registry:
            return registry[self.type]
        code = self.type if is_object_name(self.type) else self.code
        if code is None or not is_object_name(code):
            raise ComponentError(f"{where}.type: {registry.unknown(self.type)}")
        # A module that the program imported itself runs already.
        if code.partition(":")[0] not in sys.modules:
            check_trusted(code, where, trust)
        kind: Any = import_object(code)
        if not (isinstance(kind, type) and issubclass(kind, registry.base)):
            raise ComponentError(f"{where}: {code!r} should be a subclass of {registry.base.__name__}, got {kind!r}")
        return component_of(registry, cast(Any, kind))


def _plain(module: Any, row: ModuleComponent[Any], kind: str) -> dict[str, Any]:
    """The settings as plain data, which must make equal settings again."""
    settings: Any = getattr(module, "settings", None)
    if type(settings) is not row.settings:
        expected = getattr(row.settings, "__name__", row.settings)
        raise ComponentError(
            f"the {kind} {row.name} should keep its settings, a {expected}, as its attribute settings, got {settings!r}"
        )
    plain = asdict(cast(Any, settings))
    try:
        again = from_plain(type(settings), json.loads(json.dumps(plain)), f"the settings of {row.name}")
    except (TypeError, ValueError) as error:
        raise ComponentError(f"the settings of the {kind} {row.name} are no plain JSON data: {error}") from None
    if again != settings:
        raise ComponentError(f"the settings of the {kind} {row.name} turn into {again!r} in JSON: got {settings!r}")
    return plain
