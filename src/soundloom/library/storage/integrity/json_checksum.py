"""Checksum of plain data that is kept as JSON, whatever the order of its keys."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

__all__ = ["json_checksum"]


def json_checksum(data: Mapping[str, Any]) -> str:
    """CRC-32 of the data as JSON with sorted keys."""
    return f"{zlib.crc32(json.dumps(data, sort_keys=True).encode()):08x}"
