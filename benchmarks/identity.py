"""Whether tags and embeddings stay on their sounds, whatever is done to the files: random sequences against a model.

    python -m benchmarks.identity [--sequences 500] [--seed 0] [--quick] [--json OUT]

A sequence is thirty random steps: rename, swap, delete, copy, overwrite and edit files, add new sounds (also under
names used before), tag and untag files and segments, undo and redo, move the whole folder, and index in between. After
every indexing each file on disk must have its rows once, with its own content hash and embeddings, and exactly the tags
that a model kept beside the library says its content has.

The model knows contents only: a tag belongs to a content; a content that replaced another in place inherits its tags.
What no program could tell apart from outside is left out: a file is edited only while it and its copies are as they
were last indexed, and an unknown sound gets the name of another only after that is elsewhere, or was seen to be gone.
"""

from __future__ import annotations

import argparse
import functools
import os
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from benchmarks.timing import with_progress, write_json
from soundloom.embedder import Embedder
from soundloom.library import Edit, Library
from soundloom.models import load

__all__ = ["World", "main", "run_sequence"]

_RATE = 8000
_STEPS = 30
_SEGMENTS = (0.0, 0.1)
_TAGS = ("red", "green", "blue")


def write_sound(path: Path, content: int) -> None:
    """A fifth of a second of noise; the same content gives the same bytes."""
    soundfile.write(path, 0.1 * np.random.default_rng(content).normal(size=_RATE // 5), _RATE, subtype="PCM_16")


class World:
    """Files on disk, the library of them, and a model of what the library must hold.

    Args:
        folder: an empty folder.
        seed: determines all steps.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.folder = folder
        self.root = folder / "sounds"
        self.root.mkdir(parents=True)
        self.library = Library.create(folder / "l.loom", _model(), window=0.1)
        self.contents = 0
        self.disk: dict[str, int] = {}
        self.indexed: dict[str, int] = {}
        self.frozen: set[str] = set()
        self.parents: dict[int, int] = {}
        self.tags: dict[int, dict[float, set[str]]] = defaultdict(lambda: {start: set() for start in _SEGMENTS})
        self.edits: list[tuple[Edit, dict[tuple[int, float], tuple[set[str], set[str]]]]] = []
        self.counts: Counter[str] = Counter()
        for _ in range(5):
            self.new()
        self.index()

    def step(self) -> None:
        """One random step."""
        steps = {
            self.rename: 4, self.swap: 4, self.delete: 2, self.copy: 2, self.overwrite: 2, self.edit: 2, self.new: 2,
            self.reuse: 2, self.tag: 6, self.undo: 2, self.move_root: 1, self.index: 6,
        }  # fmt: skip
        chosen = self.random.choices(list(steps), list(steps.values()))[0]
        self.counts[chosen.__name__] += 1
        chosen()

    # Files

    def _free(self, count: int = 1) -> list[str]:
        """Files that may be moved about."""
        names = sorted(self.disk.keys() - self.frozen)
        return self.random.sample(names, count) if len(names) >= count else []

    def _unused_name(self) -> str:
        names = [f"{folder}{letter}.wav" for folder in ("", "x/", "y/") for letter in "abcdefgh"]
        return self.random.choice([name for name in names if name not in self.disk and name not in self.frozen])

    def _place(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        return path

    def rename(self) -> None:
        """Give a file an unused name."""
        for name in self._free():
            target = self._unused_name()
            self._place(name).rename(self._place(target))
            self.disk[target] = self.disk.pop(name)

    def swap(self) -> None:
        """Swap the names of two files, or rotate those of three."""
        names = self._free(self.random.choice((2, 2, 3)))
        for one, other in pairwise(names):
            self._place(one).rename(self.root / "swap.tmp")
            self._place(other).rename(self._place(one))
            (self.root / "swap.tmp").rename(self._place(other))
            self.disk[one], self.disk[other] = self.disk[other], self.disk[one]

    def delete(self) -> None:
        """Delete a file."""
        for name in self._free() if len(self.disk) > 2 else []:
            self._place(name).unlink()
            del self.disk[name]

    def copy(self) -> None:
        """Copy a file to an unused name."""
        for name in self._free() if len(self.disk) < 12 else []:
            target = self._unused_name()
            shutil.copyfile(self._place(name), self._place(target))
            self.disk[target] = self.disk[name]

    def overwrite(self) -> None:
        """Copy one file over another, whose content may be lost by it."""
        for one, other in [names] if (names := self._free(2)) and len(self.disk) > 2 else []:
            shutil.copyfile(self._place(one), self._place(other))
            self.disk[other] = self.disk[one]

    def edit(self) -> None:
        """Replace the content of a file by an unknown one."""
        for name in self._free():
            twins = {one for one, content in self.disk.items() if content == self.disk[name]}
            if twins != {one for one, content in self.indexed.items() if content == self.disk[name]}:
                continue  # a copy may have replaced a file, or a file been renamed to it: nobody can tell
            self.frozen |= twins
            self.contents += 1
            self.parents[self.contents] = self.disk[name]
            write_sound(self._place(name), self.contents)
            self.disk[name] = self.contents

    def new(self) -> None:
        """A new sound under a name that the library does not know."""
        name = self._unused_name()
        if name in self.indexed or len(self.disk) > 12:
            return
        self.contents += 1
        write_sound(self._place(name), self.contents)
        self.disk[name] = self.contents
        self.frozen.add(name)

    def reuse(self) -> None:
        """A new sound under a name whose sound is elsewhere, or was missing when the folder was last indexed."""
        moved = [
            (name, now)
            for name, content in self.indexed.items()
            if name not in self.disk and name not in self.frozen and list(self.indexed.values()).count(content) == 1
            for now, held in self.disk.items()
            if held == content and self.indexed.get(now) != content and now not in self.frozen
        ]
        if moved:
            name, now = self.random.choice(moved)
            self.contents += 1
            write_sound(self._place(name), self.contents)
            self.disk[name] = self.contents
            self.frozen |= {name, now}

    def move_root(self) -> None:
        """Rename the folder of sounds, and perhaps leave an empty one in its place."""
        self.index()
        moved = self.folder / f"sounds{self.random.random()}"
        self.root.rename(moved)
        if self.random.random() < 0.5:
            self.root.mkdir()  # an empty mount point
        self.root = moved
        self.index()

    # Tags

    def tag(self) -> None:
        """Give a tag to, or take it from, a file or a segment that is as it was last indexed."""
        names = sorted(name for name, content in self.disk.items() if self.indexed.get(name) == content)
        if not names:
            return
        name, tag = self.random.choice(names), self.random.choice(_TAGS)
        content = self.disk[name]
        start = self.random.choice((None, None, *_SEGMENTS))
        path = str(self.root / name)
        mark = path if start is None else (path, start, start + 0.1)
        wanted = self.random.random() < 0.7
        edit = self.library.tags.edit(tag, **{"add" if wanted else "remove": [mark]})
        effect = {}
        for one in _SEGMENTS if start is None else (start,):
            before = self.tags[content][one]
            after = before | {tag} if wanted else before - {tag}
            effect[content, one] = (after - before, before - after)
            self.tags[content][one] = after
        self.edits.append((edit, effect))

    def undo(self) -> None:
        """Take back the latest edit; sometimes take that back, too."""
        if not self.edits:
            return
        edit, effect = self.edits.pop()
        undone = edit.revert()
        if self.random.random() < 0.3:
            undone.revert()
            return
        for (content, start), (given, taken) in effect.items():
            self.tags[content][start] = (self.tags[content][start] - given) | taken

    # The library

    def index(self) -> None:
        """Bring the library up to date, and the model; compare them."""
        self.library.add(self.root, prune=self.random.random() < 0.3, workers=1)
        arrived = {content for name, content in self.disk.items() if self.indexed.get(name) != content}
        for name, content in self.disk.items():
            parent = self.parents.pop(content, None) if self.indexed.get(name) != content else None
            if parent is not None and parent not in arrived:
                for start in _SEGMENTS:
                    self.tags[content][start] = set(self.tags[parent][start])
                for _, effect in self.edits:
                    inherited = {(content, one): done for (whose, one), done in effect.items() if whose == parent}
                    effect.update(inherited)
        self.indexed = dict(self.disk)
        self.frozen = set()
        self.check()

    def check(self) -> None:
        """Compare the library with the disk and the model.

        Raises:
            AssertionError: a row is missing, doubled or of another content, or has other tags.
        """
        rows = self.library.rows(["path", "start", "tags", "embedding"]).to_pylist()
        assert len({(row["path"], row["start"]) for row in rows}) == len(rows), "a row is doubled"
        found = {(os.path.relpath(row["path"], self.root), row["start"]): row for row in rows}
        for name, content in self.disk.items():
            for start in _SEGMENTS:
                row = found.get((name, start))
                assert row is not None, f"{name} has no row at {start}"
                assert set(row["tags"] or ()) == self.tags[content][start], (
                    f"{name} at {start} has {row['tags']}, its sound {sorted(self.tags[content][start])}"
                )
                expected = self._embedding(content, start)
                assert np.array_equal(np.array(row["embedding"], np.float32), expected), f"{name}: another's embedding"

    def _embedding(self, content: int, start: float) -> np.ndarray:
        key = (content, start)
        if key not in _EMBEDDINGS:
            place = self.folder / "reference.wav"
            write_sound(place, content)
            _EMBEDDINGS[key] = self.library.model.embed(str(place), start=start, end=start + 0.1)
        return _EMBEDDINGS[key]


_EMBEDDINGS: dict[tuple[int, float], np.ndarray] = {}


@functools.cache
def _model() -> Embedder:
    return load("logmel")


def run_sequence(seed: int, steps: int = _STEPS) -> Counter[str]:
    """One sequence of random steps; raises AssertionError where the library and the model differ.

    Returns:
        How often each step was made.
    """
    with TemporaryDirectory() as folder:
        world = World(Path(folder), seed)
        for _ in range(steps):
            world.step()
        world.index()
        return world.counts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.identity", description=__doc__)
    parser.add_argument("--sequences", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0, help="the first sequence's")
    parser.add_argument("--quick", action="store_true", help="ten sequences")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    count = 10 if options.quick else options.sequences
    counts: Counter[str] = Counter()
    failures = {}
    for seed in with_progress(range(options.seed, options.seed + count), count, "sequences"):
        try:
            counts += run_sequence(seed)
        except Exception as error:
            failures[seed] = f"{type(error).__name__}: {error}"
            print(f"sequence {seed}: {failures[seed]}", flush=True)
    print(f"{count} sequences, {sum(counts.values())} steps ({dict(counts)}): {len(failures)} with a fault")
    if options.json:
        write_json(options.json, [{"sequences": count, "steps": dict(counts), "failures": failures}])
    if failures:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
