"""Data sizes: bytes of sound where a header counts them, by the rules of WAV, AIFF, AU, W64, CAF and NIST.

The count is believed where the data agree with it, or where what follows it is not sound. It is repaired where it is a
placeholder that a program left when it stopped early, where it wrapped round at 4 GB, or where the waveform evidently
goes on. Where it promises more than there is, sound is missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from soundloom.audio.containers.layout import Layout, Missing, Part, Source
from soundloom.audio.containers.samples import (
    KNOWN,
    SampleFormat,
    chunks_to_end,
    goes_on,
    is_placeholder,
    trailing_chunks,
)
from soundloom.audio.file_view import FileView
from soundloom.audio.notices import Notice

__all__ = ["Data", "Found", "laid_out", "true_size"]

WRAP = 1 << 32
# Some programs round the count up, or count a small header with it.
MOST_EXCESS = 128


@dataclass(frozen=True, kw_only=True)
class Data:
    """The sound in a file, as its header describes it.

    Attributes:
        begin: where the sound begins, in bytes.
        claimed: bytes of sound that the header counts.
        declared_end: where the file ends according to the header; None: it does not say.
        form: how samples lie in it; None: it is not a plain waveform.
        frame: bytes that hold one frame, or one block of a compressed format.
        per_second: bytes a second.
        chunks: whether chunks may follow.
        big: whether sizes of chunks begin with the most significant byte.
        wide: whether sizes have 64 bits and cannot wrap.
        second_count: bytes of sound by another count in the header; 0: there is none.
    """

    begin: int
    claimed: int
    declared_end: int | None
    form: SampleFormat | None
    frame: int
    per_second: float
    chunks: bool = True
    big: bool = False
    wide: bool = False
    second_count: int = 0


@dataclass(frozen=True)
class Found:
    """What the data hold.

    Attributes:
        size: bytes of sound.
        kind: ``counted`` (as the header says), ``unfinished`` (the header was never completed), ``wrapped`` (counted
            modulo 4 GB), ``longer`` (the sound goes on after what is counted), ``missing``, ``doubtful`` (much follows
            that may be sound, compressed, so that no waveform shows it).
    """

    size: int
    kind: Literal["counted", "unfinished", "wrapped", "longer", "missing", "doubtful"]


def true_size(source: Source, data: Data) -> Found:
    """Compare the count in a header with the data."""
    available = source.size - data.begin
    claimed = data.claimed
    if claimed > available:
        excess = claimed - available
        if excess <= max(MOST_EXCESS, data.frame) or excess in (data.begin, data.begin - 8):
            return Found(available, "counted")
        if is_placeholder(claimed) and (not data.wide or claimed > source.size * 2):
            return Found(_until_trailer(source, data), "unfinished")
        return Found(available, "missing")
    end = data.begin + claimed
    # Chunks are padded to an even length.
    after = end + (claimed % 2 if data.chunks else 0)
    if source.size - after <= max(data.frame, 8):
        return Found(claimed, "counted")
    if not data.wide and available - claimed >= WRAP - (1 << 20):
        return Found(min(available, claimed + (available - claimed + (1 << 20)) // WRAP * WRAP), "wrapped")
    if is_placeholder(claimed) and not data.wide and source.read(after, 4) not in KNOWN:
        return Found(_until_trailer(source, data), "unfinished")
    if data.chunks and chunks_to_end(source, after, big=data.big):
        return Found(claimed, "counted")
    if claimed == 0:
        # An unfinished header counts nothing of itself either; an empty sound in a whole file does.
        whole = data.declared_end is not None and data.declared_end in range(after - 1, after + 2)
        sound = not whole or goes_on(source, data.form, data.begin, end)
        return Found(_until_trailer(source, data), "unfinished") if sound else Found(0, "counted")
    covered = data.declared_end is not None and data.declared_end > after + max(data.frame, 8)
    counted_twice = claimed + 2 * data.frame < data.second_count <= available
    if goes_on(source, data.form, data.begin, end) or ((covered or counted_twice) and data.form is None):
        return Found(_until_trailer(source, data), "longer")
    if data.form is None and 4 * (available - claimed) > claimed:
        return Found(claimed, "doubtful")
    return Found(claimed, "counted")


def _until_trailer(source: Source, data: Data) -> int:
    """Bytes from the beginning of the sound to the end of the file, or to the chunks at its end."""
    end = trailing_chunks(source, data.begin, big=data.big) if data.chunks else source.size
    return end - data.begin


def laid_out(data: Data, found: Found, view: FileView | None, container: str) -> Layout:
    """The layout that follows, with a notice or what is missing.

    Args:
        data: the sound as the header describes it.
        found: what the data hold.
        view: the file with a header that says so; None: a decoder finds the end by itself.
        container: its name, for people.
    """
    seconds, claimed = found.size / data.per_second, data.claimed / data.per_second
    if found.kind == "counted":
        return Layout()
    if found.kind == "doubtful":
        return Layout(
            refused=f"{container}: its header counts {claimed:.2f} s, and more follows that may be sound or not: "
            "convert it again from its source"
        )
    if found.kind == "missing":
        return Layout(missing=Missing(present=seconds, promised=claimed))
    said = {
        "unfinished": "the length in its header was never filled in",
        "wrapped": f"the length in its header wrapped round at 4 GB ({claimed:.2f} s)",
        "longer": f"its header counts {claimed:.2f} s and the sound goes on after that",
    }[found.kind]
    notice = Notice("repaired", f"{container}: {said}; decoded to the end of the sound, {seconds:.2f} s")
    return Layout(parts=(Part(view=view),), notices=(notice,))
