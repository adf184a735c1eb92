"""Entry point of the command line: ``soundloom`` and ``python -m soundloom``."""

from __future__ import annotations

import os
import sys

__all__ = ["main"]

# Threads of OpenBLAS wait for work by counting to 2^26 when NumPy is imported: a third of what that costs.
os.environ.setdefault("OPENBLAS_THREAD_TIMEOUT", "20")


def main() -> None:
    """Run the command line; Ctrl-C while it is imported ends in one line, as it does later."""
    try:
        from soundloom.cli import main as command_line
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        raise SystemExit(130) from None
    command_line(prog_name="soundloom")


if __name__ == "__main__":
    main()
