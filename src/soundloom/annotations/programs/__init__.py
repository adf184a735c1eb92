"""Formats of annotations, a file for each program."""
