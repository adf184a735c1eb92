"""Front-ends beside librosa, clip by clip, and nnAudio, by the batch.

    python -m benchmarks.frontends [--seconds 1 --seconds 10] [--batch 64] [--repeat 7] [--quick] [--json out.json]

Three tasks: a log-mel spectrogram of 64 bands (96 frames from a second), 13 cepstral coefficients every
25 ms, and the pitch front-end of Verma 2023: constant-Q transform and peak picking. The waveforms are real
where the folder named by SOUNDLOOM_AUDIO is there, else noise with a few tones.

Agreement is with librosa, over the whole batch: the correlation, and for the peak map the F1 of its ones.
"""

from __future__ import annotations

import argparse
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import librosa
import numpy as np
import soundfile
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.timing import interleaved, machine, write_json
from soundloom.frontends import MFCC, LogMel, PeakMap
from soundloom.frontends.peaks import spectral_peaks

RATE = 16000
HOP = 400

Method = Callable[[], np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Row:
    """One method on one task.

    Attributes:
        task: what is computed.
        method: whose.
        seconds: of a clip.
        batch: clips.
        real_time: seconds of audio a second.
        to_librosa: how many times faster than librosa.
        to_nnaudio: how many times faster than nnAudio.
        agreement: with librosa, 1 being perfect.
    """

    task: str
    method: str
    seconds: float
    batch: int
    real_time: float
    to_librosa: float
    to_nnaudio: float
    agreement: float


def waveforms(batch: int, samples: int) -> tuple[torch.Tensor, str]:
    """Clips of real sound, or of noise and tones where there is none, and which of the two."""
    folder = Path(os.environ.get("SOUNDLOOM_AUDIO", Path(__file__).parents[2] / "shared" / "audio"))
    paths = sorted((folder / "esc50" / "audio").glob("*.*"))
    generator = torch.Generator().manual_seed(0)
    if not paths:
        time = torch.arange(samples) / RATE
        pitches = 100 * 2 ** (5 * torch.rand(batch, 3, 1, generator=generator))
        tones = torch.sin(2 * torch.pi * pitches * time).mean(dim=1)
        return 0.3 * tones + 0.02 * torch.randn(batch, samples, generator=generator), "noise and tones"
    clips = np.empty((batch, samples), dtype=np.float32)
    for row, path in zip(clips, np.resize(np.array(paths[:: max(1, len(paths) // batch)]), batch), strict=True):
        sound = soundfile.read(path, dtype="float32")[0]
        # From half a second before its loudest moment, and round again where the recording is shorter.
        row[:] = np.resize(np.roll(sound, RATE // 2 - int(np.abs(sound).argmax())), samples)
    return torch.from_numpy(clips), "ESC-50"


def log_mel(clips: torch.Tensor) -> dict[str, Method]:
    """64 bands from 125 to 7500 Hz, 25 ms every 10 ms."""
    from nnAudio.features import MelSpectrogram

    ours = LogMel.vggish()
    theirs = MelSpectrogram(
        sr=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=64, fmin=125, fmax=7500, htk=True, norm=None,
        power=1.0, center=False, pad_mode="constant", verbose=False,
    )  # fmt: skip
    # Without centring librosa puts the window in the middle of the FFT frame, 56 samples late; moving the waveform by
    # as much puts all three on the same samples.
    late = np.pad(clips.numpy(), ((0, 0), (56, 56)))
    options = {"sr": RATE, "n_fft": 512, "win_length": 400, "hop_length": 160, "n_mels": 64, "fmin": 125, "fmax": 7500}

    def one_by_one() -> np.ndarray:
        energies = [
            librosa.feature.melspectrogram(y=clip, htk=True, norm=None, power=1, center=False, **options)
            for clip in late
        ]
        return np.log(np.stack(energies) + 0.01)

    padded = torch.from_numpy(late)
    return {
        "librosa": one_by_one,
        "nnAudio": lambda: (theirs(padded) + 0.01).log().numpy(),
        "soundloom": lambda: ours(clips)[:, 0].numpy(),
    }


def timbre(clips: torch.Tensor) -> dict[str, Method]:
    """13 coefficients every 25 ms, without the first."""
    from nnAudio.features import MFCC as NNAudioMFCC  # noqa: N811

    ours = MFCC.verma()
    frames = clips.shape[1] // HOP
    theirs = NNAudioMFCC(
        sr=RATE, n_mfcc=13, n_fft=2048, hop_length=HOP, n_mels=128, fmin=0.0, fmax=None, pad_mode="constant",
        verbose=False,
    )  # fmt: skip
    single = clips.numpy()
    return {
        "librosa": lambda: np.stack(
            [librosa.feature.mfcc(y=clip, sr=RATE, n_mfcc=13, hop_length=HOP)[1:, :frames] for clip in single]
        ),
        "nnAudio": lambda: theirs(clips)[:, 1:, :frames].numpy(),
        "soundloom": lambda: ours(clips)[:, 0].numpy(),
    }


def pitch(clips: torch.Tensor) -> dict[str, Method]:
    """80 constant-Q bins every 25 ms and their peaks; the peaks are picked by the same code for all."""
    from nnAudio.features import CQT1992v2

    ours = PeakMap.verma()
    frames = clips.shape[1] // HOP
    theirs = CQT1992v2(
        sr=RATE, hop_length=HOP, fmin=40, n_bins=80, bins_per_octave=12, pad_mode="constant", verbose=False
    )
    single = clips.numpy()
    options = {"sr": RATE, "hop_length": HOP, "fmin": 40, "n_bins": 80, "sparsity": 0.01, "tuning": 0.0}

    def one_by_one() -> np.ndarray:
        magnitudes = [np.abs(librosa.cqt(clip, **options))[:, :frames] for clip in single]
        return np.stack([spectral_peaks(torch.from_numpy(each)[None], 40)[0].numpy() for each in magnitudes])

    return {
        "librosa": one_by_one,
        "nnAudio": lambda: spectral_peaks(theirs(clips)[..., :frames], 40).numpy(),
        "soundloom": lambda: ours(clips)[:, 0].numpy(),
    }


TASKS: dict[str, Callable[[torch.Tensor], dict[str, Method]]] = {
    "log-mel 64 bands": log_mel,
    "MFCC 13": timbre,
    "constant-Q 80 bins, peaks": pitch,
}


def agreement(result: np.ndarray, reference: np.ndarray) -> float:
    """F1 of ones where both are zeros and ones, else the correlation."""
    if set(np.unique(reference)) <= {0, 1}:
        return float(2 * (result * reference).sum() / (result.sum() + reference.sum()))
    return float(np.corrcoef(result.ravel(), reference.ravel())[0, 1])


def measure(task: str, clips: torch.Tensor, *, repeat: int) -> list[Row]:
    """Every method of a task, on the same clips in turn."""
    methods = TASKS[task](clips)
    batch, samples = clips.shape
    with torch.inference_mode():
        reference = methods["librosa"]()
        agreements = {name: agreement(method(), reference) for name, method in methods.items()}
        taken = interleaved(methods, repeat=repeat)
    return [
        Row(
            task=task,
            method=name,
            seconds=samples / RATE,
            batch=batch,
            real_time=clips.numel() / RATE / taken[name],
            to_librosa=taken["librosa"] / taken[name],
            to_nnaudio=taken["nnAudio"] / taken[name],
            agreement=agreements[name],
        )
        for name in methods
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.frontends", description="time the front-ends")
    parser.add_argument("--seconds", type=float, action="append", help="of a clip; may be given again (1)")
    parser.add_argument("--batch", type=int, default=64, help="clips at once (%(default)s)")
    parser.add_argument("--repeat", type=int, default=7, help="times each method runs (%(default)s)")
    parser.add_argument("--quick", action="store_true", help="one second, 8 clips, twice: to see that it runs")
    parser.add_argument("--json", type=Path, help="write the results there")
    options = parser.parse_args(arguments)
    lengths = [1.0] if options.quick or not options.seconds else options.seconds
    batch, repeat = (8, 2) if options.quick else (options.batch, options.repeat)

    rows: list[Row] = []
    source = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nnAudio and librosa warn of their own deprecations
        for seconds in lengths:
            clips, source = waveforms(batch, round(seconds * RATE))
            for task in TASKS:
                rows += measure(task, clips, repeat=repeat)

    facts = machine()
    title = f"front-ends on {facts['processor']}, {facts['threads']} threads, {source}, medians of {repeat}"
    table = Table("task", "clip", "method", "x real time", "to librosa", "to nnAudio", "agreement", title=title)
    for row in rows:
        table.add_row(
            row.task, f"{row.batch} x {row.seconds:g} s", row.method, f"{row.real_time:,.0f}",
            f"{row.to_librosa:.1f}", f"{row.to_nnaudio:.1f}", f"{row.agreement:.5f}",
        )  # fmt: skip
    Console(width=120).print(table)
    if options.json is not None:
        write_json(options.json, [asdict(row) for row in rows])


if __name__ == "__main__":
    main()
