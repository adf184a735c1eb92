"""The lowest version of every package that a user of soundloom installs, as a pip constraints file.

    python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[eval,train,serve,hf,onnx,tensorflow]'

torch keeps the version of constraints.txt: its old releases were built for few versions of Python. The tools of the
extras `dev` and `bench` are left to pip. Where two extras ask for one package, the higher version counts.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOLS = ("dev", "bench")


def ranges(lines: list[str]) -> dict[str, str]:
    """Name of each package -> the version after its `>=`."""
    return {match[1]: match[2] for line in lines if (match := re.match(r"([\w.-]+)>=([0-9.]+)", line))}


def numbers(version: str) -> list[int]:
    """A version, to be compared."""
    return [int(number) for number in version.split(".")]


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    lowest = ranges(project["dependencies"])
    for extra, lines in project["optional-dependencies"].items():
        for name, version in ranges(lines).items() if extra not in TOOLS else ():
            lowest[name] = max(version, lowest.get(name, version), key=numbers)
    (torch,) = re.findall(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE)
    lowest["torch"] = torch
    for name, version in sorted(lowest.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
