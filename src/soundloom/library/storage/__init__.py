"""Durable state of a library: settings, tables, creation and opening."""
