"""Several streams in one file decoded as one sound, and a check for sound that is missing at its end.

A stream of another rate than the first is resampled to it. Streams whose length is known are not decoded where a region
begins after them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import replace

import numpy as np
from jaxtyping import Float32

from soundloom.audio.containers.layout import Layout, Part
from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.base import BLOCK, Decoder
from soundloom.audio.notices import Notice
from soundloom.audio.resample import converted
from soundloom.errors import AudioError

__all__ = ["JoinedDecoder"]

_Block = Float32[np.ndarray, " frames"]
_Blocks = Iterator[_Block]


class JoinedDecoder:
    """The parts of a file, one after the other; see :class:`soundloom.audio.decoders.base.Decoder`.

    Args:
        path: the file.
        layout: its parts, and what is missing.
        options: how it is decoded.
        notices: where what is noticed goes.
        open_part: opens one part.

    Raises:
        AudioError: a part cannot be opened.
    """

    def __init__(
        self,
        path: str,
        layout: Layout,
        options: DecodeOptions,
        notices: list[Notice],
        open_part: Callable[[Part, DecodeOptions], Decoder],
    ) -> None:
        self._path, self._layout, self._options, self._notices = path, layout, options, notices
        self._open_part = open_part
        self._decoders: list[Decoder] = [open_part(layout.parts[0], options)]
        first = self._decoders[0]
        self.sample_rate, self.channels, self.mixer = first.sample_rate, first.channels, first.mixer
        self.name = first.name
        self.codec = first.codec
        try:
            for part in layout.parts[1:]:
                self._decoders.append(self._following(part))
        except BaseException:
            self.close()
            raise
        lengths = [self._length(decoder) for decoder in self._decoders]
        known = [length for length in lengths if length is not None]
        self.frames = sum(known) if len(known) == len(lengths) else None
        seconds = [decoder.seconds for decoder in self._decoders]
        self.seconds = None if None in seconds else sum(length for length in seconds if length is not None)
        if self.seconds is not None and layout.missing is not None and layout.missing.present is not None:
            self.seconds = layout.missing.present

    def blocks(self, first: int, last: int | None) -> _Blocks:
        """Mono blocks of native samples; see :meth:`soundloom.audio.decoders.base.Decoder.blocks`."""
        if len(self._decoders) == 1:
            position = first
            for block in self._decoders[0].blocks(first, last):
                position += len(block)
                yield block
        else:
            position = yield from self._in_turn(first, last)
        if last is None or position < last:
            self._judge_end(position)

    def close(self) -> None:
        """Let go of the file."""
        for decoder in self._decoders:
            decoder.close()

    def _following(self, part: Part) -> Decoder:
        """Open another part than the first; its channels are counted with those of the first if there are as many."""
        try:
            decoder = self._open_part(part, self._options)
        except AudioError:
            decoder = self._open_part(part, replace(self._options, channels="mix"))
        return decoder

    def _length(self, decoder: Decoder) -> int | None:
        """Samples of a part at the rate of the first one."""
        if decoder.frames is None or decoder.sample_rate == self.sample_rate:
            return decoder.frames
        return (2 * decoder.frames * self.sample_rate + decoder.sample_rate) // (2 * decoder.sample_rate)

    def _in_turn(self, first: int, last: int | None) -> Generator[_Block, None, int]:
        """The blocks of all parts, in blocks of one size; returns the position reached."""
        pending: list[np.ndarray] = []
        held = 0
        position = first
        for block in self._native(first, last):
            position += len(block)
            pending.append(block)
            held += len(block)
            if held >= BLOCK:
                joined = np.concatenate(pending)
                whole = held // BLOCK * BLOCK
                for at in range(0, whole, BLOCK):
                    yield joined[at : at + BLOCK].copy()
                pending, held = [joined[whole:]], held - whole
        if held:
            yield np.concatenate(pending)
        return position

    def _native(self, first: int, last: int | None) -> _Blocks:
        """What lies between two positions, part by part."""
        position = 0
        for decoder in self._decoders:
            length = self._length(decoder)
            if length is not None and first >= position + length:
                position += length
                continue
            if last is not None and position >= last:
                return
            same = decoder.sample_rate == self.sample_rate
            # Within a part of the same rate decoders seek; another is converted from its beginning.
            begin = max(0, first - position) if same and length is not None else 0
            blocks = decoder.blocks(begin, None if last is None or not same else last - position)
            place = position + begin
            for block in blocks if same else converted(blocks, decoder.sample_rate, self.sample_rate):
                wanted = block[max(0, first - place) : None if last is None else max(0, last - place)]
                place += len(block)
                if len(wanted):
                    yield wanted
            if decoder.mixer is not self.mixer and decoder.mixer.energies.shape == self.mixer.energies.shape:
                self.mixer.energies += decoder.mixer.energies
            position = place

    def _judge_end(self, position: int) -> None:
        """Refuse, or take with a notice, a sound whose end is missing."""
        missing = self._layout.missing
        if missing is None or any(notice.code == "truncated" for notice in self._notices):
            return
        seconds = position / self.sample_rate
        promised = f" of the {missing.promised:.2f} s that its header counts" if missing.promised else ""
        said = f"the file is cut short: {seconds:.2f} s{promised} are there"
        if not self._options.accept_truncated:
            raise AudioError(
                self._path,
                f"{said}; copy it again from its source, or take what there is with "
                "DecodeOptions(accept_truncated=True)",
            )
        self._notices.append(Notice("truncated", f"{said}, and taken"))
