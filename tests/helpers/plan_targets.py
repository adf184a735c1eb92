"""Processes of a plan that die on some files, as codecs with faults do; run by name in child processes."""

from __future__ import annotations

import os
import signal
from typing import Any

from soundloom.plans import shard_process
from soundloom.workers.child import Channel

_embed = shard_process.segment_embedder


def _deadly(*arguments: Any, **options: Any) -> Any:
    embed = _embed(*arguments, **options)

    def work(file: Any, av: Any) -> Any:
        if "fault" in file.path:
            os.kill(os.getpid(), signal.SIGSEGV)
        if "memory" in file.path:
            os.kill(os.getpid(), signal.SIGKILL)
        return embed(file, av)

    return work


def serve(channel: Channel) -> None:
    """Die by a fault on files that are called so, and as the kernel kills for memory on others."""
    shard_process.segment_embedder = _deadly
    shard_process.serve(channel)
