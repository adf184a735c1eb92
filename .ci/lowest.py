"""The lowest version of every package that a user of soundloom installs, as a pip constraints file.

    python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[eval,train,serve,hub,onnx]'

torch keeps the version of constraints.txt: its old releases were built for few versions of Python. The tools of the
extra `dev` are left to pip; transformers is no tool, since encoders are compared with it and it shares huggingface_hub
with the extra `hub`.
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
    lowest = ranges(project["dependencies"])
    lowest["transformers"] = extras.pop("dev")["transformers"]
    for found in extras.values():
        lowest.update(found)
    (torch,) = re.findall(r"^torch==(.*)$", (ROOT / "constraints.txt").read_text("utf-8"), flags=re.MULTILINE)
    lowest["torch"] = torch
    for name, version in sorted(lowest.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
