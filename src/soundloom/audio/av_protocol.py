"""How :mod:`soundloom.audio.av_process` and :mod:`soundloom.audio.av_worker` talk: two pipes.

Requests, parent to child, are JSON lists, one a line, which escapes whatever a file name may hold:

    ["open", number, path, options, part]  answered by OPENED and a JSON object, or by ERROR
    ["next", number, first, last]       answered by BLOCK, by END and a JSON list of notices, or by ERROR
    ["close", number]                   not answered

A BLOCK holds the energies of the channels in it (float64, as many as `ChannelMixer.energies`) and float32 samples.
A notice is a list of its code and its text; those of opening a file come in the JSON object, the others at its end.

The number names an open file; ``first`` and ``last`` count at the first "next" only. Every answer is its kind (a
byte), the length of what follows (8 bytes), and that. The child never speaks unless asked, so that nothing needs
to be thrown away when a reader loses interest.
"""

from __future__ import annotations

import struct

__all__ = ["BLOCK", "END", "ERROR", "HEAD", "OPENED"]

HEAD = struct.Struct("<cQ")

OPENED = b"o"
BLOCK = b"b"
END = b"z"
ERROR = b"e"
