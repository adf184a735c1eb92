"""Timelines of long recordings: spectra and acoustic indices over hours, with what was found in them, as a picture."""

from soundloom.timeline.long_spectrum import LongSpectrum, long_spectrum
from soundloom.timeline.similarity import similarity_over_time
from soundloom.timeline.timeline_picture import timeline_picture

__all__ = ["LongSpectrum", "long_spectrum", "similarity_over_time", "timeline_picture"]
