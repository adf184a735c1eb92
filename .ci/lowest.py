"""The lowest version of every package that pyproject.toml allows, as a pip constraints file.

    python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[dev]'

Two kinds keep the versions of constraints.txt: torch, whose old releases were built for few versions of Python, and the
tools of the extra `dev`, which no user installs. transformers is no tool: encoders are compared with it, and it shares
huggingface_hub with the extra `hub`.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def ranges(lines: list[str]) -> dict[str, str]:
    """Name of each package -> the version after its `>=`."""
    return {match[1]: match[2] for line in lines if (match := re.match(r"([\w.-]+)>=([0-9.]+)", line))}


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = {name: ranges(lines) for name, lines in project["optional-dependencies"].items()}
    tools = extras.pop("dev")
    lowest = {**ranges(project["dependencies"]), "transformers": tools.pop("transformers")}
    for found in extras.values():
        lowest.update(found)
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    pinned = dict(line.split("==") for line in lines if "==" in line)
    lowest.update({name: pinned[name] for name in ["torch", *tools] if name in pinned})
    for name, version in sorted(lowest.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
