"""The HTML report of an evaluation: sections, tables and SVG plots."""
