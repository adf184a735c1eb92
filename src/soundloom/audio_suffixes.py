"""Endings of files that hold sound, as libsndfile and FFmpeg read them; a module of its own, which imports nothing."""

from __future__ import annotations

__all__ = ["AUDIO_SUFFIXES"]

_SNDFILE = (
    "aif aifc aiff au avr caf flac ircam mp1 mp2 mp3 nist oga ogg opus paf pvf rf64 sf snd sph spx svx voc w64 wav "
    "wave wavex xi"
)
_FFMPEG_SOUND = "aac ac3 amr ape dff dsf dts eac3 m4a m4b m4r mka mlp mpc oma ra shn tak thd tta weba wma wv"
_FFMPEG_FILM = "3g2 3gp asf avi f4v flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv rm vob webm wmv"

AUDIO_SUFFIXES = frozenset(f".{suffix}" for suffix in f"{_SNDFILE} {_FFMPEG_SOUND} {_FFMPEG_FILM}".split())
