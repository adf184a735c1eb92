"""Functions that child processes run in the tests of `soundloom.workers`."""

from __future__ import annotations

import os
import sys
import time

from soundloom.workers.child import Channel


def serve(channel: Channel) -> None:
    """Do what a request's kind says."""
    while True:
        kind, content = channel.receive()
        if kind == b"s":  # sleep
            time.sleep(60)
        elif kind == b"x":  # crash
            os.abort()
        elif kind == b"r":  # raise
            raise RuntimeError("broken on purpose")
        elif kind == b"m":  # memory
            try:
                bytearray(int(content))
                channel.send(b"m", b"given")
            except MemoryError:
                channel.send(b"m", b"refused")
        elif kind == b"h":  # announce more than anybody reads
            os.write(1, b"not an answer")
            channel._answers.write(b"h" + b"\xff" * 8)
            channel._answers.flush()
        else:
            print("a library prints this")
            sys.stdout.flush()
            channel.send(kind, b"<", content, b">")


def die_at_once(channel: Channel) -> None:
    """End before anything is done."""
    os._exit(3)
