"""The lowest version of every package that pyproject.toml allows, as a pip constraints file; torch apart.

    python .ci/lowest.py > lowest.txt && pip install -c lowest.txt -e '.[dev]'

torch is left out because builds of old releases exist for few versions of Python; it comes from constraints.txt.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def lowest(project: dict[str, object]) -> dict[str, str]:
    """Name of each dependency -> the version after its `>=`, of the package itself and of all extras."""
    found = {}
    extras = project["optional-dependencies"]
    assert isinstance(extras, dict)
    for line in [*project["dependencies"], *(line for lines in extras.values() for line in lines)]:  # type: ignore[misc]
        if match := re.fullmatch(r"([A-Za-z0-9._-]+)>=([0-9.]+)(,.*)?", line):
            found[match[1]] = match[2]
    return found


def main() -> None:
    """Print the constraints."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    versions = lowest(project)
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines() if "==" in line
    )
    versions["torch"] = pinned["torch"]
    for name, version in sorted(versions.items()):
        print(f"{name}=={version}")


if __name__ == "__main__":
    main()
