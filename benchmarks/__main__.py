"""Run every benchmark of this folder: ``python -m benchmarks [--quick] [--json FOLDER]``."""

from __future__ import annotations

import argparse
import importlib
import pkgutil
from pathlib import Path

import benchmarks


def modules() -> list[str]:
    """The names of the modules that hold a benchmark: those with a ``main``."""
    names = [module.name for module in pkgutil.iter_modules(benchmarks.__path__)]
    return [
        name
        for name in names
        if name not in ("__main__", "history") and hasattr(importlib.import_module(f"benchmarks.{name}"), "main")
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few repetitions: to see that all run")
    parser.add_argument("--json", type=Path, metavar="FOLDER", help="write NAME.json there for each benchmark")
    options = parser.parse_args()
    for name in modules():
        arguments = ["--quick"] if options.quick else []
        if options.json is not None:
            options.json.mkdir(parents=True, exist_ok=True)
            arguments += ["--json", str(options.json / f"{name}.json")]
        importlib.import_module(f"benchmarks.{name}").main(arguments)


if __name__ == "__main__":
    main()
