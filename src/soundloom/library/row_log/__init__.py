"""Rows of a search index as a table that never changes and a log of what has changed since."""
