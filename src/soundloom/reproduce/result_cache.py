"""Numbers that were measured, remembered: a reproduction that was stopped measures none of them twice."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from soundloom.evaluation.results import EvaluationError, write_whole

__all__ = ["ResultCache"]


class ResultCache:
    """Numbers by name, in one JSON file.

    Args:
        path: the file, which need not be there.

    Raises:
        EvaluationError: it is there and cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries: dict[str, Any] = {}
        if path.is_file():
            try:
                self._entries = json.loads(path.read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                raise EvaluationError(f"cannot read the ledger {path}: {error}; remove it to measure anew") from None

    def once(self, name: str, decides: object, measure: Callable[[], float]) -> float:
        """What was measured under this name, with the same things deciding it; measured now if it was not.

        Args:
            name: for people who read the file.
            decides: everything the number depends on, as plain JSON data.
            measure: gives the number.

        Raises:
            EvaluationError: the file cannot be written.
        """
        key = f"{name} [{hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:16]}]"
        if key not in self._entries:
            self._entries[key] = float(measure())
            write_whole(self.path, json.dumps(self._entries, indent=1))
        return float(self._entries[key])
