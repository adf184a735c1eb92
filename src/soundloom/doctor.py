"""Diagnosis of the installation: packages, codecs, devices, and a first embedding."""

from __future__ import annotations

import platform
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path

import soundloom
from soundloom.errors import MissingExtraError, ResourceError

__all__ = ["Finding", "constraints_file", "diagnose"]


@dataclass(frozen=True)
class Finding:
    """One check: its subject, whether it passed, and a detail such as a version or an error."""

    subject: str
    good: bool
    detail: str


def constraints_file() -> Path:
    """The versions that soundloom is tested with, for ``pip install -c``: in the package, or beside its sources.

    Raises:
        ResourceError: it is in neither.
    """
    package = Path(soundloom.__file__).parent
    for folder in (package, package.parents[1]):
        if (folder / "constraints.txt").is_file():
            return folder / "constraints.txt"
    raise ResourceError(f"there is no constraints.txt in {str(package)!r}: install soundloom again")


def diagnose() -> list[Finding]:
    """Check everything that indexing needs, by trying it."""
    findings = [Finding("python", True, f"{platform.python_version()} on {platform.platform()}")]
    findings += [_package(name) for name in ("soundloom", *_needed())]
    for subject, check in (
        ("torch", _torch),
        ("decoding", _decoding),
        ("embedding", _embedding),
    ):
        try:
            findings.append(Finding(subject, True, check()))
        except Exception as error:  # any error of the machine is the finding
            findings.append(Finding(subject, False, f"{type(error).__name__}: {error}"))
    return findings


def _needed() -> list[str]:
    """The packages that soundloom cannot do without, from its own metadata."""
    lines = [line for line in requires("soundloom") or [] if "extra ==" not in line]
    return sorted(line.split(">")[0].split("=")[0].split(";")[0].strip() for line in lines)


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, f"not installed: pip install {name}")


def _torch() -> str:
    if find_spec("torch") is None:
        return f"not installed; for training, detectors and other models than loom: {MissingExtraError.remedy('torch')}"
    import torch

    devices = ["cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        devices.append("mps")
    return f"{torch.get_num_threads()} threads; devices: {', '.join(devices)}"


def _decoding() -> str:
    """Write a tone in every format at hand and decode it again."""
    import av
    import numpy as np
    import soundfile

    from soundloom import audio

    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.float32)
    decoded = []
    with tempfile.TemporaryDirectory() as folder:
        for suffix in (".wav", ".flac", ".ogg", ".mp3", ".aiff"):
            file = Path(folder) / f"tone{suffix}"
            soundfile.write(file, tone, 16000)
            _check_tone(audio.read(file, 16000), suffix)
            decoded.append(suffix[1:])
        file = Path(folder) / "tone.m4a"
        with av.open(str(file), "w") as container:
            stream = container.add_stream("aac", rate=16000, layout="mono")
            frame = av.AudioFrame.from_ndarray(tone[None], format="fltp", layout="mono")
            frame.sample_rate = 16000
            for packet in (*stream.encode(frame), *stream.encode(None)):
                container.mux(packet)
        _check_tone(audio.read(file, 16000), ".m4a")
        decoded.append("m4a")
    return f"{', '.join(decoded)} (libsndfile {soundfile.__libsndfile_version__}, PyAV {av.__version__})"


def _check_tone(samples: object, suffix: str) -> None:
    import numpy as np

    spectrum = np.abs(np.fft.rfft(np.asarray(samples)[:16000], 16000))
    if abs(int(spectrum.argmax()) - 440) > 2:
        raise RuntimeError(f"a tone of 440 Hz came back from {suffix} as {spectrum.argmax()} Hz")


def _embedding() -> str:
    import numpy as np

    from soundloom.models import load

    model = load()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 2 * model.sample_rate).astype(np.float32)
    first, second = model.embed(noise), model.embed(noise)
    if first.tobytes() != second.tobytes():
        raise RuntimeError("the same sound gave two embeddings")
    return f"{model.name}, {model.dim} numbers, the same twice"
