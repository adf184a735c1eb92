"""Processes that change a library until SIGKILL ends them; each first compares what the one before left with the store.

    python killed_changes.py FOLDER {cells,lists} SECONDS

Prints how many were killed, how many of them left a log of changes, and what was wrong, as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import faiss  # noqa: F401 - here, and not by every process
import lancedb  # noqa: F401
import numpy as np
import pyarrow.compute  # noqa: F401

from helpers.exact_search import finds_the_best_rows
from helpers.library_factory import append, clustered, filled
from soundloom.library import Library
from soundloom.library.row_log.change_log import CHANGES
from soundloom.library.search.vector_index import index_builder, index_extension

FILES = 1200
VECTORS = np.random.default_rng(0).permutation(clustered(20, 100, spread=0.1, seed=3))


class Round:
    """One process: compare what there is, then change it until something ends it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.library = Library.open(folder)
        self.store = self.library._store

    def check(self) -> None:
        index = self.library.index()
        queries = [VECTORS[number] + 0.02 for number in self.random.sample(range(len(VECTORS)), 12)]
        recall = 0.9 if index.has_lists else 0.98
        finds_the_best_rows(index, self.store, queries, [({"left": 1, "right": 1}, recall)])

    def work(self) -> None:
        while True:
            self.random.choice([self.add, self.add, self.remove, self.tag, self.tag, self.replace, self.compact])()
            if self.random.random() < 0.8:
                self.library.index()

    def some(self, count: int) -> list[str]:
        return self.random.sample(sorted(self.store.files()), count)

    def add(self) -> None:
        files = self.store.files()
        new = [number for number in range(len(VECTORS)) if path(number) not in files]
        numbers = self.random.sample(new, min(5, len(new)))
        append(self.store, [path(number) for number in numbers], VECTORS[numbers])

    def remove(self) -> None:
        if len(self.store.files()) > FILES:
            self.store.remove(self.some(6))

    def tag(self) -> None:
        self.library.tags.add(f"tag-{self.random.randrange(5)}", self.some(2))

    def replace(self) -> None:
        gone = self.some(1)
        self.store.remove(gone)
        append(self.store, gone, VECTORS[[self.random.randrange(len(VECTORS))]])

    def compact(self) -> None:
        if self.random.random() < 0.2:
            self.store.compact()


def path(number: int) -> str:
    return f"/{number * 7919 % 10000:05d}.wav"


def forked(work: Callable[[int], None]) -> tuple[int, int]:
    """A process that does some work, given an end of a pipe; its id, and the other end."""
    read, write = os.pipe()
    if child := os.fork():
        os.close(write)
        return child, read
    os.close(read)
    try:
        work(write)
    except BaseException:
        traceback.print_exc()
        os.write(write, traceback.format_exc()[-2000:].encode())
    finally:
        os._exit(0)


def main(folder: Path, kind: str, seconds: float) -> None:
    warnings.simplefilter("ignore")  # lancedb warns of forking; this process never uses it
    index_builder.EXACT_BYTES = 0
    if kind == "lists":
        index_builder.LARGE_BYTES = 0
    index_extension._FEWEST_LOGGED = 40

    def make(_: int) -> None:
        filled(folder, [path(number) for number in range(FILES)], VECTORS[:FILES])

    os.waitpid(forked(make)[0], 0)
    dice, end, kills, logs = random.Random(0), time.monotonic() + seconds, 0, 0
    while time.monotonic() < end or kills < 10:

        def changes(pipe: int, seed: int = kills) -> None:
            one = Round(folder, seed)
            one.check()
            os.close(pipe)
            one.work()

        logs += (folder / "index" / CHANGES).exists()
        child, pipe = forked(changes)
        with os.fdopen(pipe) as words:
            fault = words.read()
        if fault:
            os.waitpid(child, 0)
            print(json.dumps({"kills": kills, "logs": logs, "fault": fault}))
            return
        time.sleep(dice.random() ** 2 * 0.5)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
    print(json.dumps({"kills": kills, "logs": logs, "fault": ""}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
