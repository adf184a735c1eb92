"""Structured log: one JSON object a line on standard error, of requests, errors and warnings."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

__all__ = ["JsonLines", "log_json"]


class JsonLines(logging.Formatter):
    """A log record as a line of JSON: time (UTC), level, logger, event, the fields of the record, traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, in ASCII."""
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, default=str)


def log_json() -> None:
    """Write the server's log as lines of JSON from now on, requests included; Python's warnings too."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    # The command line's own, of text.
    logging.getLogger("soundloom").handlers.clear()
    logging.getLogger("soundloom.server").setLevel(logging.INFO)
    logging.captureWarnings(True)
