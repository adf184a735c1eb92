"""First conversion of pyarrow with pandas left out, which takes longer to import than a search of names.

pyarrow imports pandas, where it is installed, when it first converts a list or an array: it might be a series. There is
no setting against that; pandas is made impossible to import for that one conversion, after which pyarrow takes it for
absent. `pyarrow.Table.to_pandas` looks for it again and works.

When not: in somebody else's process, whose series pyarrow would no longer recognise. So commands use it, and the
library does not.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundloom.library import Library

__all__ = ["convert_without_pandas", "open_library"]


class _PandasIsAbsent(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:  # noqa: ARG002 (importlib's signature)
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is left out", name=fullname)


def open_library(folder: Path) -> Library:
    """Open a library for a command that converts tables; see `Library.open`."""
    convert_without_pandas()
    from soundloom.library import Library

    return Library.open(folder)


def convert_without_pandas() -> None:
    """Have pyarrow convert something, unless pandas or pyarrow is imported already."""
    if "pandas" in sys.modules or "pyarrow" in sys.modules:
        return
    finder = _PandasIsAbsent()
    sys.meta_path.insert(0, finder)
    try:
        import pyarrow as pa

        pa.array([0]).to_numpy()
    finally:
        sys.meta_path.remove(finder)
