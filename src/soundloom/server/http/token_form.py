"""The page on which a person without a token types it: a form without script, sent as the printed address is."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Iterable
from html import escape

from starlette.responses import HTMLResponse, Response

__all__ = ["token_form"]

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:26rem;padding:0 "
    "1rem}input,button{font:inherit;padding:.4rem .6rem}input{width:100%;box-sizing:border-box;margin:.3rem 0 .8rem}"
)
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


def token_form(kept: Iterable[tuple[str, str]], *, wrong: bool) -> Response:
    """A 401 answer with the form.

    Args:
        kept: names and values of the address's query, which the form keeps.
        wrong: whether a token was shown that is not the server's.
    """
    fields = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in kept
        if name != "token"
    )
    alert = '<p role="alert"><strong>That is not the token of this server.</strong></p>' if wrong else ""
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>soundloom: token needed</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{_STYLE}</style></head><body><main><h1>Token needed</h1>{alert}"
        "<p>This library is protected by a token. It is the part after <code>?token=</code> of the address that "
        "<code>soundloom serve</code> printed when it started.</p>"
        f'<form method="get">{fields}<label for="token">Token</label><input id="token" name="token" type="password" '
        'autocomplete="current-password" required autofocus><button>Open the library</button></form>'
        "</main></body></html>"
    )
    # Halves of characters, which a percent-encoded address can hold, are not sent.
    content = page.encode("utf-8", "replace")
    return HTMLResponse(content, 401, {"WWW-Authenticate": "Bearer", "Content-Security-Policy": _POLICY})
