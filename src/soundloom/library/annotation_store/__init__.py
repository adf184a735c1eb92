"""Annotations of a library's sounds, kept by content, and where and when these were recorded."""
