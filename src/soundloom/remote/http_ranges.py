"""Ranges of bytes over HTTP (RFC 9110, section 14), with the standard library; requests that fail are sent again.

A server that knows no ranges sends the whole file, which is then kept in a temporary file.
"""

from __future__ import annotations

import http.client
import re
import shutil
import tempfile
import time
import urllib.error
import urllib.request
import weakref
from email.utils import parsedate_to_datetime
from typing import IO, Any

from soundloom.errors import RemoteFileError

__all__ = ["HttpRanges"]

_HEAD = 32768
_TIMEOUT = 30.0
_ATTEMPTS = 6
FIRST_WAIT = 0.25
"""Seconds before a request is sent for the second time; twice as many before each further time."""
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


class HttpRanges:
    """A file behind an address; the first request says how large it is.

    Args:
        address: ``http://`` or ``https://``.

    Attributes:
        size: bytes in it.
        modified: when it was changed, in seconds since 1970; 0 if the server does not say.
        tag: its ETag; empty if the server gives none.

    Raises:
        RemoteFileError: there is no such file, or the server cannot be reached or refuses.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._whole: IO[bytes] | None = None
        with self._open(0, _HEAD) as answer:
            self.tag, self._state = str(answer.headers.get("ETag") or ""), _state_of(answer)
            self.modified = _modified(answer)
            total = re.fullmatch(r"bytes \d+-\d+/(\d+)", answer.headers.get("Content-Range", ""))
            if answer.status == 206 and total is not None:
                self.size = int(total[1])
                return
            self._whole = tempfile.TemporaryFile()  # noqa: SIM115 (lives as long as this object)
            weakref.finalize(self, self._whole.close)
            shutil.copyfileobj(answer, self._whole)
            self.size = self._whole.tell()

    def fetch(self, begin: int, end: int) -> bytes:
        """See `soundloom.remote.ranged_file.ByteRanges`."""
        if self._whole is not None:
            self._whole.seek(begin)
            return self._whole.read(end - begin)
        for attempt in range(_ATTEMPTS):
            with self._open(begin, end) as answer:
                if answer.status != 206 or _state_of(answer) != self._state:
                    raise RemoteFileError("the file behind the address was changed while it was read")
                try:
                    return bytes(answer.read())
                except (http.client.HTTPException, OSError):
                    if attempt == _ATTEMPTS - 1:
                        raise RemoteFileError("the server ends its answers too early") from None
            time.sleep(FIRST_WAIT * 2**attempt)
        raise AssertionError  # the last attempt returns or raises

    def _open(self, begin: int, end: int) -> Any:
        """The answer to a request for a range, sent again while the server is not there or busy."""
        headers = {"Range": f"bytes={begin}-{end - 1}", "Accept-Encoding": "identity"}
        for attempt in range(_ATTEMPTS):
            last = attempt == _ATTEMPTS - 1
            try:
                return urllib.request.urlopen(urllib.request.Request(self._address, headers=headers), timeout=_TIMEOUT)
            except urllib.error.HTTPError as error:
                error.close()
                if error.code in (404, 410):
                    raise RemoteFileError("no such file on the server: check the address", missing=True) from None
                if error.code == 416 and begin == 0:  # an empty file has no ranges
                    return urllib.request.urlopen(urllib.request.Request(self._address), timeout=_TIMEOUT)
                if last or error.code not in _PASSING:
                    raise RemoteFileError(f"the server answers {error.code} {error.reason}") from None
            except (urllib.error.URLError, http.client.HTTPException, OSError, ValueError) as error:
                if last or isinstance(error, ValueError):
                    raise RemoteFileError(f"the server gives no answer: {error}") from None
            time.sleep(FIRST_WAIT * 2**attempt)
        raise AssertionError  # the last attempt returns or raises


def _state_of(answer: Any) -> str:
    """What names the state of the file."""
    return str(answer.headers.get("ETag") or answer.headers.get("Last-Modified") or "")


def _modified(answer: Any) -> float:
    try:
        return parsedate_to_datetime(answer.headers["Last-Modified"]).timestamp()
    except (TypeError, ValueError):
        return 0.0
