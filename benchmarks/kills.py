"""Whether a library survives kills, interrupts and full disks at random moments, with every row, tag and decision.

    python -m benchmarks.kills [--kills 1000] [--full 200] [--seed 0] [--quick] [--json OUT]

A round forks a process that works on a library without end: it renames, swaps, copies, deletes, edits and adds files,
indexes, indexes with every hash, gives and takes tags, undoes, moves the folder of sounds and relocates it, and draws
maps. At a random moment the process gets SIGKILL, SIGINT or SIGTERM; in the rounds for full disks the library lies on
a file system of its own (Linux, as root) of which only some random kilobytes are free, and the first error ends the
round. The next process then opens the library, indexes, and checks

- every file on disk has its rows once, with its own hash and embeddings, and nothing else has rows but files that were
  edited or deleted while their folder moved and changed so much that it was not recognised: these are kept as absent;
- every tag edit that was acknowledged is on its sound, one that was not is there whole or not at all;
- the log of tags and the list of folders can be read, and nothing unfinished is left.

Acknowledged edits are kept in a journal outside of the library.
"""

from __future__ import annotations

import argparse
import ctypes
import faulthandler
import hashlib
import io
import json
import os
import random
import select
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile

from benchmarks.timing import with_progress, write_json
from soundloom.errors import SoundloomError
from soundloom.library import Library
from soundloom.models import MODELS, load

__all__ = ["main", "run_rounds"]

_RATE = 8000
_FILES = 12
_TAGS = ("red", "green", "blue")
_SIGNALS = (signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_PATIENCE = 180.0
_AGAIN = 20.0
"""Seconds after which a process that goes on gets its signal again: Python drops an interrupt within a destructor."""


class Round:
    """One process: check what the last one left, then work until something ends it.

    Args:
        folder: holds the sounds and the journal.
        library: the library's folder.
        seed: determines what it does.
    """

    def __init__(self, folder: Path, library: Path, seed: int) -> None:
        self.folder = folder
        self.journal = folder / "journal.jsonl"
        self.random = random.Random(seed)
        self.model = load("logmel")
        if (library / "library.json").exists():
            self.library = Library.open(library, self.model)
        else:
            shutil.rmtree(library, ignore_errors=True)
            self.library = Library.create(library, self.model, window=0.1)

    @property
    def root(self) -> Path:
        """The folder of sounds, wherever it is now."""
        return next(self.folder.glob("sounds*"))

    # Check

    def check(self) -> None:
        """Index, and compare the library with the disk and the journal."""
        if not list(self.folder.glob("sounds*")):
            (self.folder / "sounds").mkdir()
        while len(self._files()) < _FILES:
            self._new()
        # What a killed process left half written is removed by the next one to write, once it is a minute old.
        for unfinished in self.library.folder.rglob("*.writing"):
            os.utime(unfinished, (0, 0))
        self.library.add(self.root, prune=True)
        rows = self.library.rows(["path", "start", "hash", "tags", "embedding"]).to_pylist()
        assert len({(row["path"], row["start"]) for row in rows}) == len(rows), "a row is doubled"
        by_file: dict[str, list[dict[str, object]]] = {}
        for row in rows:
            by_file.setdefault(str(row["path"]), []).append(row)
        files = {str(path) for path in self._files()}
        by_file = {path: some for path, some in by_file.items() if Path(path).parent == self.root}
        assert by_file.keys() == files, f"lost {files - by_file.keys()}, too many {by_file.keys() - files}"
        wanted = self._acknowledged()
        for path, some in by_file.items():
            digest = hashlib.blake2b(Path(path).read_bytes(), digest_size=16).hexdigest()
            assert len(some) == 2, f"{path} has {len(some)} of 2 rows"
            assert {row["hash"] for row in some} == {digest}, f"{path} has rows of another content"
            for tag in _TAGS:
                having = [tag in (row["tags"] or ()) for row in some]
                allowed = wanted.get((digest, tag), {False, True})
                assert having[0] == having[1], f"{tag} is on half of {path}"
                assert having[0] in allowed, f"{tag} {'is' if having[0] else 'is not'} on {path}, allowed {allowed}"
        for path in self.random.sample(sorted(files), 2):
            row = self.random.choice(by_file[path])
            expected = self.model.embed(path, start=row["start"], end=row["start"] + 0.1)
            assert np.array_equal(np.array(row["embedding"], np.float32), expected), f"{path} has another's embedding"
        self._note({"settled": {f"{row['hash']} {tag}": tag in (row["tags"] or ()) for row in rows for tag in _TAGS}})
        self.library.index()
        leftovers = [file for file in self.library.folder.rglob("*") if file.name.endswith((".writing", ".building"))]
        assert not leftovers, f"left behind: {leftovers}"

    def _acknowledged(self) -> dict[tuple[str, str], set[bool]]:
        """(content, tag) -> what may be true of it."""
        allowed: dict[tuple[str, str], set[bool]] = {}
        for line in self.journal.read_text().splitlines() if self.journal.exists() else []:
            entry = json.loads(line)
            if "settled" in entry:
                allowed = {tuple(key.split()): {value} for key, value in entry["settled"].items()}
                continue
            key = entry["hash"], entry["tag"]
            before = allowed.get(key, {False, True}) if entry["state"] == "begun" else set()
            allowed[key] = before | {entry["wanted"]}
        return allowed

    def _note(self, entry: dict[str, object]) -> None:
        if "settled" in entry:
            temporary = self.journal.with_suffix(".new")
            temporary.write_text(json.dumps(entry) + "\n")
            temporary.replace(self.journal)
            return
        with open(self.journal, "a") as journal:
            journal.write(json.dumps(entry) + "\n")

    # Work

    def work(self) -> None:
        """Change files and the library until something ends it."""
        steps: dict[Callable[[], object], int] = {
            self._rename: 3, self._swap: 3, self._copy: 1, self._delete: 1, self._edit: 1, self._new: 1,
            self._tag: 8, self._index: 6, self._rehash: 1, self._relocate: 2, self._map: 1,
        }  # fmt: skip
        while True:
            self.random.choices(list(steps), list(steps.values()))[0]()

    def _files(self) -> list[Path]:
        return sorted(self.root.glob("*.wav"))

    def _name(self) -> Path:
        return self.root / f"{self.random.randrange(10**9)}.wav"

    def _pick(self, count: int = 1) -> list[Path]:
        return self.random.sample(self._files(), count)

    def _rename(self) -> None:
        self._pick()[0].rename(self._name())

    def _swap(self) -> None:
        one, other = self._pick(2)
        aside = self._name()
        one.rename(aside)
        other.rename(one)
        aside.rename(other)

    def _copy(self) -> None:
        self._write(self._pick()[0].read_bytes(), self._name())

    def _delete(self) -> None:
        if len(self._files()) > _FILES // 2:
            self._pick()[0].unlink()

    def _edit(self) -> None:
        self._new(self._pick()[0])

    def _new(self, path: Path | None = None) -> None:
        samples = 0.1 * np.random.default_rng(self.random.randrange(2**40)).normal(size=_RATE // 5)
        sound = io.BytesIO()
        soundfile.write(sound, samples, _RATE, subtype="PCM_16", format="WAV")
        self._write(sound.getvalue(), path or self._name())

    def _write(self, data: bytes, path: Path) -> None:
        aside = self.folder / "new.wav"
        aside.write_bytes(data)
        aside.replace(path)

    def _tag(self) -> None:
        row = self.random.choice(self.library.rows(["path", "hash"]).to_pylist())
        tag, wanted = self.random.choice(_TAGS), self.random.random() < 0.6
        entry = {"hash": row["hash"], "tag": tag, "wanted": wanted}
        before = self._acknowledged().get((row["hash"], tag), set())
        self._note({**entry, "state": "begun"})
        edit = self.library.tags.edit(tag, **{"add" if wanted else "remove": [row["path"]]})
        self._note({**entry, "state": "done"})
        if before == {not wanted} and edit.changed and self.random.random() < 0.3:
            self._note({**entry, "wanted": not wanted, "state": "begun"})
            edit.revert()
            self._note({**entry, "wanted": not wanted, "state": "done"})

    def _index(self) -> None:
        self.library.add(self.root, prune=self.random.random() < 0.5)

    def _rehash(self) -> None:
        self.library.add(self.root, rehash=True)

    def _relocate(self) -> None:
        old, new = self.root, self.folder / f"sounds-{self.random.randrange(10**9)}"
        old.rename(new)
        if self.random.random() < 0.5:
            self.library.roots.relocate(old, new)
        else:
            self.library.add(new)

    def _map(self) -> None:
        self.library.index()
        if self.random.random() < 0.2:
            self.library.maps.get(recompute=True)


def run_rounds(kills: int, full: int, seed: int = 0) -> dict[str, object]:
    """Run the rounds.

    Args:
        kills: rounds that a signal ends.
        full: rounds that a full disk ends; none are run where no file system can be mounted.
        seed: of the first round.

    Returns:
        Rounds by what ended them, and the faults found.
    """
    ended: Counter[str] = Counter()
    faults: list[str] = []
    dice = random.Random(seed)
    # Imports the modules that models are made of. Otherwise every round would import them from the sources as they are
    # then, and a change of these during the run could give a library two models.
    list(MODELS)
    with TemporaryDirectory() as name:
        work, beside, disk = (Path(name) / folder for folder in ("work", "full", "disk"))

        def count(what: str, folder: Path, number: int, outcome: tuple[str, str]) -> None:
            reason, fault = outcome
            ended[reason] += 1
            if fault:
                faults.append(f"{what} {number}: {fault}")
                print(faults[-1], flush=True)
                shutil.rmtree(folder)

        for number in with_progress(range(kills), kills, "kills"):
            work.mkdir(exist_ok=True)
            count("round", work, number, _killed_round(work, work / "l.loom", seed + number, dice))
        disk.mkdir()
        if full and _mount(disk):
            for number in with_progress(range(full), full, "full disks"):
                beside.mkdir(exist_ok=True)
                count("full disk", beside, number, _full_round(beside, disk, seed + number, dice))
            _unmount(disk)
    return {"ended": dict(ended), "faults": faults}


def _killed_round(folder: Path, library: Path, seed: int, dice: random.Random) -> tuple[str, str]:
    """A round that a signal ends. Returns what ended it, and the fault that its check found."""
    child, check = _fork(lambda: Round(folder, library, seed))
    fault = _checked(check, child)
    sent = dice.choice(_SIGNALS)
    if not fault:
        time.sleep(dice.random() ** 2 * 1.5)
        os.kill(child, sent)
        fault = _reap(child, sent)
    return sent.name, fault


def _full_round(folder: Path, disk: Path, seed: int, dice: random.Random) -> tuple[str, str]:
    """A round that a full disk ends."""
    filler = disk / "filler"
    filler.unlink(missing_ok=True)

    def fill() -> None:
        free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        filler.write_bytes(bytes(max(0, free - dice.randrange(4096, 150_000))))

    child, check = _fork(lambda: Round(folder, disk / "l.loom", seed), fill)
    fault = _checked(check, child) or _reap(child)
    if fault or sum(file.stat().st_size for file in (disk / "l.loom").rglob("*") if file.is_file()) > 10_000_000:
        shutil.rmtree(disk / "l.loom", ignore_errors=True)  # old versions of rows fill the disk after some rounds
        (folder / "journal.jsonl").unlink(missing_ok=True)
    return "full disk", fault


def _fork(make: Callable[[], Round], before_work: Callable[[], None] = lambda: None) -> tuple[int, int]:
    """Run a round in a process of its own. Returns its id, and the end of a pipe that says how its check ended."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # lancedb warns of forking; the parent never uses it
        child = os.fork()
    if child:
        os.close(write)
        return child, read
    os.close(read)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    code = 0
    try:
        try:
            one = make()
            one.check()
            os.write(write, b"ok")
        except BaseException:
            os.write(write, traceback.format_exc()[-2000:].encode())
            os._exit(0)
        os.close(write)
        before_work()
        one.work()
    except (KeyboardInterrupt, OSError, SoundloomError):
        pass  # an interrupt, or the full disk
    except BaseException as error:
        if "No space" not in str(error) and "os error 28" not in str(error):
            traceback.print_exc()
            code = 3
    finally:
        os._exit(code)


def _checked(check: int, child: int) -> str:
    """Wait for the check of a round. Returns the fault."""
    with os.fdopen(check, "rb") as pipe:
        if not select.select([pipe], [], [], _PATIENCE)[0]:
            return _put_down(child)
        text = pipe.read().decode()
    if text != "ok":
        os.waitpid(child, 0)
    return "" if text == "ok" else text or "the process ended without a word"


def _reap(child: int, sent: signal.Signals | None = None) -> str:
    """Wait for a process to end, which got a signal unless it ends by itself. Returns the fault."""
    begun = time.monotonic()
    again = begun + _AGAIN
    while time.monotonic() < begun + _PATIENCE:
        if sent is not None and time.monotonic() > again:
            os.kill(child, sent)
            again += _AGAIN
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            crashed = os.WIFSIGNALED(status) and os.WTERMSIG(status) not in _SIGNALS
            wrong = os.WIFEXITED(status) and os.WEXITSTATUS(status)
            return f"the process ended with status {status}" if crashed or wrong else ""
        time.sleep(0.01)
    return _put_down(child)


def _put_down(child: int) -> str:
    """End a process that does not end by itself. Returns the fault."""
    os.kill(child, signal.SIGUSR1)  # where it stands is printed
    time.sleep(1.0)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return f"the process did not end within {_PATIENCE:.0f} s"


def _mount(folder: Path) -> bool:
    mount = ctypes.CDLL(None).mount
    return sys.platform == "linux" and mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, b"size=16m") == 0


def _unmount(folder: Path) -> None:
    ctypes.CDLL(None).umount2(os.fsencode(folder), 2)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kills", description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--full", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="20 kills, 5 full disks")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    kills, full = (20, 5) if options.quick else (options.kills, options.full)
    result = run_rounds(kills, full, options.seed)
    print(f"ended by {result['ended']}: {len(result['faults'])} with a fault")
    if options.json:
        write_json(options.json, [result])
    if result["faults"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
