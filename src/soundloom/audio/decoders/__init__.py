"""Decoders of one interface (:mod:`.base`): libsndfile, FFmpeg (PyAV) here or in a child process, arrays, joined files.

:mod:`.selection` opens a file with the decoder that its bytes need.
"""
