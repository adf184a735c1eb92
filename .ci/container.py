"""The commands of the Containerfile, run without containers: ``python .ci/container.py [WHEEL]``.

A fresh virtual environment stands for the image: COPY goes to a folder, RUN and CMD run there with their paths led
into it, apart from `useradd`. A small library is served, HEALTHCHECK must succeed, a search with the token must find a
sound, and SIGTERM must end the server with status 0. Prints seconds of the steps and the size of what was installed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOKEN = "token-of-the-container-check"
WAIT = 300
"""Seconds for the server to be ready."""


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Containerfile: word and rest."""
    text = (ROOT / "Containerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def main() -> None:
    """Install, serve, ask, stop."""
    wheel = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else newest_wheel()
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder)
        subprocess.run([sys.executable, "-m", "venv", image / "venv"], check=True)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))},
            "PATH": f"{image / 'venv' / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "SOUNDLOOM_HOME": str(image / "home"),
            "SOUNDLOOM_TOKEN": TOKEN,
        }
        command, check = build(image, wheel, environment)
        serve(image, command, check, environment)


def newest_wheel() -> Path:
    """The wheel in dist/."""
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise SystemExit("no wheel in dist/: make wheel")
    return wheels[-1]


def build(image: Path, wheel: Path, environment: dict[str, str]) -> tuple[list[str], str]:
    """Do COPY and RUN; the command and the health check."""
    command: list[str] = []
    check = ""
    for word, rest in instructions():
        began = time.monotonic()
        if word == "COPY":
            *sources, target = rest.split()
            (image / target.lstrip("/")).mkdir(parents=True)
            for source in sources:
                found = [wheel] if source.endswith(".whl") else list(ROOT.glob(source))
                if not found:
                    raise SystemExit(f"COPY {source}: there is none")
                for path in found:
                    shutil.copy(path, image / target.lstrip("/"))
        elif word == "RUN" and not rest.startswith("useradd"):
            subprocess.run(rest.replace("/tmp/", f"{image}/tmp/"), shell=True, check=True, env=environment)
            print(f"{time.monotonic() - began:.0f} s  RUN {rest[:60]}", flush=True)
        elif word == "CMD":
            command = json.loads(rest)
        elif word == "HEALTHCHECK":
            check = rest.removeprefix("CMD ")
    size = sum(path.stat().st_size for path in (image / "venv").rglob("*") if path.is_file() and not path.is_symlink())
    print(f"{size / 1e6:.0f} MB installed", flush=True)
    return command, check


def serve(image: Path, command: list[str], check: str, environment: dict[str, str]) -> None:
    """Index the demonstration's sounds, serve them as the image does, and ask."""
    library = image / "library"
    script = "import sys; from soundloom.synth import write_set; write_set(sys.argv[1], count=1)"
    subprocess.run(["python", "-c", script, image / "sounds"], check=True, env=environment)
    subprocess.run(["soundloom", "index", image / "sounds", "-l", library], check=True, env=environment)
    port = re.search(r"127\.0\.0\.1:(\d+)", check)
    if port is None:
        raise SystemExit(f"HEALTHCHECK names no port: {check}")
    # Loopback alone: nobody else is to reach this server.
    arguments = ["127.0.0.1" if part == "0.0.0.0" else str(library) if part == "/library" else part for part in command]
    server = subprocess.Popen([*arguments, "--port", port[1]], env=environment)
    try:
        began = time.monotonic()
        while subprocess.run(check, shell=True, env=environment, stderr=subprocess.DEVNULL).returncode:
            if server.poll() is not None or time.monotonic() - began > WAIT:
                raise SystemExit("the server did not become healthy")
            time.sleep(0.5)
        print(f"{time.monotonic() - began:.1f} s  until HEALTHCHECK succeeds", flush=True)
        address = f"http://127.0.0.1:{port[1]}/api/v1/search?k=3"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            hits = json.load(answer)["hits"]
        if len(hits) != 3:
            raise SystemExit(f"three hits were asked for, {len(hits)} came")
        server.send_signal(signal.SIGTERM)
        if server.wait(timeout=60):
            raise SystemExit(f"SIGTERM ended the server with {server.returncode}")
        print("served, asked, and stopped by SIGTERM", flush=True)
    finally:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main()
