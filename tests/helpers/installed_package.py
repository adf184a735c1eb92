"""A small package "installed" into a temporary folder: modules and a dist-info with entry points.

The folder is put on the module search path of a fresh process, which then sees what ``pip install`` would give it.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import textwrap
import traceback
from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, modules: Mapping[str, str], entry_points: Mapping[str, str], name: str = "outside") -> Path:
    """Write modules (name -> source) and the metadata of a distribution; entry points are name -> module."""
    folder.mkdir(parents=True, exist_ok=True)
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(textwrap.dedent(source), encoding="utf-8")
    about = folder / f"{name}-1.0.dist-info"
    about.mkdir(exist_ok=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
    rows = "".join(f"{entry} = {module}\n" for entry, module in entry_points.items())
    (about / "entry_points.txt").write_text(f"[soundloom.components]\n{rows}", encoding="utf-8")
    return folder


def run_python(code: str, *path: Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh process with folders on its module search path; neither checks nor prints."""
    known = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SOUNDLOOM_TRUST")}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        cwd=cwd,
        env={**known, "PYTHONPATH": os.pathsep.join(map(str, path)), **environment},
    )


def run_forked(code: str, *path: Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """As `run_python`, in a process that is forked from one that has imported soundloom, which saves seconds a run.

    Where processes cannot be forked it is spawned.
    """
    forks = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if forks else "spawn")
    if forks:
        context.set_forkserver_preload(["soundloom.library", "soundloom.models", "soundloom.cli"])
    known = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "SOUNDLOOM_TRUST")}
    outputs = cwd / "stdout.txt", cwd / "stderr.txt"
    process = context.Process(
        target=_execute, args=(textwrap.dedent(code), [str(cwd), *map(str, path)], {**known, **environment}, outputs)
    )
    process.start()
    process.join(300)
    process.kill()
    process.join()
    assert process.exitcode is not None  # it has ended
    return subprocess.CompletedProcess([], process.exitcode, *(file.read_text("utf-8") for file in outputs))


def _execute(code: str, path: list[str], environment: Mapping[str, str], outputs: tuple[Path, Path]) -> None:
    for descriptor, file in enumerate(outputs, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    os.chdir(path[0])
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:0] = path
    try:
        exec(code, {"__name__": "__main__"})
    except BaseException:
        traceback.print_exc()
        sys.stdout.flush()
        raise SystemExit(1) from None
