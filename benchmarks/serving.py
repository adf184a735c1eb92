"""The server under load, under hostile requests, and while idle and slow connections are held.

    python -m benchmarks.serving [--rows 100000] [--searchers 50] [--seconds 60] [--hostile 2000] [--slow 600] [--quick]
        [--json OUT]

A server in a process of its own, on loopback, over a library of clustered random rows (those of `benchmarks.search`).
First every searcher asks for one segment after another, by its id, half of them with weights and a quarter with a
filter, as fast as answers come: what a person waits is the time from request to whole answer. Then hostile uploads and
addresses: files cut short, noise, bombs of silence, wrong types, forms without end, ways out of the folder, an upload
that trickles. The server must answer each with a refusal that says why, and its memory and that of its children must
be afterwards what it was after the first tenth of them.

Last, a server for other machines, with a token, is asked by its owner while clients without the token hold connections
from the same address: they send nothing, trickle heads or bodies, or do not read, and connect again when they are
disconnected. The owner's searches, half of them on new connections, must be answered within a second.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

import httpx
import numpy as np
import soundfile
from rich.console import Console
from rich.table import Table

from benchmarks.search import TwoParts, clustered, filled
from benchmarks.timing import machine, write_json
from soundloom.library import Library
from soundloom.library.segments import Segment
from soundloom.pictures import Excerpt
from soundloom.server import ServerSettings, serve
from soundloom.server.media.sound_files import SoundFiles
from soundloom.server.media.thumbnail import thumbnail

API = "/api/v1"
DIM = 256
KNOWN = 500
"""Segments that are asked for."""
ATTACKERS = 8
HUNG_UP = 499
PICTURES, RATE = 64, 16000
UPLOAD_BYTES, UPLOAD_WAIT = 4 * 2**20, 2.0
TOKEN = "a-token-for-the-benchmark"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serving", description="load and attack a server")
    parser.add_argument("--rows", type=int, default=100_000, help="in the library (%(default)s)")
    parser.add_argument("--searchers", type=int, default=50, help="at the same time (%(default)s)")
    parser.add_argument("--seconds", type=float, default=60.0, help="of searching (%(default)s)")
    parser.add_argument("--hostile", type=int, default=2000, help="uploads and addresses (%(default)s)")
    parser.add_argument("--slow", type=int, default=600, help="idle and slow connections (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="5000 rows, 5 seconds, 100 requests: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    parser.add_argument("--serve", nargs=3, metavar=("FOLDER", "PORT", "TOKEN"), help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.serve is not None:
        run_server(Path(options.serve[0]), int(options.serve[1]), options.serve[2] or None)
        return
    if options.quick:
        options.rows, options.seconds, options.hostile = 5000, 5.0, 100

    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        library = filled(folder / "library.loom", clustered(options.rows, DIM))
        library.index()
        ids = library.index().segments.ids(np.random.default_rng(0).integers(len(library), size=KNOWN))
        with served(folder) as (address, pid):
            searched = asyncio.run(search(address, ids, options.searchers, options.seconds))
            attacked = asyncio.run(attack(address, pid, options.hostile))
        with served(folder, TOKEN) as (address, pid):
            held = asyncio.run(hold(address, pid, ids, options.slow, min(options.seconds, 20.0)))
    report = {"rows": options.rows, "searchers": options.searchers, **searched, **attacked, **held}
    table = Table("figure", "value", title=f"{machine()['processor']}, {os.cpu_count()} cores, client included")
    for name, value in report.items():
        table.add_row(name, f"{value:,.1f}" if isinstance(value, float) else str(value))
    Console(width=120).print(table)
    print("target: no error; every hostile request refused; memory flat; the owner answered within 1,000 ms")
    if options.json is not None:
        write_json(options.json, [report])


@contextmanager
def served(folder: Path, token: str = "") -> Iterator[tuple[str, int]]:
    """A server of the library in the folder, for other machines if it has a token: its address and process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.serving", "--serve", str(folder), str(port), token])
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(600):
            try:
                httpx.get(f"{address}{API}/library", timeout=60)
                break
            except httpx.TransportError:
                if process.poll() is not None:
                    raise SystemExit("the server does not start") from None
                time.sleep(0.1)
        yield address, process.pid
    finally:
        process.terminate()
        process.wait()


async def search(address: str, ids: Sequence[str], searchers: int, seconds: float) -> dict[str, float]:
    """Ask from many sides for a while; milliseconds until the answer, and how many were errors."""
    taken: list[float] = []
    statuses: Counter[int] = Counter()
    end = time.perf_counter() + seconds

    async def one(client: httpx.AsyncClient, seed: int) -> None:
        chance = random.Random(seed)
        while time.perf_counter() < end:
            asked: dict[str, str | int] = {"like": chance.choice(ids), "k": 24}
            if chance.random() < 0.5:
                asked["weights"] = f"one:{chance.randint(0, 4)},two:1"
            if chance.random() < 0.25:
                asked["has_tag"] = f"tag-{chance.randrange(10)}"
            began = time.perf_counter()
            answer = await client.get(f"{address}{API}/search", params=asked)
            taken.append(1000 * (time.perf_counter() - began))
            statuses[answer.status_code] += 1

    limits = httpx.Limits(max_connections=searchers)
    async with httpx.AsyncClient(timeout=60, limits=limits) as client:
        await asyncio.gather(*(one(client, seed) for seed in range(searchers)))
    p50, p95 = np.percentile(taken, [50, 95])
    return {
        "searches": len(taken),
        "searches a second": len(taken) / seconds,
        "p50 ms": float(p50),
        "p95 ms": float(p95),
        "slowest ms": max(taken),
        "errors": len(taken) - statuses[200],
    }


async def attack(address: str, pid: int, count: int) -> dict[str, float | str]:
    """Send what should be refused; what came of it, and the memory before and after, in MiB."""
    statuses: Counter[int] = Counter()
    made = list(hostile())
    before = memory(pid)
    async with httpx.AsyncClient(timeout=120, base_url=address) as client:
        turn = asyncio.Semaphore(ATTACKERS)

        async def one(number: int) -> None:
            async with turn:
                try:
                    answer = await send(client, made, number)
                except httpx.TransportError:
                    # Hung up on, with what was still to come unread.
                    statuses[HUNG_UP] += 1
                    return
            statuses[answer.status_code] += 1
            assert b"root:" not in answer.content

        await asyncio.gather(*map(one, range(count // 10)))
        after_a_tenth = memory(pid)
        await asyncio.gather(*map(one, range(count // 10, count)))
        after = memory(pid)
        alive = (await client.get(f"{API}/library")).status_code
    return {
        "hostile requests": count,
        "refused with": ", ".join(f"{status}: {many}" for status, many in sorted(statuses.items())),
        "not refused": sum(many for status, many in statuses.items() if not 400 <= status < 500),
        "answers afterwards": "yes" if alive == 200 else "no",
        "MiB before": before,
        "MiB after a tenth": after_a_tenth,
        "MiB after all": after,
    }


async def hold(address: str, pid: int, ids: Sequence[str], count: int, seconds: float) -> dict[str, float]:
    """Hold connections without the token, and ask with it for a while; milliseconds until the owner's answers."""
    host, port = address.removeprefix("http://").split(":")
    over = asyncio.Event()
    connected = 0

    async def stranger(number: int) -> None:
        nonlocal connected
        first, then = SLOW[number % len(SLOW)]
        while not over.is_set():
            try:
                _, writer = await asyncio.open_connection(host, int(port))
                connected += 1
                writer.write(first)
                while not over.is_set() and not writer.is_closing():
                    writer.write(then)
                    await writer.drain()
                    await asyncio.sleep(1.0)
                writer.close()
            except OSError:
                await asyncio.sleep(0.1)

    taken: list[float] = []
    errors = 0
    strangers = [asyncio.create_task(stranger(number)) for number in range(count)]
    await asyncio.sleep(1.0)
    owner = {"Authorization": f"Bearer {TOKEN}"}
    end = time.perf_counter() + seconds
    async with httpx.AsyncClient(timeout=60, base_url=address, headers=owner) as kept:
        while time.perf_counter() < end:
            async with httpx.AsyncClient(timeout=60, base_url=address, headers=owner) as new:
                for client in (kept, new):
                    began = time.perf_counter()
                    try:
                        answer = await client.get(f"{API}/search", params={"like": random.choice(ids), "k": 24})
                        errors += answer.status_code != 200
                    except httpx.TransportError:
                        errors += 1
                    taken.append(1000 * (time.perf_counter() - began))
            await asyncio.sleep(0.05)
    over.set()
    await asyncio.wait(strangers, timeout=10)
    return {
        "slow connections": count,
        "slow connections made in all": connected,
        "owner's requests": len(taken),
        "owner's p50 ms": float(np.median(taken)),
        "owner's slowest ms": max(taken),
        "owner's errors": errors,
        "MiB with slow connections": memory(pid),
    }


async def send(client: httpx.AsyncClient, made: Sequence[tuple[str, bytes]], number: int) -> httpx.Response:
    """The n-th hostile request."""
    kind = number % (len(made) + 4)
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    if kind < len(made):
        return await client.post(f"{API}/uploads", files={"file": made[kind]})
    if kind == len(made):
        return await client.get(WAYS_OUT[number % len(WAYS_OUT)])
    if kind == len(made) + 1:
        return await client.post(f"{API}/uploads", content=endless(64 * 1024, 0), headers=form)
    if kind == len(made) + 2:
        return await client.post(f"{API}/uploads", content=endless(10, 0.2), headers=form)
    strange = {"Host": "evil.example"} if number % 2 else {"Sec-Fetch-Site": "cross-site"}
    return await client.post(f"{API}/index", json={}, headers=strange)


SLOW = (
    (b"", b""),
    (b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n", b"a"),
    (b"POST /api/v1/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n", b"a"),
    (50 * b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b""),
)
"""What slow clients send first, and then every second."""


WAYS_OUT = (
    "/assets/../../../../etc/passwd",
    "/assets/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..%2f..%2f..%2fetc%2fpasswd",
    f"{API}/segments/..%2f..%2fetc%2fpasswd/audio",
    f"{API}/segments/%2fetc%2fpasswd",
    f"{API}/uploads/u_..%2f..%2fetc/audio",
    f"{API}/segments/0000000000000000/audio",
    f"{API}/search?like=' OR 1=1",
)


def hostile() -> Iterator[tuple[str, bytes]]:
    """Files that are no sounds, not whole ones, or far longer than they look."""
    rng = np.random.default_rng(0)
    whole = {}
    for container in ("WAV", "FLAC", "OGG", "MP3"):
        file = io.BytesIO()
        soundfile.write(file, 0.1 * rng.standard_normal(16000), 16000, format=container)
        whole[container] = file.getvalue()
    for container, content in whole.items():
        yield f"header.{container}", content[:20]
        if container != "WAV":  # half a wav, or one of noise, is a sound
            yield f"half.{container}", content[: len(content) // 2]
            yield f"noise-inside.{container}", content[:40] + rng.bytes(200) + b"\0" * 12
    for seconds in (3600, 36_000):
        file = io.BytesIO()
        with soundfile.SoundFile(file, "w", 8000, 1, format="FLAC") as out:
            for _ in range(seconds // 60):
                out.write(np.zeros(480_000, np.float32))
        yield f"bomb-{seconds}.flac", file.getvalue()
    yield "empty.wav", b""
    yield "text.wav", b"no sound\n" * 1000
    yield "picture.mp3", b"\x89PNG\r\n\x1a\n" + rng.bytes(5000)
    yield "page.html", b"<script>alert(1)</script>"
    yield "playlist.m3u8", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"
    yield "concat.txt", b"ffconcat version 1.0\nfile /etc/passwd\n"
    yield "noise.bin", rng.bytes(100_000)
    yield "../../etc/passwd", rng.bytes(2000)
    yield "large.wav", b"RIFF" + bytes(UPLOAD_BYTES)


async def endless(size: int, pause: float) -> AsyncIterator[bytes]:
    """A form that has no end, in a torrent or a trickle."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    for _ in range(1000):
        yield bytes(size)
        await asyncio.sleep(pause)


def memory(pid: int) -> float:
    """MiB that a process and its children hold for themselves, or share fairly (PSS)."""
    total = 0
    for process in [str(pid), *children(pid)]:
        try:
            facts = Path(f"/proc/{process}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in facts.splitlines() if line.startswith("Pss:"))
    return total / 1024


def children(pid: int) -> list[str]:
    return [child for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def run_server(folder: Path, port: int, token: str | None) -> None:
    """Be the server, of the library that `main` wrote; its rows have no files, so their thumbnails are stand-ins."""
    pictures = folder / "pictures"
    pictures.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(PICTURES):
        noise = (rng.standard_normal(RATE) * np.exp(-np.arange(RATE) / RATE * number / 8)).astype(np.float32)
        excerpt = Excerpt(title="", samples=noise, sample_rate=RATE, start=0.0, end=1.0)
        (pictures / str(number)).write_bytes(thumbnail(excerpt, 240, 96, "dark"))

    def draw(_: SoundFiles, segment: Segment, *__: object) -> BinaryIO:
        return open(pictures / str(int(segment.id, 16) % PICTURES), "rb")

    SoundFiles.thumbnail = draw
    library = Library.open(folder / "library.loom", TwoParts(DIM))
    settings = ServerSettings(
        host="0.0.0.0" if token else "127.0.0.1",
        port=port,
        token=token,
        cache=folder / "cache",
        upload_bytes=UPLOAD_BYTES,
        upload_wait=UPLOAD_WAIT,
    )
    serve(library, settings)


if __name__ == "__main__":
    main()
