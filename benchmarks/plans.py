"""Whether a plan whose workers and committers are killed at random gives each row once.

    python -m benchmarks.plans [--kills 50] [--files 300] [--workers 4] [--limit 1200] [--s3] [--json OUT]

Small noises are indexed by `soundloom index`. Then they are planned for another library, and so many workers embed them
at the same time, while a committer runs again and again. At random moments one of them gets SIGKILL and is started
again, and now and then a shard that is done is issued once more, to be done by somebody else. After so many kills, or
``--limit`` seconds, all is finished and committed, and rows, facts and failures of both libraries are compared, bit for
bit. ``--s3`` keeps the plan in a local server of S3 (moto). Processes are forked from one that has imported the
packages (`benchmarks.forked_commands`), so that two processors start some hundred of them in minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import logging
import os
import random
import signal
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock
from typing import Any

import numpy as np
import soundfile

from benchmarks.forked_commands import ForkServer
from benchmarks.timing import write_json
from soundloom.library import Library
from soundloom.library.storage.facts_table import read_facts_table
from soundloom.plans import Plan
from soundloom.plans.lease import Leases
from soundloom.plans.plan_file import FinishedShard, marked_shards, shard_key
from soundloom.remote.object_storage import ObjectStorage, open_storage

__all__ = ["equal_libraries", "local_s3", "main", "make_sounds", "run_kills"]

_RATE = 8000
_COLUMNS = ("path", "start", "end", "duration", "size", "mtime_ns", "hash", "tags", "embedding", "notices", "decoder")
_MODEL = "mfcc"


def make_sounds(folder: Path, count: int, seconds: float = 1.0) -> None:
    """Noises around a length."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(count):
        samples = 0.1 * rng.normal(size=int(_RATE * seconds * rng.uniform(0.5, 3)))
        soundfile.write(folder / f"{number:05}.wav", samples, _RATE)


@contextmanager
def local_s3(bucket: str) -> Iterator[str]:
    """A server of S3 on this machine with a bucket; gives the bucket's address, and sets the environment for it."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # which logs every request
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    threaded: Any = import_module("moto.moto_server.threaded_moto_server")
    application = threaded.DomainDispatcherApplication
    threaded.DomainDispatcherApplication = _serial(application)
    server.start()
    threaded.DomainDispatcherApplication = application
    host, port = server.get_host_and_port()
    chosen = {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    }
    before = {name: os.environ.get(name) for name in chosen}
    os.environ.update(chosen)
    try:
        with closing(boto3.client("s3", endpoint_url=chosen["AWS_ENDPOINT_URL"], region_name="us-east-1")) as client:
            client.create_bucket(Bucket=bucket)
        yield f"s3://{bucket}"
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _serial(application: Any) -> Any:
    """An application of a server that answers one request after the other: moto cannot list while objects go."""
    answering = Lock()

    class Serial(application):  # type: ignore[misc]
        def __call__(self, environ: Any, start_response: Any) -> Any:
            with answering:
                return list(super().__call__(environ, start_response))

    return Serial


class _Process:
    """A command that is started again when it has ended, until it is finished for good."""

    def __init__(self, server: ForkServer, *arguments: str) -> None:
        self._server = server
        self._arguments = arguments
        self.pid = server.start(arguments)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return True
        return False

    def kill_child(self, rng: random.Random) -> bool:
        """Kill a process that it has started, where the system lists these; whether there was one."""
        threads = Path(f"/proc/{self.pid}/task").glob("*/children")
        children = [int(child) for file in threads for child in _text(file).split()]
        if children:
            with suppress(ProcessLookupError):
                os.kill(rng.choice(children), signal.SIGKILL)
        return bool(children)

    def kill(self) -> bool:
        """Kill it, and start it again; whether it was running."""
        running = self.stop()
        self.pid = self._server.start(self._arguments)
        return running

    def restart_if_ended(self) -> None:
        if not self.running:
            self.pid = self._server.start(self._arguments)

    def stop(self) -> bool:
        """Kill it; whether it was running."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
            while self.running:
                time.sleep(0.01)
            return True
        return False


def _text(file: Path) -> str:
    """The content of a file; empty if it is gone."""
    try:
        return file.read_text()
    except OSError:
        return ""


def run_kills(
    folder: Path,
    *,
    files: int,
    workers: int,
    kills: int,
    seed: int,
    pause: float = 1.5,
    limit: float = 1200.0,
    address: str | None = None,
) -> dict[str, Any]:
    """One run; see the module.

    Args:
        folder: for sounds, libraries and plan; empty.
        files: how many sounds.
        workers: how many workers at a time.
        kills: how many of these and of committers are killed.
        seed: of the random moments.
        pause: seconds between two kills, at most; a process takes some to start.
        limit: seconds after which no more processes are killed, however many were.
        address: of the plan; in the folder if not given.
    """
    make_sounds(folder / "sounds", files)
    expected = Library.create(folder / "indexed.loom", _MODEL, window=1.0)
    expected.add(folder / "sounds")
    began = time.monotonic()
    library = Library.create(folder / "planned.loom", _MODEL, window=1.0)
    plan = Plan.create(
        library, folder / "sounds", address or folder / "plan", shard_files=max(5, files // 500), lease_seconds=5.0
    )
    killed, issued = _kill_at_random(plan, workers, kills, seed, pause, began + limit)
    plan.work(workers=workers)
    plan.commit()
    return {
        "files": files,
        "kills": sum(killed.values()),
        **{f"kills of a {kind}": count for kind, count in killed.items()},
        "shards issued again": issued,
        **_outcome(plan, Library.open(library.folder), expected),
        "seconds": time.monotonic() - began,
    }


def _kill_at_random(
    plan: Plan, workers: int, kills: int, seed: int, pause: float, until: float
) -> tuple[dict[str, int], int]:
    """Run workers and a committer, and kill them, until so many were killed or the time has come.

    Returns:
        Kind of process -> how many were killed; how many shards were issued again.
    """
    storage, rng, server = open_storage(plan.address), random.Random(seed), ForkServer()
    running = [_Process(server, "work", plan.address, "-j", "1", "--offline") for _ in range(workers)]
    committer = _Process(server, "commit", plan.address)
    killed, issued = {"worker": 0, "child of a worker": 0, "committer": 0}, 0
    holders: dict[str, str] = {}
    leases = Leases(storage, plan.file.lease_seconds, "benchmark")
    try:
        while sum(killed.values()) < kills and time.monotonic() < until:
            time.sleep(rng.uniform(0.1, pause))
            committer.restart_if_ended()
            for process in running:
                process.restart_if_ended()
            # Half of the plan stays to be done, so that kills meet workers at work; now and then one shard more.
            beyond_half = len(marked_shards(storage, "done")) - len(plan.file.shards) // 2
            issued += _issue_again(storage, rng, max(beyond_half, int(rng.random() < 0.3)))
            # A worker is killed at work, after it has done a shard: how long it takes to start is the machine's affair.
            done = marked_shards(storage, "done")
            holders |= _holders(storage, done - holders.keys())
            leased = leases.held(plan.file.shards.keys() - done).values()
            held = {lease.holder for lease in leased} & set(holders.values())
            at_work = {int(holder.split(":")[1]) for holder in held}
            busy = [process for process in running if process.pid in at_work]
            kind = rng.choice(list(killed)) if busy else "committer"
            victim = committer if kind == "committer" else rng.choice(busy)
            if not busy and (killed["committer"] > kills // 3 or len(storage.keys("committed/")) == len(done)):
                continue
            killed[kind] += victim.kill_child(rng) if kind == "child of a worker" else victim.kill()
    finally:
        for process in [*running, committer]:
            process.stop()
        server.close()
    return killed, issued


def _outcome(plan: Plan, found: Library, expected: Library) -> dict[str, Any]:
    """What became of a plan beside the library that a plain `index` makes."""
    return {
        "shards": len(plan.file.shards),
        "rows": len(found),
        "expected rows": len(expected),
        "set aside": len(plan.status().failed),
        "equal": equal_libraries(found, expected),
    }


def _holders(storage: ObjectStorage, shards: Collection[str]) -> dict[str, str]:
    """The workers that have done some shards, by shard."""
    return {shard: said.holder for shard, said in FinishedShard.read(storage, shards).items()}


def _issue_again(storage: ObjectStorage, rng: random.Random, count: int) -> int:
    """Forget of so many shards, or all if fewer are done, that they are done and committed; how many these were."""
    done = sorted(marked_shards(storage, "done"))
    chosen = rng.sample(done, min(count, len(done)))
    for shard, kind in itertools.product(chosen, ("done", "committed")):
        storage.delete(shard_key(kind, shard))
    return len(chosen)


def equal_libraries(found: Library, expected: Library) -> bool:
    """Whether two libraries hold the same, bit for bit."""
    facts, others = read_facts_table(found.folder), read_facts_table(expected.folder)
    return bool(
        found.rows(_COLUMNS).equals(expected.rows(_COLUMNS))
        and found.failures() == expected.failures()
        and facts is not None
        and facts.equals(others)
    )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plans", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="how many processes are killed")
    parser.add_argument("--files", type=int, default=300, help="how many sounds")
    parser.add_argument("--workers", type=int, default=4, help="how many workers at a time")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    parser.add_argument("--pause", type=float, default=1.5, help="seconds between two kills, at most")
    parser.add_argument("--limit", type=float, default=1200.0, help="seconds after which nothing is killed any more")
    parser.add_argument("--s3", action="store_true", help="keep the plan in a local server of S3")
    parser.add_argument("--quick", action="store_true", help="few files and kills: to see that it runs")
    parser.add_argument("--json", type=Path, metavar="OUT", help="write the figures there")
    options = parser.parse_args(arguments)
    if options.quick:
        options.files, options.kills, options.workers, options.limit = 60, 2, 2, 60.0
    with TemporaryDirectory() as folder, local_s3("plans") if options.s3 else nullcontext() as bucket:
        row = run_kills(
            Path(folder),
            files=options.files,
            workers=options.workers,
            kills=options.kills,
            seed=options.seed,
            pause=options.pause,
            limit=options.limit,
            address=None if bucket is None else f"{bucket}/plan",
        )
    print(json.dumps(row, indent=2))
    if options.json is not None:
        write_json(options.json, [row])
    if not row["equal"]:
        raise SystemExit("the libraries differ")


if __name__ == "__main__":
    main()
