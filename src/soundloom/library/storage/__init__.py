"""Durable state of a library: settings, tables, creation and opening, in the files of `soundloom.library.library_files`."""
