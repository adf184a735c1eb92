"""What damage to a library's and a model's files does: right results or one clear line, and verify finds it.

    python -m benchmarks.damage [--library 1000] [--models 1000] [--seed 0] [--quick] [--json OUT]

library   A small library (tones in noise, tags, a map) is damaged at random, one file at a time: bits flipped, bytes
          zeroed, swapped, removed or appended, files cut, deleted or exchanged, half of the time with the file's
          time of modification as before. Then verify, info, search, a filtered search, tagging by example, map, the
          first answers of the server, index, and search once more are run. Each must give what it gives of the
          undamaged library, or fail with one line; verify must name every damage.
models    The configuration or the weights of a saved model are made odd, and the model is loaded: it loads, or fails
          with one line within a second.

Every library case runs in a process of its own, so that a crash counts as one. Exits with 1 if anything went wrong.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.timing import with_progress, write_json

# The generators of damage belong to the tests, which are no package.
sys.path.append(str(Path(__file__).parents[1] / "tests"))

LIMIT_SECONDS = 1.0
BATCH = 25
"""Cases that one process tries; a crash ends it, and the next goes on behind the case."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a command, or the loading of a model, ended.

    Attributes:
        part: library or models. seed: of the case. damage: what was done. command: what was run. result: "right",
        "refused" (one line) or a fault: "different", "traceback", "unclear", "missed", "slow", "crash". text: what it
        said, where that matters.
    """

    part: str
    seed: int
    damage: str
    command: str
    result: str
    text: str = ""

    @property
    def good(self) -> bool:
        """Whether it ended as it must."""
        return self.result in ("right", "refused")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.damage", description="damage files and see")
    parser.add_argument("--library", type=int, default=1000, help="damages of a library (%(default)s)")
    parser.add_argument("--models", type=int, default=1000, help="odd models (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first case (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="5 of each: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--worker", nargs=3, metavar=("FOLDER", "FIRST", "STOP"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.worker is not None:
        folder, first, stop = options.worker
        for seed in range(int(first), int(stop)):
            print(f"begun {seed}", flush=True)
            for outcome in library_case(Path(folder), seed):
                print(json.dumps(asdict(outcome)), flush=True)
        return
    libraries, models = (5, 5) if options.quick else (options.library, options.models)
    with TemporaryDirectory() as temporary:
        found = damaged_models(Path(temporary), range(options.seed, options.seed + models))
        if libraries:
            found = chain(found, damaged_libraries(Path(temporary), options.seed, options.seed + libraries))
        outcomes = [printed(outcome) for outcome in found]
    report(outcomes)
    if options.json is not None:
        write_json(options.json, [asdict(outcome) for outcome in outcomes])
    if not all(outcome.good for outcome in outcomes):
        raise SystemExit(1)


def printed(outcome: Outcome) -> Outcome:
    """Print a fault as soon as it is found."""
    if not outcome.good:
        text = f"{outcome.result}: {outcome.command} after {outcome.damage} (seed {outcome.seed}): {outcome.text}"
        print(text, flush=True)
    return outcome


def report(outcomes: Sequence[Outcome]) -> None:
    """Print how often each command ended in each way."""
    counts = Counter((outcome.part, outcome.command, outcome.result) for outcome in outcomes)
    for (part, command, result), count in sorted(counts.items()):
        print(f"{part:>8}  {command:<16} {result:<10} {count:>6}")


def damaged_models(place: Path, seeds: range) -> Iterator[Outcome]:
    """Load odd models."""
    import soundloom
    from helpers.damage import odd_model
    from soundloom.embedder import Stream
    from soundloom.encoders import Transformer, TransformerSettings, initialise
    from soundloom.errors import SoundloomError
    from soundloom.frontends import LogMel, LogMelSettings

    settings = LogMelSettings(sample_rate=8000, n_fft=256, win_length=200, hop_length=80, bins=24, fmin=30, fmax=3999)
    encoder = Transformer(TransformerSettings(bins=24, width=12, depth=2, heads=2, hidden=16, pool_after=(2,)))
    initialise(encoder, seed=7)
    stream = Stream("mine", LogMel(settings), encoder, layers=(1, 2), pooling="mean", window=None, min_samples=400)
    saved = [soundloom.save_pretrained(stream.eval(), place / "mine")]
    saved += [soundloom.save_pretrained(soundloom.load(name), place / name) for name in ("logmel+mfcc", "peaks")]
    odd = place / "odd"
    for seed in with_progress(seeds, len(seeds), "odd models"):
        rng = random.Random(seed)
        shutil.rmtree(odd, ignore_errors=True)
        shutil.copytree(rng.choice(saved), odd)
        damage = odd_model(odd, rng)
        began = time.perf_counter()
        text = ""
        try:
            soundloom.from_pretrained(odd)
            result = "right"
        except SoundloomError as error:
            text = str(error)
            result = "refused" if is_one_line(text) else "unclear"
        except Exception as error:
            text = f"{type(error).__name__}: {error}"[:300]
            result = "traceback"
        seconds = time.perf_counter() - began
        if seconds > LIMIT_SECONDS:
            result, text = "slow", f"{seconds:.1f} s"
        yield Outcome(part="models", seed=seed, damage=damage, command="load", result=result, text=text)


def damaged_libraries(place: Path, first: int, stop: int) -> Iterator[Outcome]:
    """Run every case in worker processes."""
    make_library(place)
    began, start = time.monotonic(), first
    while first < stop:
        last = min(first + BATCH, stop)
        command = [sys.executable, "-m", "benchmarks.damage", "--worker", str(place), str(first), str(last)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
        begun = first
        for line in done.stdout.splitlines():
            if line.startswith("begun "):
                begun = int(line.removeprefix("begun "))
            elif line.startswith("{"):
                yield Outcome(**json.loads(line))
        first = last
        if done.returncode:
            text = f"exit {done.returncode}: {done.stderr[-300:]}"
            yield Outcome(part="library", seed=begun, damage="", command="any", result="crash", text=text)
            first = begun + 1
        each = (time.monotonic() - began) / (first - start)
        print(f"{first - start}/{stop - start} damages, {each:.1f} s each", file=sys.stderr, flush=True)


def make_library(place: Path) -> None:
    """A small library with everything in it, so that a case is cheap: ``whole.loom``, and the sounds beside it."""
    import numpy as np
    import soundfile

    from soundloom.library import Library

    sounds = place / "sounds"
    sounds.mkdir()
    for number in range(14):
        noise = np.random.default_rng(number).normal(size=8000 * (2 + number % 3))
        tone = np.sin(np.arange(len(noise)) * 0.05 * (number + 1))
        soundfile.write(sounds / f"{number:02d}.wav", 0.05 * noise + 0.3 * tone, 8000, subtype="PCM_16")
    (sounds / "broken.wav").write_bytes(b"RIFF nothing")
    library = Library.create(place / "library.loom", "logmel+mfcc", window=1.0)
    library.add(sounds)
    files = library.files()
    for number in range(6):
        library.tags.add(f"tag{number % 3}", files[number::7])
    library.search(files[0])
    library.maps.get()
    library.folder.rename(place / "whole.loom")


def library_case(place: Path, seed: int) -> Iterator[Outcome]:
    """Damage the library once, and run every command."""
    from helpers.damage import damage_file

    folder = place / "library.loom"
    commands = library_commands(folder, place)
    expected = reference(place, commands)
    restore(place)
    damage = damage_file(folder, random.Random(seed))
    for name, run in commands.items():
        code, out, error = run()
        text = (error or out)[:400]
        if name == "verify":
            result = "refused" if code == 1 and ("damaged '" in out or is_one_line_error(error)) else "missed"
        elif code == 0:
            result = "right" if out == expected[name] else "different"
        else:
            result = "refused" if is_one_line_error(error) else "unclear"
        if "Traceback" in out + error or "unexpected" in error:
            result = "traceback"
        yield Outcome(part="library", seed=seed, damage=damage, command=name, result=result, text=text)


def restore(place: Path) -> None:
    """Put the undamaged library in its place."""
    folder = place / "library.loom"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(place / "whole.loom", folder)


_expected: dict[str, str] = {}


def reference(place: Path, commands: dict[str, Callable[[], tuple[int, str, str]]]) -> dict[str, str]:
    """What the commands say of the undamaged library."""
    if not _expected:
        restore(place)
        for name, run in commands.items():
            code, out, error = run()
            if code:
                raise SystemExit(f"{name} of the undamaged library: {out} {error}")
            _expected[name] = out
    return _expected


def library_commands(folder: Path, place: Path) -> dict[str, Callable[[], tuple[int, str, str]]]:
    """Name -> a command that gives its exit code, its output without times and sizes, and its errors."""
    from click.testing import CliRunner

    from soundloom.cli import main as soundloom

    sounds = sorted((place / "sounds").rglob("*.wav"))
    first, second, third = (str(path) for path in sounds[1:4])

    def cli(*arguments: str) -> Callable[[], tuple[int, str, str]]:
        def run() -> tuple[int, str, str]:
            result = CliRunner().invoke(soundloom, [*arguments, "-l", str(folder)])
            out = re.sub(r"(?m)^ +on disk .*\n|in \d+(\.\d+)? s|in \d+:\d+", "", result.stdout)
            errors = "".join(line for line in result.stderr.splitlines(True) if not line.startswith("note: "))
            return result.exit_code, out, errors

        return run

    index = cli("index")
    return {
        "verify": cli("verify"),
        "info": cli("info"),
        "search": cli("search", first, "-k", "20", "--json", "--explain"),
        "search --where": cli("search", first, "--where", "array_has(tags, 'tag1') AND duration < 3", "--json"),
        "tag": cli("tag", "--examples", "--tag", "new", "--yes", first, "--no", second, "--json"),
        "map": cli("map", "--json"),
        "serve": lambda: first_answers(folder, place),
        "index": lambda: (lambda code, out, error: (0 if "could not be indexed" in error else code, out, error))(
            *index()
        ),
        "search again": cli("search", third, "-k", "20", "--json"),
    }


def first_answers(folder: Path, place: Path) -> tuple[int, str, str]:
    """What a server answers first: the library, a page of it, and a search."""
    from helpers.server import API, served
    from soundloom.errors import SoundloomError
    from soundloom.library import Library

    try:
        with served(Library.open(folder), place / "cache") as client:
            answers: list[Any] = [client.get(f"{API}/library"), client.get(f"{API}/search", params={"k": 20})]
            for answer in answers:
                if answer.status_code != 200:
                    return 1, "", f"Error: {answer.json()['error']['message']}\n"
            kept = [re.sub(r'"(milliseconds|bytes|version|job)":[^,}]*', "", answer.text) for answer in answers]
            return 0, "\n".join(kept), ""
    except SoundloomError as error:
        return 1, "", f"Error: {error}\n"


def is_one_line(text: str) -> bool:
    """Whether a message is one line of readable length."""
    return 0 < len(text) < 1500 and "\n" not in text


def is_one_line_error(error: str) -> bool:
    """Whether standard error is one line that names an error."""
    lines = error.splitlines()
    return bool(lines) and lines[-1].startswith("Error: ") and is_one_line(lines[-1]) and len(lines) == 1


if __name__ == "__main__":
    main()
