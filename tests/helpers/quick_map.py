"""Maps without UMAP, which takes seconds to start; how that arranges is tested with the library."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from soundloom.library.map import library_map


def without_umap(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(library_map, "umap_points", _arrange)


def _arrange(reduced: np.ndarray, report: Any) -> np.ndarray:
    report("arranging", 1.0)
    return np.ascontiguousarray(reduced[:, :2], dtype=np.float32)
