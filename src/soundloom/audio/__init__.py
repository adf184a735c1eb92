"""Files and waveforms: find sound files, decode them, bring them to one rate, cut them into segments.

Every waveform that leaves this package is mono, float32, at the rate asked for; full scale is 1. Whatever is
wrong with a file arrives as one exception, :class:`soundloom.errors.AudioError`, which says what to do.
"""

from soundloom.audio.decode_options import DecodeOptions
from soundloom.audio.decoders.array_decoder import NAME as WAVEFORM
from soundloom.audio.decoders.av_process import AvProcess
from soundloom.audio.decoders.base import check_level
from soundloom.audio.discovery import AUDIO_SUFFIXES, find, is_hidden_sound
from soundloom.audio.notices import NOTICE_KINDS, Notice
from soundloom.audio.reader import DEFAULT_OPTIONS, AudioInfo, Sound, info, is_file, read, read_regions, stream
from soundloom.audio.resample import Energy
from soundloom.audio.segmentation import AudioSegment, segments
from soundloom.audio.version import DECODER_VERSION, may_differ

__all__ = [
    "AUDIO_SUFFIXES",
    "DECODER_VERSION",
    "DEFAULT_OPTIONS",
    "NOTICE_KINDS",
    "WAVEFORM",
    "AudioInfo",
    "AudioSegment",
    "AvProcess",
    "DecodeOptions",
    "Energy",
    "Notice",
    "Sound",
    "check_level",
    "find",
    "info",
    "is_file",
    "is_hidden_sound",
    "may_differ",
    "read",
    "read_regions",
    "segments",
    "stream",
]
