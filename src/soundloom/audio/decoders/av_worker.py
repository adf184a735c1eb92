"""The child process of :class:`soundloom.audio.AvProcess`: a loop that decodes on request."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from soundloom.audio.containers.layout import Part
from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.av_process import BLOCK, END, ERROR, NEXT, OPEN, OPENED
from soundloom.audio.decoders.base import Decoder
from soundloom.audio.decoders.selection import open_part
from soundloom.audio.notices import Notice
from soundloom.errors import AudioError
from soundloom.workers.child import Channel

__all__ = ["serve"]


def serve(channel: Channel) -> None:
    """Answer requests until the parent closes the channel."""
    decoders: dict[int, Decoder] = {}
    readers: dict[int, Iterator[np.ndarray]] = {}
    notices: dict[int, list[Notice]] = {}
    while True:
        kind, content = channel.receive()
        number, *details = json.loads(content)
        try:
            if kind == OPEN:
                noticed: list[Notice] = []
                path, options, part = details[0], DecodeOptions.from_data(details[1]), Part.from_data(details[2])
                decoders[number] = open_part(path, part, None, options, noticed)
                notices[number] = noticed
                facts = {**_facts(decoders[number]), "notices": _drain(notices[number])}
                channel.send(OPENED, json.dumps(facts).encode())
            elif kind == NEXT:
                if number not in readers:
                    readers[number] = decoders[number].blocks(*details)
                energies = decoders[number].mixer.energies
                energies[:] = 0
                block = next(readers[number], None)
                if block is None:
                    channel.send(END, json.dumps(_drain(notices[number])).encode())
                else:
                    channel.send(BLOCK, energies.tobytes(), block.data.cast("B"))
            else:
                readers.pop(number, None)
                notices.pop(number, None)
                decoders.pop(number).close()
        except AudioError as error:
            channel.send(ERROR, error.reason.encode("utf-8", "surrogateescape"))


def _facts(decoder: Decoder) -> dict[str, Any]:
    """The attributes that the proxy in the parent has in common with the decoder."""
    return {
        "sample_rate": decoder.sample_rate,
        "channels": decoder.channels,
        "seconds": decoder.seconds,
        "codec": decoder.codec,
        "frames": decoder.frames,
        "name": decoder.name,
    }


def _drain(notices: list[Notice]) -> list[list[str]]:
    """The notices as plain JSON data; clears the list."""
    taken = [[notice.code, notice.text] for notice in notices]
    notices.clear()
    return taken
