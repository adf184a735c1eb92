"""Synchronisation of a library with folders: find, compare, embed, commit."""
