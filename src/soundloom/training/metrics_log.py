"""Metrics of a run over its steps: ``metrics.csv``, and TensorBoard on request.

A row is a step: the means of the objective's values since the row before, the learning rate, and at a validation its
means, as ``validation loss`` and so on. Rows are written at once. A resumed run drops those of the steps that it does
again.
"""

from __future__ import annotations

import csv
from io import StringIO
from pathlib import Path
from typing import Any

from soundloom.atomic_file import replacing
from soundloom.errors import MissingExtraError
from soundloom.system_errors import reason_of
from soundloom.training.settings import TrainingError

__all__ = ["MetricsLog", "Row"]

Row = dict[str, float]
"""Numbers by column; ``step`` is one."""


class MetricsLog:
    """The rows of a run.

    Args:
        folder: the run's.
        done: steps that are done; later rows are dropped.
        tensorboard: whether to log for TensorBoard, too.

    Attributes:
        rows: all of them, in order.

    Raises:
        TrainingError: the folder cannot be written.
        MissingExtraError: TensorBoard is wanted and not installed.
    """

    def __init__(self, folder: Path, done: int, *, tensorboard: bool) -> None:
        self.path = folder / "metrics.csv"
        self.rows = [row for row in _read(self.path) if row["step"] <= done]
        self.columns: list[str] = []
        for row in self.rows:
            self.columns += [name for name in row if name not in self.columns]
        self._board = _board(folder / "tensorboard", done) if tensorboard else None
        self._rewrite()

    def add(self, row: Row) -> None:
        """Write a row.

        Raises:
            TrainingError: it cannot be written.
        """
        self.rows.append(row)
        new = [name for name in row if name not in self.columns]
        if new:
            self.columns += new
            self._rewrite()
        else:
            try:
                with self.path.open("a", encoding="utf-8", newline="") as file:
                    file.write(_text(self.columns, [row]))
            except OSError as error:
                raise self._unwritable(error) from None
        if self._board is not None:
            for name, value in row.items():
                if name != "step":
                    self._board.add_scalar(name.replace(" ", "_"), value, int(row["step"]))

    def close(self) -> None:
        """Finish what TensorBoard has not written yet."""
        if self._board is not None:
            self._board.close()

    def _rewrite(self) -> None:
        """All rows, under the columns known by now."""
        heading = _text(self.columns, [dict(zip(self.columns, self.columns, strict=True))]) if self.columns else ""
        try:
            with replacing(self.path, shared=True) as fresh:
                fresh.write_text(heading + _text(self.columns, self.rows), encoding="utf-8", newline="")
        except OSError as error:
            raise self._unwritable(error) from None

    def _unwritable(self, error: OSError) -> TrainingError:
        return TrainingError(f"cannot write {self.path}: {reason_of(error)}")


def _text(columns: list[str], rows: list[Any]) -> str:
    buffer = StringIO()
    csv.DictWriter(buffer, columns, restval="", lineterminator="\n").writerows(rows)
    return buffer.getvalue()


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        cells = csv.DictReader(file)
        try:
            return [_numbers(row) for row in cells if row.get("step")]
        except (ValueError, TypeError) as error:
            raise TrainingError(f"{path} is damaged ({error}): start over with --restart") from None


def _numbers(cells: dict[str, str]) -> Row:
    """A row as it was written: the step is a whole number."""
    return {name: int(cell) if name == "step" else float(cell) for name, cell in cells.items() if cell}


def _board(folder: Path, done: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MissingExtraError("tensorboard", "train", "logging for TensorBoard") from None
    return SummaryWriter(str(folder), purge_step=done + 1)
