"""``soundloom docs``: the documentation site, opened in the browser where it was built."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import click

from soundloom.cli.console import echo
from soundloom.errors import ResourceError

__all__ = ["command"]

_REPOSITORY = Path(__file__).parents[3]
"""Root of the repository, where soundloom is installed from a copy of it in place."""


@click.command("docs")
@click.option("--open/--no-open", "opened", default=True, show_default=True, help="Open it in the browser.")
def command(opened: bool) -> None:
    """Open the documentation, or say where it is.

    The site is built from a copy of the repository by: make docs. Without it, the same pages lie in its folder docs.

    \b
    Examples:
      soundloom docs
      soundloom docs --no-open
    """
    site, pages = _REPOSITORY / "build" / "site" / "index.html", _REPOSITORY / "docs" / "index.md"
    if site.is_file():
        echo(str(site))
        if opened:
            webbrowser.open(site.as_uri())
    elif pages.is_file():
        echo(f"the site is not built: run 'make docs' in {_REPOSITORY}, or begin with {pages}")
    else:
        raise ResourceError(
            "this installation has no documentation beside it: it is in the folder docs of the repository, and every "
            "command explains itself by --help"
        )
