"""``soundloom serve``: search, map and tag a library in the browser."""

from __future__ import annotations

import secrets
import webbrowser
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import click

from soundloom.cli import common_options
from soundloom.cli.console import echo
from soundloom.cli.model_loader import model_loader
from soundloom.cli.option_types import Integer
from soundloom.errors import QueryError

__all__ = ["command"]


@click.command("serve")
@click.argument("folders", type=common_options.LibraryPath(), nargs=-1, metavar="[LIBRARY]...")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=Integer(0, 65535), default=8765, show_default=True, help="0 for any that is free.")
@click.option(
    "--token",
    envvar="SOUNDLOOM_TOKEN",
    help="What clients must send, or the variable SOUNDLOOM_TOKEN.  [default: a random one where others can reach the "
    "address]",
)
@click.option(
    "--allow-host",
    "allowed",
    multiple=True,
    metavar="NAME",
    help="Answer to this name too, such as a proxy's; https://NAME if the proxy speaks https.",
)
@click.option("--open/--no-open", "opened", default=True, show_default=True, help="Open the page in the browser.")
@click.option("--log-json", is_flag=True, help="Log requests and errors as lines of JSON on standard error.")
@common_options.offline
def command(
    folders: tuple[Path, ...],
    host: str,
    port: int,
    token: str | None,
    allowed: tuple[str, ...],
    opened: bool,
    log_json: bool,
    offline: bool,
) -> None:
    """Search, map and tag a library in the browser; of several, the page switches between them.

    Only this machine can reach the page, unless --host says otherwise; then clients need the token, which is part of
    the address that is printed. The API is at /api/v1, described by /api/v1/openapi.json; /health, /ready and /metrics
    are for the operator. SIGTERM and Ctrl-C let the requests being answered end first.

    \b
    Examples:
      soundloom serve sounds.loom
      soundloom serve sounds.loom --port 9000 --no-open
      soundloom serve field.loom effects.loom
      soundloom serve sounds.loom --host 0.0.0.0
    """
    from soundloom.library import Library
    from soundloom.server import ServerSettings, serve
    from soundloom.server.settings import is_loopback

    if token is None and not is_loopback(host):
        token = secrets.token_urlsafe(24)
    try:
        settings = ServerSettings(host=host, port=port, token=token, allowed_hosts=allowed, log_json=log_json)
    except ValueError as error:
        raise QueryError(str(error)) from None
    loader = model_loader(offline=offline)
    folders = folders or (Path("sounds.loom"),)
    libraries = [Library.open(folder, loader=loader) for folder in dict.fromkeys(folders)]
    for library in libraries:
        _ = library.model
        # Fetched now, if it can be: the server itself fetches nothing.
        library.tags.vocabulary(offline=offline)

    def ready(address: str) -> None:
        verb = "is" if len(libraries) == 1 else "are"
        echo(f"{' and '.join(map(str, dict.fromkeys(folders)))} {verb} at {address}  (Ctrl-C stops)")
        if not is_loopback(host) and is_loopback(urlsplit(address).hostname or ""):
            echo("From other machines: the same, with this machine's address in place of 127.0.0.1.")
        if opened:
            webbrowser.open(address)

    # So it ends by SIGTERM as well, once the requests being answered have ended.
    with suppress(KeyboardInterrupt):
        serve(libraries[0], settings, beside=libraries[1:], ready=ready)
