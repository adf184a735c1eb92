"""Sound of a query: a file or a waveform, and the region of it that is searched by."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from soundloom.remote import absolute_location

if TYPE_CHECKING:
    from soundloom.embedding_model import Source

__all__ = ["QuerySound"]


@dataclass(frozen=True)
class QuerySound:
    """A sound that hits are like, or unlike.

    Attributes:
        source: a file, or a mono waveform, as `EmbeddingModel.embed` takes them.
        start: where to begin, in seconds.
        end: where to stop; its end if not given.
        sample_rate: of a waveform, in hertz; that of the model if not given.
        weight: how much it counts beside other examples of its kind.
    """

    source: Source
    start: float = field(default=0.0, kw_only=True)
    end: float | None = field(default=None, kw_only=True)
    sample_rate: float | None = field(default=None, kw_only=True)
    weight: float = field(default=1.0, kw_only=True)

    @property
    def region(self) -> tuple[str, float, float] | None:
        """The file and the seconds of it, which a search by the sound must not find; None of a waveform."""
        if not isinstance(self.source, str | os.PathLike):
            return None
        return absolute_location(self.source), self.start, math.inf if self.end is None else self.end
