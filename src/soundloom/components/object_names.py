"""Import of objects by name, ``package.module:object``, and the names of importable objects."""

from __future__ import annotations

import os
import re
import sys
from importlib import import_module
from importlib.util import find_spec

from soundloom.errors import ComponentError

__all__ = ["import_object", "is_object_name", "object_name"]

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")


def is_object_name(text: str) -> bool:
    """Whether a text has the form ``package.module:object``.

    >>> is_object_name("my_package.models:mine"), is_object_name("C:/runs/mine"), is_object_name("hf:owner/name")
    (True, False, False)
    """
    return _NAME.fullmatch(text) is not None


def import_object(name: str) -> object:
    """Import the object that ``package.module:object`` names.

    A module that is not installed may lie in the working directory.

    Raises:
        ComponentError: the text has another form, or the module or the object cannot be imported; says why.
    """
    if not is_object_name(name):
        raise ComponentError(f"{name!r} should be package.module:object, such as my_package.models:mine")
    module_name, _, path = name.partition(":")
    try:
        _allow_working_directory(module_name.partition(".")[0])
        target: object = import_module(module_name)
    except Exception as error:
        raise ComponentError(
            f"cannot import {module_name!r} for {name!r}: {type(error).__name__}: {error}. Is its package installed?"
        ) from error
    for attribute in path.split("."):
        if not hasattr(target, attribute):
            raise ComponentError(f"{name!r}: {module_name} has no {path!r}")
        target = getattr(target, attribute)
    return target


def object_name(target: object) -> str:
    """The name ``package.module:object`` by which another process can import a class or function.

    Raises:
        ComponentError: it cannot be imported by name: it is defined in a function, or in the program itself.
    """
    module = getattr(target, "__module__", None)
    path = getattr(target, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(path, str):
        raise ComponentError(f"{target!r} is no class or function, so it has no name to import it by")
    if module == "__main__" or "<" in path:
        where = "the program itself" if module == "__main__" else "a function"
        raise ComponentError(
            f"{path} is defined in {where}, where another process cannot import it: move it to the top level of a "
            "module of its own"
        )
    return f"{module}:{path}"


def _allow_working_directory(package: str) -> None:
    """Let a package that is not installed be imported from the working directory, searched last."""
    if package not in sys.modules and find_spec(package) is None and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
