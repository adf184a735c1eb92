"""Execution of the notebooks, each in an empty folder: ``python .ci/run_notebooks.py [NAME ...]``.

Fails if a cell raises, or if a notebook is kept with outputs. What was executed is written to build/notebooks.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
SECONDS = 600
"""For one cell, at most."""


def main() -> None:
    """Run those whose names begin like an argument; all without one."""
    wanted = tuple(sys.argv[1:]) or ("",)
    # A command within a notebook is that of this environment.
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    target = ROOT / "build" / "notebooks"
    target.mkdir(parents=True, exist_ok=True)
    for file in sorted((ROOT / "notebooks").glob("*.ipynb")):
        book = nbformat.read(file, as_version=4)
        if any(cell.get("outputs") or cell.get("execution_count") for cell in book.cells):
            raise SystemExit(f"{file.name} is kept with outputs: clear them")
        if not file.name.startswith(wanted):
            continue
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            NotebookClient(book, timeout=SECONDS, resources={"metadata": {"path": folder}}).execute()
        failed = [cell for cell in book.cells for one in cell.get("outputs", ()) if one.output_type == "error"]
        if failed:
            raise SystemExit(f"{file.name}: {failed[0].source}")
        nbformat.write(book, target / file.name)
        print(f"{file.name}: {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
