"""Durable state of a library: settings, tables, creation and opening; see also `soundloom.library.library_files`."""
