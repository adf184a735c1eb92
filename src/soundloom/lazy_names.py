"""Names of a package that are imported from their modules when they are first used (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from types import ModuleType
from typing import Any

from soundloom.errors import MissingExtraError

__all__ = ["lazy_names"]


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its name.
        homes: name -> the module that defines it, below the package; a module of the package is its own home.
    """

    def getattribute(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        try:
            home = import_module(f"{package}.{homes[name]}")
        except ModuleNotFoundError as error:
            raise MissingExtraError.of_torch(error) or error from None
        return home if homes[name] == name and not hasattr(home, name) else getattr(home, name)

    def directory() -> list[str]:
        known = vars(sys.modules[package]).items()
        return sorted({*homes, *(name for name, value in known if name[:2] == "__" or isinstance(value, ModuleType))})

    return getattribute, directory
