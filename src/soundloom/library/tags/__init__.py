"""Tags that people give to sounds: edits, tables, suggestions from examples, export."""
