"""Lengths in NIST SPHERE files: a header of text that counts samples (NIST SPHERE 2.6)."""

from __future__ import annotations

import re

from soundloom.audio.containers.data_size import Data, laid_out, true_size
from soundloom.audio.containers.layout import Layout, Source
from soundloom.audio.containers.samples import SampleFormat

__all__ = ["inspect_nist", "nist_length"]

NEEDED = ("sample_count", "sample_n_bytes", "sample_rate")


def _data(source: Source) -> Data | None:
    """The sound that the header counts; None: it counts none, or the sound is compressed."""
    lines = source.head[:1024].decode("latin-1")
    # Some writers, libsndfile for one, give the bytes of a sample as text: "-s1 1".
    facts = dict(re.findall(r"^(\w+) -(?:i|s\d+) (\d+)$", lines, re.MULTILINE))
    head = re.match(r"NIST_1A\s+(\d+)", lines)
    if head is None or "shorten" in lines or any(not int(facts.get(name, 0)) for name in NEEDED):
        return None
    count, width, rate = (int(facts[name]) for name in NEEDED)
    form = SampleFormat(
        "i" if width > 1 else "l",
        width,
        int(facts.get("channel_count", 1)) or 1,
        big="sample_byte_format -s2 10" in lines,
    )
    return Data(
        begin=int(head[1]),
        claimed=count * form.frame,
        declared_end=None,
        form=form,
        frame=form.frame,
        per_second=form.frame * rate,
        chunks=False,
        wide=True,
    )


def nist_length(source: Source) -> int | None:
    """The length of the file by its header, in bytes; None: it does not say."""
    data = _data(source)
    return None if data is None else data.begin + data.claimed


def inspect_nist(source: Source) -> Layout:
    """Compare the count in the header of a NIST SPHERE file with its bytes; decoders read all there are."""
    data = _data(source)
    if data is None:
        return Layout()
    found = true_size(source, data)
    return laid_out(data, found, None, "NIST SPHERE") if found.kind == "missing" else Layout()
