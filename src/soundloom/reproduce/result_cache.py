"""Cache of measured results, so that a reproduction that is resumed measures nothing twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soundloom.evaluation.results import EvaluationError, write_whole

__all__ = ["ResultCache"]


class ResultCache:
    """Measured numbers by name, in one JSON file.

    Args:
        path: the file; made when the first number is cached.

    Raises:
        EvaluationError: it is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: dict[str, Any] = {}
        if path.is_file():
            try:
                self._results = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise EvaluationError(
                    f"cannot read the measured numbers in {path}: {error}; remove the file to measure anew"
                ) from None

    def get_or_compute(self, name: str, decides: object, measure: Callable[[], float]) -> float:
        """The number of this name and key, measured now if it is not cached.

        Args:
            name: for people who read the file.
            decides: everything the number depends on, as plain JSON data.
            measure: gives the number.

        Raises:
            EvaluationError: the file cannot be written.
        """
        key = f"{name} [{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}]"
        if key not in self._results:
            self._results[key] = float(measure())
            write_whole(self.path, json.dumps(self._results, indent=1))
        return float(self._results[key])
