"""Windows of a representation that an encoder takes at once, fixed or not, with or without overlap."""

from __future__ import annotations

from dataclasses import dataclass

from soundloom.errors import ModelError

__all__ = ["Window"]


@dataclass(frozen=True, kw_only=True)
class Window:
    """How much an encoder takes at once, in frames of the front-end.

    Attributes:
        frames: the most it takes.
        fixed: whether it takes exactly so many, so that a shorter rest must be filled; else a rest is
            embedded at its own length.
        fill: what a rest is filled with, in the representation; None fills the waveform with silence.
        hop: frames from one window's start to the next, of fixed windows; None: ``frames``, so that windows do not
            overlap.
        drop: leave out the frames after the last whole window, where there is one; of fixed windows.

    Raises:
        ModelError: the hop is not from 1 to ``frames``, or windows overlap, or drop a rest, that are not fixed.
    """

    frames: int
    fixed: bool
    fill: float | None = None
    hop: int | None = None
    drop: bool = False

    def __post_init__(self) -> None:
        if self.drop and not self.fixed:
            raise ModelError("only windows of a fixed length can drop a rest: leave out drop")
        if self.hop is None:
            return
        if not 1 <= self.hop <= self.frames:
            raise ModelError(f"windows of {self.frames} frames have a hop from 1 to {self.frames}, got {self.hop}")
        if not self.fixed:
            raise ModelError("only windows of a fixed length can overlap: leave out the hop")

    def __repr__(self) -> str:
        # Fingerprints count it: without a hop, and without drop, it reads as it did before there were any.
        more = ("" if self.hop is None else f", hop={self.hop}") + (", drop=True" if self.drop else "")
        return f"Window(frames={self.frames}, fixed={self.fixed}, fill={self.fill!r}{more})"

    @property
    def step(self) -> int:
        """Frames from one window's start to the next."""
        return self.hop or self.frames
