"""Shapes and dtypes of soundloom's arrays, checked at every call of a test run.

Every annotated argument and result that is a jaxtyping array is checked, and every such field of a dataclass. Other
annotations are mypy's business; many of them cannot be resolved at run time at all, because they name types that are
imported for type checking only. Functions without arrays stay as they are: jaxtyping's own import hook wraps all of
them, which costs a quarter of the time of a test run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any, TypeVar

from beartype import beartype
from jaxtyping import jaxtyped

_T = TypeVar("_T")
_F = TypeVar("_F", bound=Callable[..., Any])
_PACKAGE = "soundloom"
_RESOLVED = re.compile("^<class '|jaxtyping\\.|collections\\.abc\\.|typing\\.")
_DTYPES = ("Bool", "Complex", "Float", "Int", "Integer", "Num", "Real", "Shaped", "UInt")
_ARRAYS = tuple(f"{dtype}{bits}[" for dtype in _DTYPES for bits in ("", "8", "16", "32", "64", "128"))


def install() -> None:
    """Check the modules of soundloom that are imported from now on."""
    sys.meta_path.insert(0, _Finder())


def checked(decorated: _T) -> _T:
    """A function, or a dataclass, whose arrays are checked."""
    wrapped: _T = jaxtyped(typechecker=_check_arrays)(decorated)
    return wrapped


def _check_arrays(function: _F) -> _F:
    annotations = getattr(function, "__annotations__", None)
    if not isinstance(annotations, dict):
        return function
    function.__annotations__ = {name: annotation for name, annotation in annotations.items() if _checkable(annotation)}
    return beartype(function) if function.__annotations__ else function


def _checkable(annotation: object) -> bool:
    """Whether it names arrays, and not inside a container that may not be resolvable, such as Iterator[...].

    Annotations are strings where they could not be resolved, and else types.
    """
    text = annotation if isinstance(annotation, str) else _RESOLVED.sub("", str(annotation))
    return _names_arrays(text) and text.lstrip("'\"").startswith((*_ARRAYS, "tuple[", "list[", "Sequence[", "dict["))


def _names_arrays(annotation: str) -> bool:
    return any(array in annotation for array in _ARRAYS)


class _Finder(MetaPathFinder):
    """Finds the modules of soundloom that name arrays."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] != _PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader:
            return None
        if not _names_arrays(Path(spec.loader.path).read_text("utf-8")):
            return None
        spec.loader = _Loader(fullname, spec.loader.path)
        return spec


class _Loader(SourceFileLoader):
    """Compiles a module with its functions and dataclasses decorated."""

    def path_stats(self, _path: str) -> Any:
        raise OSError  # without them nothing is cached, where processes that check nothing would find it

    def source_to_code(self, data: Any, path: Any, *, _optimize: int = -1) -> CodeType:
        tree = _Decorating().visit(ast.parse(data))
        code: CodeType = compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True, optimize=_optimize)
        return code


class _Decorating(ast.NodeTransformer):
    """Decorates what names arrays in its annotations."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        self.generic_visit(node)
        arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs, node.args.vararg, node.args.kwarg)
        annotations = (node.returns, *(argument.annotation for argument in arguments if argument))
        if any(_names_arrays(ast.unparse(annotation)) for annotation in annotations if annotation):
            node.decorator_list.append(_decorator(node))  # next to the function: others may hide its annotations
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        fields = (part.annotation for part in node.body if isinstance(part, ast.AnnAssign))
        if any(_names_arrays(ast.unparse(annotation)) for annotation in fields):
            node.decorator_list.insert(0, _decorator(node))  # around what makes it a dataclass
        return node


def _decorator(node: ast.stmt) -> ast.expr:
    call = ast.parse(f"__import__({__name__!r}).{checked.__name__}", mode="eval").body
    for part in ast.walk(call):
        ast.copy_location(part, node)
    return call
