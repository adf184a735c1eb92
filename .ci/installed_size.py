"""Installed size of soundloom and of each extra: ``python .ci/installed_size.py [EXTRA ...]``.

The packages that a requirement brings are followed through the metadata of this environment; a package that is not
installed is named and not counted. Sizes are those of the files that pip recorded, in megabytes of 10^6 bytes.
"""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

SHOWN = 12


def packages(name: str, extras: frozenset[str] = frozenset()) -> tuple[set[str], set[str]]:
    """All distributions that one with some extras needs, itself included; and those that are not installed."""
    found: set[str] = set()
    missing: set[str] = set()
    waiting, seen = [(canonicalize_name(name), extras)], set()
    while waiting:
        one = waiting.pop()
        if one in seen:
            continue
        seen.add(one)
        try:
            requirements = map(Requirement, distribution(one[0]).requires or [])
        except PackageNotFoundError:
            missing.add(one[0])
            continue
        found.add(one[0])
        for requirement in requirements:
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in one[1] or {""}):
                waiting.append((canonicalize_name(requirement.name), frozenset(requirement.extras)))
    return found, missing


def size(name: str) -> int:
    """Bytes of a distribution's files; what is compiled later, such as .pyc, is not among them."""
    files = distribution(name).files or []
    return sum(file.size or 0 for file in files)


def main() -> None:
    """Print the size of the base installation and what each extra adds to it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("extras", nargs="*", metavar="EXTRA", help="[default: all but dev and bench]")
    wanted = parser.parse_args().extras
    known = distribution("soundloom").metadata.get_all("Provides-Extra") or []
    base, missing = packages("soundloom")
    sizes = {name: size(name) for name in base}
    print(f"base: {sum(sizes.values()) / 1e6:,.0f} MB in {len(base)} packages")
    for name, count in sorted(sizes.items(), key=lambda item: -item[1])[:SHOWN]:
        print(f"    {count / 1e6:8,.1f}  {name} {distribution(name).version}")
    for extra in wanted or [extra for extra in known if extra not in ("dev", "bench")]:
        whole, lost = packages("soundloom", frozenset({extra}))
        added = whole - base
        missing |= lost
        print(f"[{extra}]: {sum(map(size, added)) / 1e6:,.0f} MB more in {len(added)} packages")
    if missing:
        print(f"not installed, not counted: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
