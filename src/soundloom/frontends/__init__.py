"""Front-ends: waveforms in, time-frequency representations out.

    LogMel              log-mel spectrograms, in the variants published models were trained on
    Fbank               Kaldi's filter bank, for the Audio Spectrogram Transformer
    MFCC                timbre: cepstral coefficients
    ConstantQ           magnitudes on a pitch scale
    Texture             texture: statistics of a log-mel in windows of a second
    PeakMap             pitch: where the constant-Q transform has peaks
    PeakLogMel          log-mel of waveforms scaled to their peaks, for aiSFX
    WaveformPatches     the waveform in pieces of 25 ms
    FramedWaveform      the waveform in pieces of 100 ms
    NormalisedFrontend  another front-end, its bins scaled by learned ranges
    CentredFrontend     another front-end on waveforms without their offset
    PaddedFrontend      another front-end on waveforms filled to a fixed length
    PerSecond           another front-end on each second alone

All keep the contract of ``Frontend``; ``FRONTENDS`` is the registry of them, which each joins beside its definition.
"""

from __future__ import annotations

from soundloom.frontends.base import FRONTENDS, EnergyFrontend, Frontend, register_frontend
from soundloom.frontends.centred import CentredFrontend
from soundloom.frontends.constantq import ConstantQ, ConstantQSettings
from soundloom.frontends.fbank import Fbank, FbankSettings
from soundloom.frontends.framed_waveform import FramedWaveform, PatchSettings, WaveformPatches
from soundloom.frontends.mel import LogMel, LogMelSettings
from soundloom.frontends.mfcc import MFCC, MFCCSettings
from soundloom.frontends.normalised import NormalisedFrontend
from soundloom.frontends.padded import PaddedFrontend, PaddedSettings
from soundloom.frontends.peak_log_mel import PeakLogMel
from soundloom.frontends.peaks import PeakMap
from soundloom.frontends.per_second import PerSecond
from soundloom.frontends.texture import Texture, TextureSettings

__all__ = [
    "FRONTENDS",
    "MFCC",
    "CentredFrontend",
    "ConstantQ",
    "ConstantQSettings",
    "EnergyFrontend",
    "Fbank",
    "FbankSettings",
    "FramedWaveform",
    "Frontend",
    "LogMel",
    "LogMelSettings",
    "MFCCSettings",
    "NormalisedFrontend",
    "PaddedFrontend",
    "PaddedSettings",
    "PatchSettings",
    "PeakLogMel",
    "PeakMap",
    "PerSecond",
    "Texture",
    "TextureSettings",
    "WaveformPatches",
    "register_frontend",
]
