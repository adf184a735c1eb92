"""The child of :class:`soundloom.audio.AvProcess`: decodes with FFmpeg what its parent asks for, until that ends.

Run as ``python -m soundloom.audio.av_worker``; not meant for people. See :mod:`soundloom.audio.av_protocol`.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from queue import SimpleQueue
from typing import Any, BinaryIO

import numpy as np

from soundloom.audio import av_protocol
from soundloom.audio.containers.layout import Part
from soundloom.audio.ffmpeg_decoder import AvDecoder
from soundloom.audio.notices import Notice
from soundloom.audio.options import DecodeOptions
from soundloom.errors import AudioError

__all__ = ["main"]


def main() -> None:
    """Serve requests from standard input until it closes."""
    # Ctrl-C reaches every process of the terminal; the parent decides what becomes of this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Answers keep the pipe to themselves: whatever a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(requests,), daemon=True).start()
    try:
        _serve(requests, answers)
    except BrokenPipeError:
        os._exit(0)
    except BaseException:
        # An ordinary exit would wait for the listening thread.
        traceback.print_exc()
        os._exit(1)


def _listen(requests: SimpleQueue[bytes]) -> None:
    """Pass requests on; end the process with its parent, even while a codec is busy or stuck."""
    for line in sys.stdin.buffer:
        requests.put(line)
    os._exit(0)


def _serve(requests: SimpleQueue[bytes], answers: BinaryIO) -> None:
    """Answer one request after another."""
    decoders: dict[int, AvDecoder] = {}
    readers: dict[int, Iterator[np.ndarray]] = {}
    notices: dict[int, list[Notice]] = {}
    while True:
        do, number, *details = json.loads(requests.get())
        try:
            if do == "open":
                noticed: list[Notice] = []
                decoders[number] = AvDecoder(
                    details[0], DecodeOptions.from_data(details[1]), noticed, Part.from_data(details[2])
                )
                notices[number] = noticed
                facts = {**_facts(decoders[number]), "notices": _taken(notices[number])}
                _answer(answers, av_protocol.OPENED, json.dumps(facts).encode())
            elif do == "next":
                if number not in readers:
                    readers[number] = decoders[number].blocks(*details)
                energies = decoders[number].mixer.energies
                energies[:] = 0
                block = next(readers[number], None)
                if block is None:
                    _answer(answers, av_protocol.END, json.dumps(_taken(notices[number])).encode())
                else:
                    _answer(answers, av_protocol.BLOCK, energies.tobytes(), block.data.cast("B"))
            else:
                readers.pop(number, None)
                notices.pop(number, None)
                decoders.pop(number).close()
        except AudioError as error:
            _answer(answers, av_protocol.ERROR, error.reason.encode("utf-8", "surrogateescape"))


def _facts(decoder: AvDecoder) -> dict[str, Any]:
    """What the parent's stand-in for a decoder needs to know."""
    return {
        "sample_rate": decoder.sample_rate,
        "channels": decoder.channels,
        "seconds": decoder.seconds,
        "codec": decoder.codec,
    }


def _taken(notices: list[Notice]) -> list[list[str]]:
    """The notices as plain data; the list is emptied."""
    taken = [[notice.code, notice.text] for notice in notices]
    notices.clear()
    return taken


def _answer(answers: BinaryIO, kind: bytes, *content: bytes | memoryview) -> None:
    answers.write(av_protocol.HEAD.pack(kind, sum(map(len, content))))
    for piece in content:
        answers.write(piece)
    answers.flush()


if __name__ == "__main__":
    main()
