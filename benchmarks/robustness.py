"""What indexing survives: being killed, long sounds, mutated files, and files that are not what they seem.

    python -m benchmarks.robustness [FOLDER] [--kills 20] [--files 400] [--hours 3] [--mutations 10000] [--only PART]
        [--quick] [--json OUT]

kills     ``soundloom index`` is killed (SIGKILL) at random moments, each time in a new library. The library must open
          with whole files only, none twice; indexing again must end with every column of every row equal, bit for
          bit, to a library that was never disturbed.
memory    ``soundloom index`` hears one wav and one flac of some hours (44.1 kHz, stereo, 16 bits), while the resident
          memory of the process and its children is read five times a second. It must stay flat and below 600 MB.
mutated   thousands of sound files of every kind, with bytes changed, cut out and doubled, decoded in one process: every
          one must become samples or an error with a reason, no process may crash, memory must stay below 600 MB.
hostile   the inputs of tests/hostile.py, each with what became of it.

Reads /proc, and so runs on Linux only. Exits with 1 if any of it failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from benchmarks.container_files import make_files
from benchmarks.indexing import SOUNDLOOM, example_sounds, linked
from benchmarks.timing import write_json
from soundloom import audio
from soundloom.errors import AudioError
from soundloom.library import Library

LIMIT_MB = 600.0
NOWHERE = subprocess.DEVNULL
COLUMNS = ["path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding"]
RATE = 44100


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing tried, and what became of it.

    Attributes:
        part: kills, memory, mutated or hostile.
        what: what was tried.
        good: whether it ended as it must.
        told: how it ended.
    """

    part: str
    what: str
    good: bool
    told: str


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.robustness", description="try what indexing survives")
    parser.add_argument("folder", nargs="?", type=Path, help="of sounds (ESC-50, else the synthesiser's)")
    parser.add_argument("--kills", type=int, default=20, help="(%(default)s)")
    parser.add_argument("--files", type=int, default=400, help="at most so many, when killing (%(default)s)")
    parser.add_argument("--hours", type=float, default=3.0, help="of the long sounds (%(default)s)")
    parser.add_argument("--mutations", type=int, default=10_000, help="mutated files (%(default)s)")
    parser.add_argument("--only", choices=("kills", "memory", "mutated", "hostile"), help="leave out the other parts")
    parser.add_argument("--quick", action="store_true", help="2 kills, 40 files, 3 minutes: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    kills, files, hours = (2, 40, 0.05) if options.quick else (options.kills, options.files, options.hours)
    mutations = 300 if options.quick else options.mutations

    findings: list[Finding] = []
    with TemporaryDirectory() as temporary:
        place = Path(temporary)
        if options.only in (None, "kills"):
            sounds = linked(audio.find([options.folder or example_sounds(place)]), files, place / "chosen")
            findings += killed(sounds[0].parent, kills, place)
        if options.only in (None, "memory"):
            findings += [remembered(suffix, hours, place) for suffix in ("wav", "flac")]
        if options.only in (None, "mutated"):
            findings.append(mutated(mutations, place))
        if options.only in (None, "hostile"):
            findings += hostile(place)

    table = Table("part", "what", "", "how it ended", title="robustness")
    for finding in findings:
        table.add_row(finding.part, finding.what, "ok" if finding.good else "BAD", finding.told)
    Console(width=160).print(table)
    if options.json is not None:
        write_json(options.json, [asdict(finding) for finding in findings])
    if not all(finding.good for finding in findings):
        raise SystemExit(1)


def command(sounds: Path, library: Path) -> list[str]:
    """The command that indexes."""
    return [*SOUNDLOOM, "index", str(sounds), "-l", str(library)]


def contents(folder: Path) -> list[tuple[object, ...]]:
    """Every column of every row, in order; embeddings as bytes."""
    rows = Library.open(folder).rows(COLUMNS).to_pylist()
    return [
        (*(str(row[name]) for name in COLUMNS[:-1]), np.array(row["embedding"], np.float32).tobytes()) for row in rows
    ]


def killed(sounds: Path, kills: int, place: Path) -> list[Finding]:
    """Kill the command at random moments of its run."""
    reference = place / "undisturbed.loom"
    began = time.monotonic()
    subprocess.run(command(sounds, reference), check=True, capture_output=True)
    length = time.monotonic() - began
    whole = contents(reference)
    rows_of = Counter(row[0] for row in whole)

    findings = []
    for number, moment in enumerate(np.random.default_rng(0).uniform(0, length, kills)):
        library = place / f"killed-{number}.loom"
        with subprocess.Popen(command(sounds, library), stdout=NOWHERE, stderr=NOWHERE) as process:
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
        left = contents(library) if (library / "library.json").exists() else []
        doubled = len(left) - len({row[:2] for row in left})
        halved = sum(rows != rows_of[path] for path, rows in Counter(row[0] for row in left).items())
        wrong = len(set(left) - set(whole))
        subprocess.run(command(sounds, library), check=True, capture_output=True)
        equal = contents(library) == whole
        told = f"{len(left)} of {len(whole)} rows: {doubled} doubled, {wrong} wrong, {halved} files in part; "
        told += "then " + ("equal to the undisturbed, bit for bit" if equal else "NOT equal to the undisturbed")
        good = equal and not (doubled or halved or wrong)
        what = f"killed after {moment:.2f} s of {length:.2f} s"
        findings.append(Finding(part="kills", what=what, good=good, told=told))
    return findings


def remembered(suffix: str, hours: float, place: Path) -> Finding:
    """Index one long sound and watch the memory."""
    folder = place / f"long-{suffix}"
    folder.mkdir()
    size = write_long(folder / f"long.{suffix}", round(hours * 3600))
    samples: list[float] = []
    began = time.monotonic()
    arguments = command(folder, place / f"long-{suffix}.loom")
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while process.poll() is None:
            samples.append(resident_megabytes(process.pid))
            time.sleep(0.2)
        assert process.stderr is not None
        complaint = process.stderr.read().decode().strip()
    seconds = time.monotonic() - began
    (folder / f"long.{suffix}").unlink()
    # The start of the process and the building of the index are left out: the third in the middle of the rest counts.
    third = max(1, len(samples) // 3)
    growth = float(np.median(samples[-third:]) - np.median(samples[third : 2 * third]))
    first = float(np.median(samples[:third]))
    told = f"peak {max(samples):.0f} MB; medians of the thirds: {first:.0f}, "
    told += f"{np.median(samples[third : 2 * third]):.0f}, {np.median(samples[-third:]):.0f} MB; {seconds:.0f} s"
    good = process.returncode == 0 and max(samples) < LIMIT_MB and growth < 50
    what = f"{suffix}, {hours:g} h, {size / 1e6:.0f} MB"
    return Finding(part="memory", what=what, good=good, told=f"{told} {complaint}".strip())


def write_long(path: Path, seconds: int) -> int:
    """Write minutes of noise, louder and softer, in stereo; returns the size in bytes."""
    rng = np.random.default_rng(0)
    minute = (3000 * rng.standard_normal((60 * RATE, 2))).astype(np.int16)
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as file:
        for second in range(0, seconds, 60):
            file.write(minute[: RATE * min(60, seconds - second)] // (1 + second // 60 % 4))
    return path.stat().st_size


def resident_megabytes(pid: int) -> float:
    """Resident memory of a process and its descendants; 0 for those that are gone."""
    total, waiting = 0.0, [pid]
    while waiting:
        process = Path("/proc") / str(waiting.pop())
        try:
            total += int((process / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6
            for task in (process / "task").iterdir():
                waiting += map(int, (task / "children").read_text().split())
        except (OSError, IndexError):
            continue
    return total


def mutated(count: int, place: Path) -> Finding:
    """Decode mutated sound files, one after the other, in this process and its child for FFmpeg."""
    folder = place / "mutated"
    folder.mkdir()
    wholes = [(made.path.suffix, made.path.read_bytes()) for made in make_files(folder, quick=True)]
    rng = np.random.default_rng(0)
    became: Counter[str] = Counter()
    most = 0.0
    with audio.AvProcess() as av:
        for number in range(count):
            ending, content = wholes[number % len(wholes)]
            file = folder / f"mutated{ending}"
            file.write_bytes(mutation(content, rng))
            try:
                samples = sum(len(block) for block in audio.stream(file, 16000, av=av))
                became["decoded" if samples else "BAD: no samples and no error"] += 1
            except AudioError as error:
                crashed = "process that decodes it" in error.reason
                became["BAD: the child crashed" if crashed else "refused"] += 1
            except Exception as error:
                became[f"BAD: {type(error).__name__}"] += 1
            if number % 50 == 0:
                most = max(most, resident_megabytes(os.getpid()))
    told = ", ".join(f"{times} {what}" for what, times in sorted(became.items())) + f"; peak {most:.0f} MB"
    good = most < LIMIT_MB and not any(what.startswith("BAD") for what in became)
    return Finding(part="mutated", what=f"{count} files made of {len(wholes)}", good=good, told=told)


def mutation(content: bytes, rng: np.random.Generator) -> bytes:
    """A file with a few bytes changed, or a stretch taken out, doubled or filled; mostly near its beginning."""
    damaged = bytearray(content)
    for _ in range(int(rng.integers(1, 6))):
        reach = min(len(damaged), 256) if rng.random() < 0.6 else len(damaged)
        at, length = int(rng.integers(0, reach)), int(rng.integers(1, 64))
        way = rng.integers(0, 5)
        if way == 0:
            damaged[at] ^= 1 << int(rng.integers(0, 8))
        elif way == 1:
            damaged[at : at + length] = rng.bytes(length)
        elif way == 2:
            del damaged[at : at + length]
        elif way == 3:
            damaged[at:at] = damaged[at : at + length]
        else:
            damaged[at : at + 4] = bytes([(0, 255, 127, 128)[int(rng.integers(0, 4))]]) * 4
    return bytes(damaged)


def hostile(place: Path) -> list[Finding]:
    """What became of each hostile input."""
    # The inputs belong to the tests, which are no package.
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from helpers.malformed_files import HOSTILE, write_folder

    folder = write_folder(place / "hostile")
    library = Library.create(place / "hostile.loom")
    failed = {failure.path: failure.reason for failure in library.add(folder).failed}
    files = set(library.files())
    findings = []
    for row in HOSTILE:
        path = str(folder / row.told)
        became = "embedded" if path in files else "reported" if path in failed else "passed over"
        told = f"{became}: {failed[path]}" if path in failed else became
        findings.append(Finding(part="hostile", what=ascii(row.told)[:40], good=became == row.outcome, told=told))
    return findings


if __name__ == "__main__":
    main()
